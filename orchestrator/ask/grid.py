"""The cells of a sweep: splits, codecs, links and paces of the UE."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.pace import Pace, paces
from splitbed.codecs import codec_named
from splitbed.codecs.calibration import channel_axis
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.graphs.graph import Cut, Graph
from splitbed.graphs.splits import resolve
from splitbed.media.recipes import PictureRecipe

NETWORK_ANCHOR, DEVICE_ANCHOR = "network anchor", "device anchor"
RAW, NOTHING = "raw", "none"  # of the device anchor nothing crosses the link


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
    """One point of the sweep's grid; about `delivery_bytes` of part 1 go before the frames."""

    label: str
    cut: Cut
    link: LinkSpec
    codec: str = RAW
    pace: Pace = field(default_factory=Pace)
    delivery_bytes: int = 0

    @property
    def key(self) -> str:
        """Names the cell in the journal: the split and all that is asked of it."""
        pace = f" on UE {self.pace.words}" if self.pace.limits else ""
        return f"{self.cut.name} {self.codec} over {self.link.words}{pace}"

    @property
    def crosses(self) -> bool:
        """Whether anything crosses the link."""
        return self.codec != NOTHING

    @property
    def lossless(self) -> bool:
        """Whether the edge gets the very tensors that the UE had."""
        return not self.crosses or codec_named(self.codec).lossless

    def wire_ms(self) -> float:
        """What the intermediate data takes on the wire, not encoded."""
        return wire_ms(self.cut.nbytes, self.link.uplink) if self.crosses else 0.0

    @property
    def delivery_ms(self) -> float:
        """What the delivery of part 1 takes on the wire, about."""
        return wire_ms(self.delivery_bytes, self.link.downlink) if self.delivery_bytes else 0.0


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
        nbytes = _delivery_bytes(config, model, k)
        for pace in paces(config):
            for link in config.links():
                for codec in _codecs(config, model, k):
                    cells.append(Cell(labels[k], graph.cuts[k], link, codec, pace, nbytes))
    return cells


def in_random_order(cells: Sequence[Cell], seed: int) -> list[Cell]:
    """The cells as they are measured: in an order that `seed` alone decides.

    Splits follow one another at random, and so do the cells of each: a split is loaded once, and
    delivered once over each link.
    """
    dice = random.Random(seed)  # noqa: S311  it hides nothing
    splits: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        splits[cell.cut.k].append(cell)
    order = dice.sample(list(splits.values()), len(splits))
    return [cell for own in order for cell in dice.sample(own, len(own))]


def _codecs(config: SweepConfig, model: CutModel, k: int) -> Iterator[str]:
    """The codecs of a cut; UsageError for one that does not exist or cannot be used there."""
    if k == model.graph.n:
        yield NOTHING
        return
    for name in dict.fromkeys(config.codec if k else config.input_codec):
        codec = codec_named(name)
        if codec.sequential and len(model.inputs) < config.runs:
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before: --runs {config.runs} "
                f"would send some of {len(model.inputs)} inputs twice; give as many as --runs"
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


def _delivery_bytes(config: SweepConfig, model: CutModel, k: int) -> int:
    """About what part 1 measures: its share of the parameters, of the file's bytes."""
    if not config.delivery:
        return 0
    share = model.graph.cuts[k].ue_params / max(model.graph.cuts[-1].ue_params, 1)
    return int(share * model.file_bytes)
