"""What each node took for a frame of a cell, over all its visits; what adds up is a mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from orchestrator.ask.devices import Power
from orchestrator.results.records import NodeResources
from orchestrator.results.statistics.energy import NOT_KNOWN, FrameEnergy, energy_of
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from splitbed.meters.cpu import REST


@dataclass(frozen=True)
class NodeUse:
    """Of a node, for a frame; what no visit tells is None, and so is what one of them does not."""

    node: str
    cpu_ms: float | None = None
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    """Of that by stage, and as `rest`; none where several frames were under way."""
    voluntary_switches: float | None = None
    involuntary_switches: float | None = None
    rss_bytes: float | None = None
    rss_peak_bytes: int | None = None
    pss_bytes: float | None = None
    pss_peak_bytes: int | None = None
    sent_bytes: float = 0.0
    received_bytes: float = 0.0
    gpu_ms: float | None = None
    gpu_memory_bytes: int | None = None
    energy: FrameEnergy = NOT_KNOWN
    remarks: tuple[str, ...] = ()
    """Counters that were not to be believed, and what the machine does not tell."""


def uses(
    visits: Sequence[MeasuredVisit], powers: Mapping[str, Power] | None = None
) -> list[NodeUse]:
    """What each node of a cell took for a frame; none of runs that did not say.

    Energy that was not measured is by the models `powers` of UEs and of nodes of the network.
    """
    told = [visit for visit in visits if visit.frames and visit.cell.resources]
    names = dict.fromkeys(name for visit in told for name in visit.cell.resources)
    return [replace(_use(name, told), energy=energy_of(name, told, powers or {})) for name in names]


def _use(name: str, visits: Sequence[MeasuredVisit]) -> NodeUse:
    every = [visit.cell.resources.get(name, NodeResources(wall_s=0.0)) for visit in visits]
    frames = sum(visit.frames for visit in visits)

    def known(column: str) -> list[float]:
        return [value for one in every if (value := getattr(one, column)) is not None]

    def each(column: str, times: float = 1.0) -> float | None:
        found = known(column)
        return sum(found) * times / frames if len(found) == len(every) else None

    def mean(column: str) -> float | None:
        return float(np.mean(found)) if (found := known(column)) else None

    def most(column: str) -> int | None:
        return max((int(value) for value in known(column)), default=None)

    sums = [visit.cpu_ms.get(name, {}) for visit in visits]
    stages = dict.fromkeys(stage for one in sums for stage in one) if all(sums) else {}
    cpu_ms = each("cpu_s", 1e3)
    stages_ms = {stage: sum(one.get(stage, 0.0) for one in sums) / frames for stage in stages}
    if stages_ms:  # what followed the last frame is no frame's own
        rest_ms = sum(one.rest_s for one in every) * 1e3 / frames
        stages_ms[REST] = stages_ms.get(REST, 0.0) + rest_ms
    if cpu_ms is not None and not any(sums) and _alone(visits):
        stages_ms = {REST: cpu_ms}  # no frame came to it
    crossed = [visit.crossed_bytes.get(name, (0, 0)) for visit in visits]
    return NodeUse(
        name,
        cpu_ms=cpu_ms,
        stages_ms=stages_ms,
        voluntary_switches=each("voluntary_switches"),
        involuntary_switches=each("involuntary_switches"),
        rss_bytes=mean("rss_bytes"),
        rss_peak_bytes=most("rss_peak_bytes"),
        pss_bytes=mean("pss_bytes"),
        pss_peak_bytes=most("pss_peak_bytes"),
        sent_bytes=sum(sent for sent, _ in crossed) / frames,
        received_bytes=sum(came for _, came in crossed) / frames,
        gpu_ms=each("gpu_s", 1e3),
        gpu_memory_bytes=most("gpu_memory_bytes"),
        remarks=tuple(dict.fromkeys(words for one in every for words in (*one.faults, *one.lacks))),
    )


def _alone(visits: Sequence[MeasuredVisit]) -> bool:
    """Whether frames came one at a time to each of the nodes."""
    return all(visit.cpu_ms and not visit.cell.ues for visit in visits)
