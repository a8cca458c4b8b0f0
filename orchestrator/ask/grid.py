"""The cells of a sweep: splits, codecs, links and paces of the UE."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Protocol

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.pace import paces
from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR, NOTHING
from orchestrator.ask.sweep_config import SweepConfig
from splitbed.codecs import codec_named
from splitbed.codecs.calibration import channel_axis
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.graphs.graph import Cut, Graph
from splitbed.graphs.splits import resolve
from splitbed.media.recipes import PictureRecipe


class CutModel(Protocol):
    """What a grid asks of a model: its graph, its splits' names, what it is fed."""

    @property
    def graph(self) -> Graph:
        """Its layers and cuts."""

    @property
    def named_splits(self) -> Mapping[str, str] | None:
        """Labels of cuts, where it has any."""

    @property
    def inputs(self) -> Sequence[object]:
        """What is measured, frame by frame."""

    @property
    def recipe(self) -> PictureRecipe | None:
        """How it takes pictures; None where it takes none."""

    @property
    def channels_last(self) -> bool:
        """Whether maps have their channels last."""

    @property
    def file_bytes(self) -> int:
        """What its file measures."""


@dataclass(frozen=True)
class Cell:
    """A configuration that is measured over its link, and about what it sends.

    `crossing_bytes` of intermediate data, not encoded; of part 1, before them, `delivery_bytes`.
    """

    configuration: Configuration
    crossing_bytes: int
    delivery_bytes: int = 0

    @property
    def link(self) -> LinkSpec:
        """The link that it is measured over."""
        assert self.configuration.link is not None
        return self.configuration.link

    @property
    def wire_ms(self) -> float:
        """What the intermediate data takes on the wire, not encoded."""
        return wire_ms(self.crossing_bytes, self.link.uplink) if self.configuration.crosses else 0.0

    @property
    def delivery_ms(self) -> float:
        """What the delivery of part 1 takes on the wire, about."""
        return wire_ms(self.delivery_bytes, self.link.downlink) if self.delivery_bytes else 0.0


@dataclass(frozen=True)
class Visit:
    """A cell that is measured in a block: each block measures the whole grid once more."""

    cell: Cell
    block: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What names it in a run."""
        return self.cell.configuration.key, self.block


def cell_of(configuration: Configuration, model: CutModel, *, delivery: bool) -> Cell:
    """The configuration as a cell of this model."""
    cut = model.graph.cuts[configuration.k]
    crossing_bytes = cut.nbytes if configuration.crosses else 0
    return Cell(configuration, crossing_bytes, _part1_bytes(model, cut) if delivery else 0)


def plan_cells(config: SweepConfig, model: CutModel) -> list[Cell]:
    """The grid: the anchors and the splits, each over every link, in the order of its tables.

    Raises UsageError.
    """
    graph = model.graph
    splits = resolve(graph, config.split, model.named_splits)
    labels = {split.k: split.label for split in splits} | {
        0: NETWORK_ANCHOR,
        graph.n: DEVICE_ANCHOR,
    }
    inner = [split.k for split in splits if 0 < split.k < graph.n]
    cells = []
    for k in (0, *inner, graph.n):
        codecs = [*_codecs(config, model, k)]
        for pace, link, codec in product(paces(config), config.links, codecs):
            asked = Configuration(k, graph.n, labels[k], codec, link, pace)
            cells.append(cell_of(asked, model, delivery=config.delivery))
    return cells


def in_random_order(
    cells: Sequence[Cell], seed: int, room: int, blocks: int = 1
) -> list[list[Visit]]:
    """The cells as they are measured: in each block in an order of its own, all of the seed.

    In groups of `room` splits: as many may be open at once. So in a block a split is loaded once at
    most, and where all may be open, once in all.
    """
    dice = random.Random(seed)  # noqa: S311  it hides nothing
    return [group for block in range(blocks) for group in _in_groups(cells, block, room, dice)]


def anchors_again(cells: Sequence[Cell], blocks: int) -> list[Visit]:
    """The anchors once more, after all blocks: over each link and at each pace, of each the first.

    The network anchor with the first of its codecs: what is looked at is the machine.
    """
    found: dict[object, Cell] = {}
    for cell in cells:
        asked = cell.configuration
        if asked.k in (0, asked.n):
            found.setdefault((asked.k, asked.link, asked.pace), cell)
    return [Visit(cell, blocks) for cell in found.values()]


def _in_groups(
    cells: Sequence[Cell], block: int, room: int, dice: random.Random
) -> Iterator[list[Visit]]:
    splits: dict[int, list[Visit]] = defaultdict(list)
    for cell in cells:
        splits[cell.configuration.k].append(Visit(cell, block))
    order = dice.sample(list(splits.values()), len(splits))
    for first in range(0, len(order), room):
        group = [*chain(*order[first : first + room])]
        yield dice.sample(group, len(group))


def _codecs(config: SweepConfig, model: CutModel, k: int) -> Iterator[str]:
    """The codecs of a cut; UsageError for one that does not exist or cannot be used there."""
    if k == model.graph.n:
        yield NOTHING
        return
    for name in dict.fromkeys(config.codec if k else config.input_codec):
        codec = codec_named(name)
        if codec.sequential and len(model.inputs) < config.most_runs:
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before: a cell of up to "
                f"{config.most_runs} frames would send some of {len(model.inputs)} inputs twice; "
                "give --runs N, and an input of as many frames"
            )
        codec.bind(model.graph.cuts[k].tensors, _made_up(model, k))  # refuse it now
        yield codec.name


def _made_up(model: CutModel, k: int) -> Setting:
    """What binding a codec takes, before anything was calibrated."""
    ranges = {}
    for info in model.graph.cuts[k].tensors:
        axis = channel_axis(len(info.shape), model.channels_last)
        ends = np.zeros(info.shape[axis] if info.shape else 1, np.float32)
        ranges[info.name] = Range(ends, ends + 1)
    return Setting(ranges, model.channels_last, model.recipe if k == 0 else None)


def _part1_bytes(model: CutModel, cut: Cut) -> int:
    """About what part 1 measures: its share of the parameters, of the file's bytes."""
    share = cut.ue_params / max(model.graph.cuts[-1].ue_params, 1)
    return int(share * model.file_bytes)
