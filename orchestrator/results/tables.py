"""The tables that a run leaves as CSV.

summary.csv: a row per cell
ues.csv: a line for each UE of a cell, where several share the link
accuracy.csv: every metric of the whole model and of each lossy cell, and of each class
"""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.ask.flow import UPLINK
from orchestrator.results.columns import csv_lines
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.columns.main import PERCENTILES
from orchestrator.results.records import Accuracy, CellRecord
from orchestrator.results.rows import COLUMNS, Row
from orchestrator.results.statistics.by_ue import UeShare, offered_to, together
from orchestrator.results.statistics.measured_visit import MeasuredVisit

_OF_LOAD = (
    *("offered", "done", "late", "dropped_source", "dropped_edge", "errors"),
    *("delivered_fps", "sustained", "response_ms", "response_p95_ms", "response_p99_ms"),
)
UE_COLUMNS = (
    *("cell", "link", "ue", "split", "split_name", "codec", "pace", "load", "way", "frames"),
    *("goodput_mbit", "e2e_ms", *PERCENTILES),
    *_OF_LOAD,
)
ACCURACY_COLUMNS = ("split_name", "codec", "cell", "metric", "class", "value")
WHOLE_MODEL = "whole model"


def summary_csv(table: Iterable[Row], flow: str = UPLINK, *, header: bool = True) -> str:
    """The rows, all of this flow; what is not known is empty."""
    lines = (map(_text, row.plain().values()) for row in table)
    return csv_lines([[*COLUMNS, *flow_columns(flow)], *lines] if header else lines)


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else value


def ues_csv(cells: Iterable[Sequence[MeasuredVisit]]) -> str:
    """What each UE had of each of the cells, given by their visits; nothing where none had."""
    lines = [
        (
            *(visits[0].cell.key, visits[0].cell.link_words),
            *(ue.name, ue.split, ue.split_name, ue.codec, ue.pace, ue.load, ue.link.words),
            len(share.e2e_ms),
            *map(_text, (share.goodput_mbit, share.median_ms)),
            *(None if told and not told.sustained else value for value in _percentiles(share)),
            *(_text(getattr(told, name)) if told else None for name in _OF_LOAD),
        )
        for visits in cells
        for share in together([visit.shares for visit in visits if visit.shares])
        for ue, told in [(share.ue, offered_to(share.ue.name, [one.fates for one in visits]))]
    ]
    return csv_lines([UE_COLUMNS, *lines]) if lines else ""


def _percentiles(share: UeShare) -> list[object]:
    return [_text(share.percentile_ms(quantile)) for quantile in PERCENTILES.values()]


def accuracy_csv(
    cells: Iterable[CellRecord], whole: Accuracy | None = None, *, header: bool = True
) -> str:
    """The metrics of each cell (clause 9.4), those of the whole model before them."""
    lines: list[tuple[object, ...]] = [ACCURACY_COLUMNS] if header else []
    lines += _lines((WHOLE_MODEL, "", ""), whole)
    for cell in cells:
        lines += _lines((cell.split_name, cell.codec, cell.key), cell.accuracy)
    return csv_lines(lines)


def _lines(where: tuple[str, str, str], accuracy: Accuracy | None) -> Iterator[tuple[object, ...]]:
    if accuracy is None:
        return
    for name, value in accuracy.more.items():
        yield *where, name, "all", value
    for name, value in accuracy.classes.items():
        yield *where, "ap", name, value
