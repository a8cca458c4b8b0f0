"""The cells of a sweep: splits, codecs, links, paces of the UE and loads."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, product
from typing import Protocol

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe, crowds
from orchestrator.ask.flow import FLOWS, anchors_of, delivery_hop, shape_of
from orchestrator.ask.heads import Heads, shared_out
from orchestrator.ask.pace import paces
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING, PRIVATE_ANCHOR
from orchestrator.ask.sweep_config import MIN_FRAMES, SweepConfig
from splitbed.codecs import Codec, codec_named
from splitbed.codecs.calibration import channel_axis
from splitbed.codecs.fitting import check_fitted
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
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

    def picture_at(self, k: int) -> PictureRecipe | None:
        """How what crosses a cut is a picture; None where it is none."""

    @property
    def channels_last(self) -> bool:
        """Whether maps have their channels last."""

    @property
    def file_bytes(self) -> int:
        """What its file measures."""


@dataclass(frozen=True)
class Cell:
    """A configuration that is measured over its link, and about what it sends.

    `crossing_bytes` of intermediate data, not encoded; of the UE's part, before them,
    `delivery_bytes`; of what crosses before, as an input may, `input_bytes`. It has so many
    `frames` at least.
    """

    configuration: Configuration
    crossing_bytes: int
    delivery_bytes: int = 0
    input_bytes: int = 0
    frames: int = MIN_FRAMES

    @property
    def link(self) -> LinkSpec:
        """The link that it is measured over, the first of its flow."""
        assert self.configuration.link is not None
        return self.configuration.link

    @property
    def links(self) -> tuple[LinkSpec, ...]:
        """All of its flow, in their order; what follows the last is as that."""
        return self.configuration.links

    @property
    def ways(self) -> tuple[LinkSpec, ...]:
        """What is proved: these, or of several UEs the way of each to the edge."""
        each = self.configuration.each
        ways = tuple(one.link for one in each if one.link)
        return ways if self.configuration.ues else self.links

    @property
    def wire_ms(self) -> float:
        """What input and intermediate data take on the wire, not encoded."""
        asked = self.configuration
        return sum(
            wire_ms(
                self.crossing_bytes if cut == asked.cut else self.input_bytes,
                shape_of(self.links, hop),
            )
            for hop, cut in asked.crossings
            if cut < asked.n
        )

    @property
    def delivery_ms(self) -> float:
        """What the delivery of the UE's part takes on the wire, about."""
        if not self.delivery_bytes:
            return 0.0
        return wire_ms(
            self.delivery_bytes, shape_of(self.links, delivery_hop(self.configuration.flow))
        )


@dataclass(frozen=True)
class Visit:
    """A cell that is measured in a block: each block measures the whole grid once more."""

    cell: Cell
    block: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """What names it in a run."""
        return self.cell.configuration.key, self.block


def cell_of(configuration: Configuration, model: CutModel, config: SweepConfig) -> Cell:
    """The configuration as a cell of this model, with the frames and the delivery of `config`."""
    cuts, cut = model.graph.cuts, configuration.cut
    return Cell(
        configuration,
        0 if cut is None else cuts[cut].nbytes,
        _part_bytes(model, configuration) if config.delivery else 0,
        cuts[configuration.coding[0][0]].nbytes if len(configuration.coding) > 1 else 0,
        configuration.load.frames(config.runs) if configuration.load.offered else config.least_runs,
    )


def plan_cells(
    config: SweepConfig, model: CutModel, steps: Mapping[tuple[int, str], str] | None = None
) -> list[Cell]:
    """The grid: the anchors and the splits, each over every link, under every load, as its tables.

    `steps` has the codec with its number, by the cut and the codec where that is left open. Raises
    UsageError.
    """

    def codecs(cut: int) -> list[str]:
        return [(steps or {}).get((cut, name), name) for name in _codecs(config, model, cut)]

    asked = configurations(config, model, codecs)
    cells = []
    among = [tuple(_tried(own.on(model), model) for own in ues) for ues in crowds(config)]
    for _, of_split in groupby(asked, key=lambda one: one.cuts):
        grid = product(paces(config), config.flow_links, among, config.loads, [*of_split])
        for pace, links, ues, load, one in grid:
            cells.append(cell_of(one.over(links, pace, ues, load), model, config))
    return cells


def _tried(own: OwnUe, model: CutModel) -> OwnUe:
    """The same; UsageError where its codec cannot code what crosses."""
    if own.codec and own.cut and own.cut < model.graph.n:
        _try(codec_named(own.codec), model, own.cut)
    return own


def configurations(
    config: SweepConfig, model: CutModel, codecs: Callable[[int], Sequence[str]]
) -> list[Configuration]:
    """The anchors and the splits, each with all `codecs` of what crosses, over no link yet.

    `codecs` are told of a cut: the input is what crosses cut 0. Raises UsageError.
    """
    n, found = model.graph.n, []
    heads = heads_of(config, model.graph)
    for (k, *later), label in _labels(config, model).items():
        bare = Configuration(k, n, label, flow=config.flow, later=tuple(later), heads=heads)
        bare = replace(
            bare,
            shared=config.shared,
            part_coder=config.part_coder if bare.delivered else "",
            device_model=config.device_model is not None and label == DEVICE_ANCHOR,
        )
        crossing = dict.fromkeys(cut for cut, _ in bare.coding)
        # what crosses later cuts is coded as what crosses the first
        of_data = [codecs(cut) for cut in crossing if cut]
        data = [one for one in dict.fromkeys(chain(*of_data)) if all(one in own for own in of_data)]
        match [codecs(0)] * (0 in crossing) + [data] * bool(of_data):
            case [of_input, after]:
                found += [
                    replace(bare, codec=codec, input_codec=one)
                    for codec, one in product(after, of_input)
                ]
            case [own]:
                found += [replace(bare, codec=codec) for codec in own]
            case _:  # results alone cross, or nothing does
                found.append(bare if bare.crossings else replace(bare, codec=NOTHING))
    return found


