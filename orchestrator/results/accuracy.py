"""accuracy.csv: every metric of the whole model and of each lossy cell, and of each class."""

from collections.abc import Iterable, Iterator

from orchestrator.results.columns import csv_lines
from orchestrator.results.records import Accuracy, CellRecord

COLUMNS = ("split_name", "codec", "cell", "metric", "class", "value")
WHOLE_MODEL = "whole model"


def accuracy_csv(
    cells: Iterable[CellRecord], whole: Accuracy | None = None, *, header: bool = True
) -> str:
    """The metrics of each cell (clause 9.4), those of the whole model before them."""
    lines: list[tuple[object, ...]] = [COLUMNS] if header else []
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
