"""The rows of a run: one for each cell, completed by what the others and the profile say of it."""

from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.results.columns.asked import asked_row
from orchestrator.results.columns.measured import measured_row, when
from orchestrator.results.judgement.anchors import compared
from orchestrator.results.judgement.disturbance import marked
from orchestrator.results.judgement.validity import pace_remark
from orchestrator.results.prediction import with_prediction
from orchestrator.results.profile import Profile, Profiles
from orchestrator.results.records import CellRecord, PredictedCell, RunRecord
from orchestrator.results.rows import Row
from orchestrator.results.statistics.measured_visit import MeasuredVisit, measured_visit


def rows_of(
    run: RunRecord,
    cells: Sequence[Sequence[MeasuredVisit]],
    own: Sequence[Row],
    profiles: Profiles,
) -> list[Row]:
    """A row for each of the cells, of its visits that count: its `own` (:func:`measured_row`),
    completed."""
    table = completed(own, profiles, cells)
    if all(len(visits) == 1 for visits in cells):
        return table
    every = [visit for visits in cells for visit in visits]
    disturbed: dict[str, list[str]] = {}
    for visit, row in zip(every, visit_rows(run, every, profiles), strict=True):
        told = f"{when(run, visit)}{row.disturbed}" if row.disturbed else ""
        disturbed.setdefault(visit.cell.key, []).append(told)
    return [
        replace(row, disturbed="; ".join(filter(None, disturbed[visits[0].cell.key])))
        for row, visits in zip(table, cells, strict=True)
    ]


def visit_rows(run: RunRecord, visits: Sequence[MeasuredVisit], profiles: Profiles) -> list[Row]:
    """A row for each visit alone, as if it were all that was measured of its cell."""
    alone = [[visit] for visit in visits]
    return completed([measured_row(run, one) for one in alone], profiles, alone)


def completed(
    table: Sequence[Row], profiles: Profiles, cells: Sequence[Sequence[MeasuredVisit]]
) -> list[Row]:
    """The rows of all `cells`, each with what the others and the profile say of it."""

    def predicted(row: Row, last: CellRecord) -> Row:
        profile = profiles.get(row.measured_on)
        if profile is None or last.ues or last.shared:
            return row  # a profile says nothing of UEs that wait for one another
        return with_prediction(row, profile, last.segments)

    done = compared(_with_slowdowns(table))
    return marked([predicted(row, own[-1].cell) for row, own in zip(done, cells, strict=True)])


def with_predicted(
    run: RunRecord, cells: Sequence[CellRecord], table: Sequence[Row], profiles: Profiles
) -> list[Row]:
    """The `table` of these cells with the cells that are predicted, in the order of the grid."""
    measured = {cell.key: row for cell, row in zip(cells, table, strict=True)}
    predicted = {one.cell.key: _predicted(run, one, profiles.get("")) for one in run.predicted}
    return run.in_order({**predicted, **measured})


def _predicted(run: RunRecord, one: PredictedCell, profile: Profile | None) -> Row:
    row = replace(
        asked_row(run, [measured_visit(one.cell, [])]),
        measured=0,
        predicted=True,
        reason="predicted, not measured",
        e2e_predicted_ms=one.e2e_ms,
        e2e_predicted_low_ms=one.low_ms,
        e2e_predicted_high_ms=one.high_ms,
    )
    return with_prediction(row, profile) if profile else row


def _with_slowdowns(table: Sequence[Row]) -> list[Row]:
    """What frames saw, where the run has the cell at the UE's own pace; else as tried alone.

    A row whose pace is not what was asked says so.
    """
    own = {
        (row.configured, row.conditions): row.ue_part_ms
        for row in table
        if not row.ue and row.ue_part_ms
    }

    def of(row: Row) -> Row:
        at_own_pace = own.get((row.configured, row.conditions._replace(ue="")))
        if row.ue and not row.is_network_anchor and row.ue_part_ms and at_own_pace is not None:
            row = replace(row, ue_slowdown=row.ue_part_ms / at_own_pace)
        if row.valid and (remark := pace_remark(row)):
            row = replace(row, reason="; ".join(filter(None, (row.reason, remark))))
        return row

    return [of(row) for row in table]