def _labels(config: SweepConfig, model: CutModel) -> dict[tuple[int, ...], str]:
    """By the cuts, in the order of tables: network anchors first, the device anchor last."""
    inner = _inner(config, model)
    labels = {cuts: label for label, cuts in anchors_of(config.flow, model.graph.n).items()}
    last = {cuts: label for cuts, label in labels.items() if label == DEVICE_ANCHOR}
    labels = {cuts: label for cuts, label in labels.items() if cuts not in last}
    if config.private_layers is not None:
        labels[(_private(model.graph, config.private_layers),)] = PRIVATE_ANCHOR
    return labels | {cuts: inner[cuts] for cuts in inner if cuts not in labels} | last


def _inner(config: SweepConfig, model: CutModel) -> dict[tuple[int, ...], str]:
    """The splits that are asked for, where more than one node runs layers."""
    graph, count = model.graph, FLOWS[config.flow].parts - 1
    if count == 1:
        splits = resolve(graph, config.split, model.named_splits)
        return {(split.k,): split.label for split in splits if 0 < split.k < graph.n}
    found = {}
    for words in config.split.split(","):
        labels = words.split("+")
        if len(labels) != count:
            own = sorted(resolve(graph, "named", model.named_splits), key=lambda one: one.k)
            such = (
                f", such as {'+'.join(one.label for one in own[:count])}"
                if own[count - 1 :]
                else ""
            )
            raise UsageError(
                f"--split {config.split}: the flow {config.flow} cuts a model {count} times; give "
                f"{count} cuts with + between them{such}"
            )
        ends = [resolve(graph, one, model.named_splits)[0].k for one in labels]
        if ends != sorted(ends):
            raise UsageError(f"--split {words}: the later cut comes first; give them in order")
        found[tuple(ends)] = words.strip()
    return found


def heads_of(config: SweepConfig, graph: Graph) -> Heads:
    """Which outputs each user's head makes; UsageError for what cannot be."""
    names = [one.name for one in graph.outputs]
    return shared_out(FLOWS[config.flow].users, names, config.heads)


def _private(graph: Graph, layers: int) -> int:
    """The earliest cut that leaves so many layers on the UE (clause 10.3.5)."""
    for cut in graph.cuts[layers : graph.n]:
        if cut.k > 0 and cut.crossable:
            return cut.k
    raise UsageError(
        f"--private-layers {layers}: no cut leaves so many of this model's {graph.n} layers on "
        "the UE, and any on the edge: give fewer"
    )


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

    The network anchor with the first of its codecs and loads: what is looked at is the machine.
    """
    found: dict[object, Cell] = {}
    for cell in cells:
        asked = cell.configuration
        if asked.cuts in anchors_of(asked.flow, asked.n).values():
            found.setdefault((asked.loading, asked.links, asked.pace), cell)
    return [Visit(cell, blocks) for cell in found.values()]


def _in_groups(
    cells: Sequence[Cell], block: int, room: int, dice: random.Random
) -> Iterator[list[Visit]]:
    splits: dict[object, list[Visit]] = defaultdict(list)
    for cell in cells:
        splits[cell.configuration.loading].append(Visit(cell, block))
    order = dice.sample(list(splits.values()), len(splits))
    for first in range(0, len(order), room):
        group = [*chain(*order[first : first + room])]
        yield dice.sample(group, len(group))


def _codecs(config: SweepConfig, model: CutModel, k: int) -> list[str]:
    """Those of what crosses a cut; UsageError for one that does not exist or cannot be used."""
    found = []
    asked = {0: config.input_codec, model.graph.n: config.output_codec}
    for name in dict.fromkeys(asked.get(k, config.codec)):
        codec = codec_named(name)
        if codec.sequential and any(load.offered for load in config.loads):
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before, and under a load "
                f"frames are sent again, and dropped: give another codec, or --load closed"
            )
        if codec.sequential and len(model.inputs) < config.most_runs:
            raise UsageError(
                f"{name} codes a frame with what it knows of the one before: a cell of up to "
                f"{config.most_runs} frames would send some of {len(model.inputs)} inputs twice; "
                "give --runs N, and an input of as many frames"
            )
        _try(codec, model, k)
        found.append(codec.name)
    return found


def _try(codec: Codec, model: CutModel, k: int) -> None:
    """UsageError where it cannot code what crosses, whatever that is."""
    if codec.fitted:  # it is bound once it is fitted
        check_fitted(codec, model.graph.cuts[k].tensors, _made_up(model, k))
    else:
        codec.bind(model.graph.cuts[k].tensors, _made_up(model, k))


def _made_up(model: CutModel, k: int) -> Setting:
    """What binding a codec takes, before anything was calibrated."""
    ranges = {}
    for info in model.graph.cuts[k].tensors:
        axis = channel_axis(len(info.shape), model.channels_last)
        ends = np.zeros(info.shape[axis] if info.shape else 1, np.float32)
        ranges[info.name] = Range(ends, ends + 1)
    return Setting(ranges, model.channels_last, model.picture_at(k))


def _part_bytes(model: CutModel, asked: Configuration) -> int:
    """About what the user's node's part measures: its share of the parameters, of the bytes."""
    cuts, user = model.graph.cuts, FLOWS[asked.flow].user
    own = [one for one in asked.itinerary if one.node == user]
    parameters = sum(cuts[one.last].ue_params - cuts[one.first].ue_params for one in own)
    return int(parameters / max(cuts[-1].ue_params, 1) * model.file_bytes)
