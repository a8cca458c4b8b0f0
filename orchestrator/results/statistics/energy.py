"""What a node took of energy for a frame: measured where its machine tells, else by a model."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.ask.devices import Power
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.topology import kind_of
from orchestrator.results.records import CellRecord, FrameRecord, NodeResources
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.spent import cpu_ms
from splitbed.timeline import Timeline, is_hop

MEASURED, MODELLED, NONE = "measured", "modelled", "none"
_S_PER_MS = 1e-3


class FrameEnergy(NamedTuple):
    """In mJ, of a frame; whether it was measured; by which meter, or whose model."""

    mj: float | None = None
    source: str = NONE
    by: str = ""


NOT_KNOWN = FrameEnergy()


def energy_of(
    node: str, visits: Sequence[MeasuredVisit], powers: Mapping[str, Power]
) -> FrameEnergy:
    """Of a node, over all visits of a cell that have frames.

    A meter of a whole machine is the node's where no other node is on it.
    """
    every = [(visit, told) for visit in visits if (told := visit.cell.resources.get(node))]
    frames = sum(visit.frames for visit, _ in every)
    if not frames or len(every) < len(visits):
        return NOT_KNOWN
    measured = [_measured_j(told) for _, told in every]
    if None not in measured:
        meters = dict.fromkeys(told.energy.meter for _, told in every if told.energy)
        joules = sum(one for one in measured if one is not None)
        return FrameEnergy(joules * 1e3 / frames, MEASURED, ", ".join(meters))
    power = powers.get(kind_of(node))
    modelled = [_modelled_j(node, *one, power) for one in every] if power else [None]
    if power is None or None in modelled:
        return NOT_KNOWN
    joules = sum(one for one in modelled if one is not None)
    return FrameEnergy(joules * 1e3 / frames, MODELLED, power.source.strip())


def frame_mj(
    cell: CellRecord, frame: FrameRecord, timeline: Timeline, powers: Mapping[str, Power]
) -> dict[str, float]:
    """What a frame took of each node whose CPU time it has, by the model of its kind; in mJ.

    A model, whether or not a meter counted over the cell: that is not read for a frame. What a node
    computes after the last stage of the last frame is in the cell's mean alone.
    """
    found, hops = {}, dict.fromkeys(one.name for one in timeline.stages if is_hop(one.name))
    for node, stages_ms in cpu_ms([frame]).items():
        if (power := powers.get(kind_of(node))) is None:
            continue
        slower = (cell.ue_slowdown or 1.0) if kind_of(node) == "ue" else 1.0
        ends = [(FLOWS[cell.flow].ends(hop), timeline.ms(hop) * _S_PER_MS) for hop in hops]
        sending_s, receiving_s = (
            sum(took_s for own, took_s in ends if own[place] == node) for place in (0, 1)
        )
        cpu_s = sum(stages_ms.values()) * _S_PER_MS * slower
        joules = power.joules(timeline.e2e_ms * _S_PER_MS, cpu_s, sending_s, receiving_s)
        found[node] = joules / _S_PER_MS
    return found


def _measured_j(told: NodeResources) -> float | None:
    if told.energy is None or (told.shared_machine and not told.energy.own):
        return None
    return sum(told.energy.domains.values())


def _modelled_j(node: str, visit: MeasuredVisit, told: NodeResources, power: Power) -> float | None:
    """Of a slowed UE as if it computed as long as it stands in for; of several each has a share."""
    if told.cpu_s is None or visit.times is None:
        return None
    ue = kind_of(node) == "ue"
    share = 1 / len(visit.cell.ues) if visit.cell.ues and ue else 1.0
    slower = (visit.cell.ue_slowdown or 1.0) if ue else 1.0
    under_way_s = share * float(visit.times.e2e_ms.sum()) * _S_PER_MS
    crossing_s = {True: 0.0, False: 0.0}  # by whether it sends
    for hop in filter(is_hop, visit.times.stages):
        for sends, end in zip((True, False), FLOWS[visit.cell.flow].ends(hop), strict=True):
            if end == node or (visit.cell.ues and ue and kind_of(end) == "ue"):
                crossing_s[sends] += share * float(visit.times.ms(hop).sum()) * _S_PER_MS
    return power.joules(
        min(told.wall_s, under_way_s), told.cpu_s * slower, crossing_s[True], crossing_s[False]
    )
