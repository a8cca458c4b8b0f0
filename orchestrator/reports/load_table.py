"""The table of loads: what became of the frames of each row, and when they were done."""

from collections.abc import Callable, Sequence

from rich.text import Text

from orchestrator.reports.export import UNKNOWN, figure
from orchestrator.reports.grid import Grid, GridColumn
from orchestrator.results.rows import Row

NOT_SUSTAINED = "not sustained"


def _count(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _response(row: Row) -> str:
    if row.sustained is False:
        return NOT_SUSTAINED
    tails = ", ".join(figure(ms, 1) for ms in (row.response_p95_ms, row.response_p99_ms))
    return f"{figure(row.response_ms, 1)} ({tails})"


_KEYS: dict[str, Callable[[Row], str]] = {
    "split": lambda row: row.with_codec,
    "under": lambda row: row.conditions.words,
}
_NUMBERS: dict[str, Callable[[Row], str]] = {
    "offered": lambda row: _count(row.offered),
    "done": lambda row: _count(row.done),
    "late": lambda row: _count(row.late),
    "dropped\n(source, edge)": lambda row: (
        f"{_count(row.dropped_source)}, {_count(row.dropped_edge)}"
    ),
    "error": lambda row: _count(row.frame_errors),
    "a second\n(of those due)": lambda row: (
        f"{figure(row.delivered_fps, 1)} ({figure(row.offered_fps, 1)})"
    ),
    "response ms\n(95 %, 99 %)": _response,
    "waiting ms": lambda row: figure(row.wait_ms, 1),
}


def load_table(table: Sequence[Row]) -> Grid | None:
    """A line for each row whose frames a load offered; None without any."""
    rows = [row for row in table if row.offered is not None]
    if not rows:
        return None
    columns = [
        GridColumn(head, [Text(told(row)) for row in rows], right=head in _NUMBERS)
        for head, told in (_KEYS | _NUMBERS).items()
    ]
    return Grid(columns, keys=len(_KEYS), caption="Frames by when they were due")


def load_lines(table: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """The same for a page: headings, and the texts of each line."""
    rows = [row for row in table if row.offered is not None]
    told = _KEYS | _NUMBERS
    return [*map(_one_line, told)], [[text(row) for text in told.values()] for row in rows]


def _one_line(head: str) -> str:
    return head.replace("\n", " ")
