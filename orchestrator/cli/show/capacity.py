"""What a pair carries, as a user is told it."""

from orchestrator.capacity.run import CapacityOutcome
from orchestrator.reports.terminal import (
    Line,
    show_json,
    show_lines,
    show_unfinished,
    show_verdict,
    stdout,
)
from orchestrator.results.records.capacity import CapacityRow


def show_capacity(outcome: CapacityOutcome, *, as_json: bool) -> None:
    """Print a line for each configuration, the verdict and what bounds each; or JSON."""
    record, verdict = outcome.record, outcome.verdict
    if as_json:
        show_json(outcome, must_hold=record.words, rows=[row.plain() for row in record.rows])
    else:
        console = stdout()
        console.print(f"What holds: {record.words}", soft_wrap=True)
        show_lines([*map(_line, record.rows)], as_json=False)
        show_verdict(verdict, console)
        console.print(f"Every run: {outcome.folder}/trials.csv", soft_wrap=True)
        if outcome.stopped is not None:
            go_on = f"orchestrate capacity --resume {outcome.folder}"
            console.print(f"Go on with: {go_on}", soft_wrap=True)
    show_unfinished(outcome)


def _line(row: CapacityRow) -> Line:
    unit = "UEs" if row.over == "ues" else "frames/s"
    return {
        "split": row.split_name,
        "codec": row.codec,
        "link": f"{row.link}, UE {row.ue}" if row.ue else row.link,
        f"holds, {unit}": _number(row.last_passing),
        "confirmed": f"{row.confirmed} of {row.confirming}" if row.confirming else "",
        "fails": _number(row.first_failing),
        "bound by": row.error or row.bound_by,
        **{f"{name}, ms": _number(ms) for name, ms in row.times_ms.items()},
        "alone, ms": _number(row.e2e_ms),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
