"""The tables that a run leaves as CSV.

summary.csv: a row per cell
ues.csv: a line for each UE of a cell, where several share the link
resources.csv: a line for each node of a cell, with what it took for a frame
accuracy.csv: every metric of the whole model and of each lossy cell, and of each class
"""

from collections.abc import Iterable, Iterator, Sequence

from orchestrator.ask.flow import UPLINK
from orchestrator.results.columns import csv_lines
from orchestrator.results.columns.flow import flow_columns, stages_of
from orchestrator.results.columns.main import PERCENTILES
from orchestrator.results.records import Accuracy, CellRecord, RunRecord
from orchestrator.results.rows import COLUMNS, Row
from orchestrator.results.statistics.by_ue import UeShare, offered_to, together
from orchestrator.results.statistics.measured_visit import MeasuredVisit
from orchestrator.results.statistics.resources import uses
from splitbed.meters.cpu import REST
from splitbed.timeline import PREPROCESS

_OF_LOAD = (
    *("offered", "done", "late", "dropped_source", "dropped_edge", "errors"),
    *("delivered_fps", "sustained", "response_ms", "response_p95_ms", "response_p99_ms"),
)
UE_COLUMNS = (
    *("cell", "link", "ue", "split", "split_name", "codec", "pace", "load", "way", "frames"),
    *("goodput_mbit", "e2e_ms", *PERCENTILES),
    *_OF_LOAD,
)
_CELL = ("cell", "link", "split", "split_name", "codec", "pace", "load", "frames")
_TAKEN = (
    *("voluntary_switches", "involuntary_switches"),
    *("rss_bytes", "rss_peak_bytes", "pss_bytes", "pss_peak_bytes"),
    *("sent_bytes", "received_bytes", "gpu_ms", "gpu_memory_bytes"),
)
_ENERGY = ("energy_mj", "energy_source", "energy_by")
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


def resources_csv(
    cells: Iterable[Sequence[MeasuredVisit]], run: RunRecord, *, header: bool = True
) -> str:
    """What each node took for a frame of each of the cells of a run.

    CPU time is by stage, and as `rest`: these add up to all of it.
    """
    stages = (PREPROCESS, *stages_of(run.flow), REST)
    by_stage = [f"{stage}_cpu_ms" for stage in stages]
    heads = [*_CELL, "node", "cpu_ms", *by_stage, *_TAKEN, *_ENERGY, "remarks"]
    lines: list[list[object]] = [
        [
            *_cell_line(visits),
            *(one.node, _text(one.cpu_ms)),
            *(_text(one.stages_ms.get(stage) if one.stages_ms else None) for stage in stages),
            *(_text(getattr(one, name)) for name in _TAKEN),
            *map(_text, one.energy),
            "; ".join(one.remarks),
        ]
        for visits in cells
        for one in uses(visits, run.power)
    ]
    return csv_lines([heads, *lines] if header else lines)


def _cell_line(visits: Sequence[MeasuredVisit]) -> tuple[object, ...]:
    cell, frames = visits[0].cell, sum(visit.frames for visit in visits)
    return (
        *(cell.key, cell.link_words, cell.split, cell.split_name, cell.codec, cell.ue, cell.load),
        frames,
    )


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
