"""The table of resources: what UE and network took for a frame of each row (clause 6)."""

from collections.abc import Callable, Sequence

from orchestrator.reports.export import UNKNOWN, figure
from orchestrator.results.rows import Row

_MB = 1e6


def _mb(nbytes: int | None) -> str:
    return UNKNOWN if nbytes is None else figure(nbytes / _MB, 0)


def _energy(mj: float | None, source: str) -> str:
    return UNKNOWN if mj is None else f"{figure(mj, 1)} ({source})"


_TOLD: dict[str, Callable[[Row], str]] = {
    "split": lambda row: row.with_codec,
    "under": lambda row: row.conditions.words,
    "UE CPU ms": lambda row: figure(row.ue_cpu_ms, 2),
    "of it part 1": lambda row: figure(row.part1_cpu_ms, 2),
    "encode": lambda row: figure(row.encode_cpu_ms, 2),
    "in no stage": lambda row: figure(row.ue_rest_cpu_ms, 2),
    "edge CPU ms": lambda row: figure(row.edge_cpu_ms, 2),
    "of it part 2": lambda row: figure(row.part2_cpu_ms, 2),
    "UE memory MB, most": lambda row: _mb(row.ue_rss_peak_bytes),
    "edge memory MB, most": lambda row: _mb(row.edge_rss_peak_bytes),
    "UE energy mJ": lambda row: _energy(row.ue_energy_mj, row.ue_energy_source),
    "edge energy mJ": lambda row: _energy(row.edge_energy_mj, row.edge_energy_source),
}


def resource_lines(table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Headings, and the texts of each row that tells anything; for a page."""
    rows = [row for row in table if row.ue_cpu_ms is not None or row.edge_cpu_ms is not None]
    return [*_TOLD], [[text(row) for text in _TOLD.values()] for row in rows]
