"""The cells of a sweep: splits, codecs, links, paces of the UE and loads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, product

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.crowd import OwnUe, crowds
from orchestrator.ask.flow import FLOWS, anchors_of
from orchestrator.ask.heads import Heads, shared_out
from orchestrator.ask.pace import paces
from orchestrator.ask.precision import check_convertible, precisions
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING, PRIVATE_ANCHOR
from orchestrator.ask.sweep.cell import Cell, CutModel, cell_of
from orchestrator.ask.sweep.coding import check_codes, codecs_at
from orchestrator.ask.sweep.config import SweepConfig
from splitbed.codecs import codec_named
from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.splits import resolve


def plan_cells(
    config: SweepConfig, model: CutModel, steps: Mapping[tuple[int, str], str] | None = None
) -> list[Cell]:
    """The grid: the anchors and the splits, each over every link, under every load, as its tables.

    `steps` has the codec with its number, by the cut and the codec where that is left open. Raises
    UsageError.
    """

    def codecs(cut: int) -> list[str]:
        return [(steps or {}).get((cut, name), name) for name in codecs_at(config, model, cut)]

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
        check_codes(codec_named(own.codec), model, own.cut)
    return own


def configurations(
    config: SweepConfig, model: CutModel, codecs: Callable[[int], Sequence[str]]
) -> list[Configuration]:
    """The anchors and the splits, each with all `codecs` of what crosses, over no link yet.

    `codecs` are told of a cut: the input is what crosses cut 0. Raises UsageError.
    """
    n, found = model.graph.n, list[Configuration]()
    heads = heads_of(config, model.graph)
    if config.precise:
        check_convertible(model.graph, config.precise)
    for (k, *later), label in _labels(config, model).items():
        bare = Configuration(k, n, label, flow=config.flow, later=tuple(later), heads=heads)
        bare = replace(
            bare,
            shared=config.shared,
            part_coder=config.part_coder if bare.delivered else "",
            device_model=config.device_model is not None and label == DEVICE_ANCHOR,
        )
        found += _coded(bare, codecs)
    return [own for one in found for own in _precise(one, config)]


def _precise(bare: Configuration, config: SweepConfig) -> list[Configuration]:
    """The same in each precision that is asked for."""
    ue, edge, anchor = config.ue_precision, config.edge_precision, bare.anchor is not None
    every = precisions(bare.itinerary, ue, edge, anchor=anchor) if config.precise else []
    return [replace(bare, precision=one) for one in every] or [bare]


def _coded(bare: Configuration, codecs: Callable[[int], Sequence[str]]) -> list[Configuration]:
    """It with each of the codecs of what crosses."""
    crossing = dict.fromkeys(cut for cut, _ in bare.coding)
    # what crosses later cuts is coded as what crosses the first
    of_data = [codecs(cut) for cut in crossing if cut]
    data = [one for one in dict.fromkeys(chain(*of_data)) if all(one in own for own in of_data)]
    match [codecs(0)] * (0 in crossing) + [data] * bool(of_data):
        case [of_input, after]:
            return [
                replace(bare, codec=codec, input_codec=one)
                for codec, one in product(after, of_input)
            ]
        case [own]:
            return [replace(bare, codec=codec) for codec in own]
    # results alone cross, or nothing does
    return [bare if bare.crossings else replace(bare, codec=NOTHING)]


def _labels(config: SweepConfig, model: CutModel) -> dict[tuple[int, ...], str]:
    """By the cuts, in the order of tables: network anchors first, the device anchor last."""
    inner = splits_asked(config, model)
    labels = {cuts: label for label, cuts in anchors_of(config.flow, model.graph.n).items()}
    last = {cuts: label for cuts, label in labels.items() if label == DEVICE_ANCHOR}
    labels = {cuts: label for cuts, label in labels.items() if cuts not in last}
    if config.private_layers is not None:
        labels[(_private(model.graph, config.private_layers),)] = PRIVATE_ANCHOR
    return labels | {cuts: inner[cuts] for cuts in inner if cuts not in labels | last} | last


def splits_asked(config: SweepConfig, model: CutModel) -> dict[tuple[int, ...], str]:
    """Those that `--split` means, by their cuts: an anchor where it is named. Raises UsageError."""
    graph, count = model.graph, FLOWS[config.flow].parts - 1
    if count == 1:
        splits = resolve(graph, config.split, model.named_splits)
        return {(split.k,): split.label for split in splits}
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
