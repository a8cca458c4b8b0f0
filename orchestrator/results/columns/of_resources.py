"""The columns of a row that what its nodes took fills."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from orchestrator.ask.devices import Power
from orchestrator.ask.topology import kind_of
from orchestrator.results.rows import Row
from orchestrator.results.statistics.energy import MEASURED, MODELLED, NONE
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.resources import NodeUse, uses
from splitbed.meters.cpu import REST

_STAGES = ("part1", "encode", "decode", "part2")
"""Whose CPU time has a column."""
_MEMORY = ("rss_bytes", "rss_peak_bytes", "pss_bytes")


def with_resources(row: Row, visits: Sequence[MeasuredVisit], powers: Mapping[str, Power]) -> Row:
    """The row with what its nodes took for a frame: all UEs together, and all of the network."""
    nodes = uses(visits, powers)
    found: dict[str, float | int | str | None] = {}
    for kind in ("ue", "edge"):
        own = [one for one in nodes if kind_of(one.node) == kind]
        found[f"{kind}_cpu_ms"] = _over(sum, [one.cpu_ms for one in own])
        found[f"{kind}_rest_cpu_ms"] = _in_stage(own, REST)
        for name in _MEMORY:
            most = _over(max, [getattr(one, name) for one in own])
            found[f"{kind}_{name}"] = None if most is None else round(most)
        found |= _energy(kind, own)
    for stage in _STAGES:
        found[f"{stage}_cpu_ms"] = _in_stage(nodes, stage)
    return replace(row, **found)


def _energy(kind: str, nodes: Sequence[NodeUse]) -> dict[str, float | int | str | None]:
    """Of nodes together; where one is modelled so is the sum."""
    total_mj = _over(sum, [one.energy.mj for one in nodes])
    sources = [one.energy.source for one in nodes]
    source = max(sources, key=(MEASURED, MODELLED, NONE).index, default=NONE)
    gpu_ms = [one.gpu_ms for one in nodes if one.gpu_ms is not None]
    return {
        f"{kind}_energy_mj": total_mj,
        f"{kind}_energy_source": source,
        f"{kind}_gpu_ms": sum(gpu_ms) if gpu_ms else None,
    }


def _in_stage(nodes: Sequence[NodeUse], stage: str) -> float | None:
    """Of nodes together; None where one does not tell its stages."""
    told = [one.stages_ms.get(stage, 0.0) if one.stages_ms else None for one in nodes]
    return _over(sum, told)


def _over(over: Callable[[Iterable[float]], float], values: Sequence[float | None]) -> float | None:
    """None where one is not known, or there are none."""
    told = [value for value in values if value is not None]
    return over(told) if told and len(told) == len(values) else None
