"""Which cuts a user means by ``--split``.

named            the model's named splits, or else the cuts that can pay
single           every cut that crosses exactly one tensor
all              every cut
A,B,…            a list of labels:
                   split_node_3      a named split, or else the cut before the node of index 3
                   12:131            the cut with 12 layers in part 1 and 131 in part 2
                   NODE:before       the cut just before a node; NODE:after just after it
                                     (of one that is joined to those before it, after all of these)
"""

import heapq
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from splitbed.errors import UsageError, did_you_mean
from splitbed.graphs.graph import Cut, Graph

MANY = ("named", "single", "all")
"""Words for cuts that nobody lists."""
MOST_NAMED = 12


@dataclass(frozen=True)
class Split:
    """A cut under the label that the user gave it."""

    label: str
    k: int


def resolve(graph: Graph, text: str, named: Mapping[str, str] | None = None) -> list[Split]:
    """The splits that ``text`` means; a cut meant twice keeps its first label.

    ``named`` maps labels of the model to ``NODE:before`` or ``NODE:after``.  ``named``, ``single``
    and ``all`` leave out the anchors 0:n and n:0, and ``all`` and ``single`` the cuts that are not
    crossable.  Raises UsageError for a label that means no cut, or one that is not crossable.
    """
    named = named or {}
    inner = _inner(graph)
    match text:
        case "all":
            splits = _splits(inner)
        case "single":
            splits = _splits(cut for cut in inner if cut.count == 1)
        case "named" if named:
            found = [Split(label, _find(graph, place, {})) for label, place in named.items()]
            splits = [split for split in found if 0 < split.k < graph.n]
        case "named":
            splits = _splits(paying(inner))
        case _:
            labels = [label.strip() for label in text.split(",") if label.strip()]
            splits = [Split(label, _find(graph, label, named)) for label in labels]
    if not splits and text not in ("named", "all"):
        raise UsageError(f"--split {text!r} means no cut of this model of {graph.n} layers")
    first: dict[int, Split] = {}
    for split in splits:
        first.setdefault(split.k, split)
    return list(first.values())


def paying(cuts: Iterable[Cut]) -> list[Cut]:
    """Those of ``cuts`` that cross fewer bytes than each one before, at most 12.

    A cut that crosses as much as an earlier one only moves layers to the UE for nothing: it cannot
    pay unless the UE is the faster of the two.  The input is not compared with, as it may be sent
    as a picture and intermediate data through a codec.  Of more than 12, those that shrink the
    data most are kept.
    """
    kept: list[Cut] = []
    shrunk: dict[int, float] = {}
    for cut in cuts:
        if not kept or cut.nbytes < kept[-1].nbytes:
            shrunk[cut.k] = kept[-1].nbytes / max(cut.nbytes, 1) if kept else float("inf")
            kept.append(cut)
    most = set(heapq.nlargest(MOST_NAMED, shrunk, key=shrunk.__getitem__))
    return [cut for cut in kept if cut.k in most]


def _inner(graph: Graph) -> list[Cut]:
    return [cut for cut in graph.cuts[1:-1] if cut.crossable]


def _splits(cuts: Iterable[Cut]) -> list[Split]:
    return [Split(cut.name, cut.k) for cut in cuts]


def _find(graph: Graph, label: str, named: Mapping[str, str]) -> int:
    place = named.get(label, label)
    if counts := re.fullmatch(r"(\d{1,9}):(\d{1,9})", place):
        k = _counted(graph, label, int(counts[1]), int(counts[2]))
    elif index := re.fullmatch(r"split_node_(\d{1,9})", place):
        k = int(index[1])
        if k >= graph.n:
            raise UsageError(
                f"--split {label}: this model has nodes 0 to {graph.n - 1}, "
                f"so split_node_0 to split_node_{graph.n - 1}"
            )
    elif place.endswith((":before", ":after")):
        node, _, side = place.rpartition(":")
        k = _beside(graph, label, node, after=side == "after")
    else:
        raise UsageError(_unknown(graph, label, named))
    cut = graph.cuts[k]
    if 0 < k < graph.n and not cut.crossable:
        raise UsageError(f"--split {label}: cannot cut at {cut.name}: {cut.obstacle}")
    return k


def _counted(graph: Graph, label: str, part1: int, part2: int) -> int:
    if part1 + part2 != graph.n:
        repair = f"for the cut after {part1} of them say {part1}:{graph.n - part1}"
        if part1 > graph.n:
            repair = f"the last label is {graph.n}:0"
        raise UsageError(
            f"--split {label} adds up to {part1 + part2}, but this model has {graph.n} layers: "
            f"{repair}"
        )
    return part1


def _beside(graph: Graph, label: str, node: str, *, after: bool) -> int:
    names = [layer.name for layer in graph.layers]
    if node in names:
        return names.index(node) + after
    for layer in graph.layers:
        if node in layer.joined:  # what it is given never is in memory: it cannot cross
            return layer.index + 1
    they = f", {', '.join([*names[:2], '…', names[-1]])};"
    raise UsageError(
        f"--split {label}: no node is named {node!r} among this model's {graph.n}"
        f"{did_you_mean(node, names, most=3, otherwise=they)} "
        "`orchestrate splits` lists the cuts"
    )


def _unknown(graph: Graph, label: str, named: Mapping[str, str]) -> str:
    if "+" in label:
        return (
            f"--split {label!r}: two cuts, joined by +, are for --flow chain; "
            "give one cut, or a list with commas"
        )
    labels = [*named] or [split.label for split in _splits(paying(_inner(graph)))]
    shown = ", ".join([*labels[:5], "…"] if len(labels) > 5 else labels)
    known = [*named, *(layer.name for layer in graph.layers)]
    return (
        f"--split {label!r} is unknown{did_you_mean(label, known, most=3)} "
        f"choose named, single, all, {len(labels)} labels "
        f"({shown}), split_node_0 to split_node_{graph.n - 1}, 1:{graph.n - 1} to "
        f"{graph.n - 1}:1, NODE:before, NODE:after"
    )
