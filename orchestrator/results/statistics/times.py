"""The times of a cell's frames as arrays, a value per frame, on the UE's clock.

frames ──> starts and ends, frames × stages ──> what each stage took, end to end, what is left over
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from netem.spec import LinkSpec
from netem.wire import Segment
from orchestrator.ask.flow import FLOWS, UPLINK, at_node, branches, nodes_of, shape_of
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.bound import crossing_ms, is_node_stage
from splitbed.timeline import NS_PER_MS, Stage, counts_from, is_hop

Array = NDArray[np.float64]
K = TypeVar("K")


@dataclass(frozen=True)
class CellTimes:
    """What each frame took, in ms; ``stages`` by the names of those that any frame has."""

    stages: dict[str, Array]
    e2e_ms: Array
    gap_share: Array
    """Share of the end-to-end time that no stage accounts for; overlap is counted once.

    Of several users, both are those of the last one's way.
    """
    by_node: dict[str, Array]
    """Stages on a node, as `ue_encode`; none of the flow uplink, where each is on one node.

    Of several users, end-to-end times of each besides, as `ue_1_e2e`: `e2e_ms` is of the last.
    """
    work_ms: dict[tuple[str, ...], Array]
    """What the nodes on the way to each user worked, by the hops of that way."""
    crosses: NDArray[np.bool_]
    """Whether the frame crossed a link."""

    def ms(self, *names: str) -> Array:
        """What these stages took together; 0 where there were none."""
        return sum((self.stages[n] for n in names if n in self.stages), np.zeros_like(self.e2e_ms))

    def bound_ms(
        self,
        frames: Sequence[FrameRecord],
        *links: LinkSpec,
        segments: Sequence[Segment] = (Segment(),),
        shared: bool = False,
        working: bool = True,
        at_once: bool = False,
    ) -> Array:
        """The physical floor of each frame (:mod:`orchestrator.results.statistics.bound`).

        Where ways to several users go through one link that is `shared`, one waits for another.
        Of nodes that are not `working` it is what the links alone take, and where all is encoded
        ``at_once`` what it were if all were there when the first of it is.
        """
        every = [
            (frame.sent, frame.released if working and not at_once else ()) for frame in frames
        ]
        work_ms, wires_ms, links_ms, delay_ms = ([] for _ in range(4))
        for hops, on_nodes_ms in self.work_ms.items():
            known = {}
            for sent, released in set(every):
                own = [hop for hop in sent if hop.name in hops]
                wire_ms = held_ms = crossing_ms(own, links, segments)
                if released:
                    held_ms = crossing_ms(own, links, segments, dict(released))
                known[sent, released] = wire_ms, held_ms
            work_ms.append(on_nodes_ms * working)
            wires_ms.append(np.array([known[one][0] for one in every]))
            links_ms.append(np.array([known[one][1] for one in every]))
            delay_ms.append(np.full(len(every), sum(shape_of(links, hop).delay_ms for hop in hops)))
        worked, wire, crossing, delay = map(np.array, (work_ms, wires_ms, links_ms, delay_ms))
        if shared:
            # whose work is longest goes first: no order is done earlier (Jackson's rule)
            order = np.argsort(-worked, axis=0)
            worked, wire, crossing, delay = (
                np.take_along_axis(one, order, axis=0) for one in (worked, wire, crossing, delay)
            )
            # what one waits for to be encoded, another may cross in
            crossing = np.maximum(crossing, np.cumsum(wire - delay, axis=0) + delay)
        last: Array = np.max(worked + crossing, axis=0)  # it is there when it is with the last user
        return last


def cell_times(
    frames: Sequence[FrameRecord], clocks: NodeClocks | None, flow: str = UPLINK
) -> CellTimes:
    """The times of at least one frame, on the user's clock; without `clocks` all nodes have it."""
    if clocks is None or not clocks.models:
        stages: Sequence[Sequence[Stage]] = [frame.stages for frame in frames]
    else:
        stages = [clocks.on_one(frame.stages) for frame in frames]
    kinds: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, of_frame in enumerate(stages):
        kinds[tuple([stage.name for stage in of_frame])].append(place)
    parts = [
        (places, _alike(names, [stages[p] for p in places], flow))
        for names, places in kinds.items()
    ]
    if len(parts) == 1:
        return parts[0][1]
    return _joined(len(frames), parts)


