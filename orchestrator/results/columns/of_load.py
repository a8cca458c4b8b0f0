"""The columns of a row that the fates of its frames fill, where a load offered them."""

from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.results.columns.main import PERCENTILES
from orchestrator.results.rows import Row
from orchestrator.results.statistics.by_ue import offered_to
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.offered import Offered, together


def offered_in(visits: Sequence[MeasuredVisit]) -> Offered | None:
    """What became of all frames of these visits; None where none was offered."""
    runs = [visit.fates for visit in visits if visit.fates]
    return together(runs, visits[0].cell.in_flight) if runs else None


def with_load(row: Row, visits: Sequence[MeasuredVisit]) -> Row:
    """The row with it; of a load that was not sustained it has no percentiles, of anything."""
    if (found := offered_in(visits)) is None:
        return row
    if not found.sustained:
        row = replace(row, **dict.fromkeys(PERCENTILES), worst_ue_e2e_p99_ms=None)
    return replace(
        row,
        offered=found.offered,
        done=found.done,
        late=found.late,
        dropped_source=found.dropped_source,
        dropped_edge=found.dropped_edge,
        frame_errors=found.errors,
        offered_fps=found.offered_fps,
        delivered_fps=found.delivered_fps,
        sustained=found.sustained,
        response_ms=found.response_ms,
        response_p95_ms=found.response_p95_ms,
        response_p99_ms=found.response_p99_ms,
        wait_ms=found.wait_ms,
        schedule_error_ms=found.schedule_error_ms,
        worst_ue_response_p99_ms=_worst_ms(visits) if found.sustained else None,
    )


def _worst_ms(visits: Sequence[MeasuredVisit]) -> float | None:
    """The longest 99th percentile of a UE; None where there is one UE, or one has none."""
    ues, fates = visits[0].cell.ues, [visit.fates for visit in visits]
    of_each = [found.response_p99_ms for ue in ues if (found := offered_to(ue.name, fates))]
    told = [ms for ms in of_each if ms is not None]
    return max(told, default=None) if len(told) == len(ues) else None
