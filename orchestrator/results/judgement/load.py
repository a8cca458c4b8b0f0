"""What is to be said of a load: who sustained it, and whether the source kept up."""

from collections.abc import Sequence

from orchestrator.results.judgement.words import listed, ms_words, named
from orchestrator.results.rows import Conditions, Row, known
from orchestrator.results.statistics.offered import Offered

MAX_SCHEDULE_ERROR_MS = 1.0
"""A source that begins frames later, though they waited for no other, does not keep up."""


def failures_of(row: Row, failures: Sequence[str]) -> list[str]:
    """Why a row does not count some of whose frames failed."""
    if not row.frame_errors:
        return []
    why = f": {failures[0]}" if failures else ""
    return [f"{row.frame_errors} of {row.offered} frames failed{why}"]


def remarks_on_load(row: Row, found: Offered | None) -> list[str]:
    """What a valid row says of its load, where it has one."""
    if found is None:
        return []
    said = [] if found.sustained else [f"not sustained: {found.why}"]
    late_ms = row.schedule_error_ms
    # frames of a closed load are due when somebody takes them
    scheduled = not row.load.startswith("closed")
    if scheduled and late_ms is not None and late_ms > MAX_SCHEDULE_ERROR_MS:
        said.append(
            f"valid, though the source did not keep up: it began frames {ms_words(late_ms)} after "
            "they were due (99th percentile)"
        )
    return said


def load_advice(table: Sequence[Row]) -> list[str]:
    """Under each condition with a load who sustains it, the quickest first."""
    counting = [row for row in table if row.valid and row.sustained is not None]
    return [
        _who_sustains(where, [row for row in counting if row.conditions == where])
        for where in dict.fromkeys(row.conditions for row in counting)
    ]


def _who_sustains(where: Conditions, rows: Sequence[Row]) -> str:
    held = sorted((row for row in rows if row.sustained), key=lambda row: known(row.response_ms))
    over = [named(row) for row in rows if not row.sustained]
    if not held:
        return f"At {where.words}: nothing measured sustains it."
    told = "; ".join(f"{named(row)}, {_response(row)}" for row in held)
    beyond = f"; {listed(over, 'and')} {'does' if len(over) == 1 else 'do'} not" if over else ""
    return f"At {where.words}: sustained by {told}{beyond}. Times are from when frames were due."


def _response(row: Row) -> str:
    """The median, and as far out as its frames tell."""
    tails = {"95": row.response_p95_ms, "99": row.response_p99_ms}
    told = [f", {quantile} % within {ms_words(ms)}" for quantile, ms in tails.items() if ms]
    return f"{ms_words(known(row.response_ms))}{''.join(told[-1:])}"