def _alike(names: tuple[str, ...], frames: Sequence[Sequence[Stage]], flow: str) -> CellTimes:
    """Of frames whose stages have the same names, in the same order."""
    ends = [ns for frame in frames for stage in frame for ns in (stage.start_ns, stage.end_ns)]
    spans = np.array(ends, np.int64).reshape(len(frames), len(names), 2)
    took_ms = (spans[:, :, 1] - spans[:, :, 0]) / NS_PER_MS
    stages = _summed(names, took_ms)
    nodes = [] if flow == UPLINK else nodes_of(flow, names)
    by_node = _summed([at_node(*both) for both in zip(nodes, names, strict=False)], took_ms)
    crosses = np.full(len(frames), any(map(is_hop, names)))
    ways = {}
    for places in branches(flow, names):
        hops = tuple(name for place in places if is_hop(name := names[place]))
        ways[hops] = _on_way([names[place] for place in places], spans[:, places])
    if len(ways) > 1:
        users = {FLOWS[flow].ends(hops[-1])[1]: one for hops, one in ways.items()}
        by_node |= {at_node(user, "e2e"): one.e2e_ms for user, one in users.items()}
    ends_ms, gaps = (
        np.array([getattr(one, name) for one in ways.values()]) for name in ("e2e_ms", "gap_share")
    )
    last = ends_ms.argmax(axis=0), np.arange(len(frames))
    work_ms = {hops: one.work_ms for hops, one in ways.items()}
    return CellTimes(stages, ends_ms[last], gaps[last], by_node, work_ms, crosses)


@dataclass(frozen=True)
class _Way:
    """What frames took to a user, and of that the nodes."""

    e2e_ms: Array
    gap_share: Array
    work_ms: Array


def _on_way(names: Sequence[str], spans: NDArray[np.int64]) -> _Way:
    counted = spans[:, counts_from(names) :]
    e2e_ns = counted[:, :, 1].max(axis=1) - counted[:, :, 0].min(axis=1)
    gap = 1 - _covered_ns(counted) / np.maximum(e2e_ns, 1)
    worked = spans[:, [*map(is_node_stage, names)]]
    work_ns = (worked[:, :, 1] - worked[:, :, 0]).sum(axis=1)
    return _Way(e2e_ns / NS_PER_MS, np.where(e2e_ns > 0, gap, 0.0), work_ns / NS_PER_MS)


def _summed(names: Sequence[str], took_ms: Array) -> dict[str, Array]:
    """What all stages of a name took together."""
    found: dict[str, Array] = {}
    for place, name in enumerate(names):
        found[name] = found.get(name, 0.0) + took_ms[:, place]
    return found


def _covered_ns(spans: NDArray[np.int64]) -> NDArray[np.int64]:
    """What spans cover in each frame, overlap counted once."""
    order = np.lexsort((spans[:, :, 1], spans[:, :, 0]), axis=1)
    starts, ends = (np.take_along_axis(spans[:, :, end], order, axis=1) for end in (0, 1))
    reached = np.maximum.accumulate(ends, axis=1)
    before = np.concatenate((starts[:, :1], reached[:, :-1]), axis=1)
    covered: NDArray[np.int64] = np.maximum(ends - np.maximum(starts, before), 0).sum(axis=1)
    return covered


def pooled(every: Sequence[CellTimes]) -> CellTimes:
    """The frames of several visits of a cell, one after another."""
    if len(every) == 1:
        return every[0]
    ends = [*accumulate((len(one.e2e_ms) for one in every), initial=0)]
    places = [[*range(*span)] for span in pairwise(ends)]
    return _joined(ends[-1], [*zip(places, every, strict=True)])


def _joined(count: int, parts: Sequence[tuple[list[int], CellTimes]]) -> CellTimes:
    """Of frames that went through other stages, each in its own place."""
    stages = _in_places(count, [(places, times.stages) for places, times in parts])
    by_node = _in_places(count, [(places, times.by_node) for places, times in parts])
    work_ms = _in_places(count, [(places, times.work_ms) for places, times in parts])
    e2e_ms, gap_share, crosses = np.zeros(count), np.zeros(count), np.zeros(count, np.bool_)
    for places, times in parts:
        e2e_ms[places], gap_share[places] = times.e2e_ms, times.gap_share
        crosses[places] = times.crosses
    return CellTimes(stages, e2e_ms, gap_share, by_node, work_ms, crosses)


def _in_places(count: int, parts: Sequence[tuple[list[int], dict[K, Array]]]) -> dict[K, Array]:
    """By their names, each value in its place; 0 where there is none."""
    found: dict[K, Array] = {}
    for places, named in parts:
        for name, values in named.items():
            found.setdefault(name, np.zeros(count))[places] = values
    return found
