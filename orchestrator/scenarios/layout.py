"""How a clause lays its results out, and the columns that any of its tables may have."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING, encodes
from orchestrator.reports.export import figure, sent_mb, valid_word
from orchestrator.reports.sheet import Sheet
from orchestrator.results.reading import Reading
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.sheets import by_cut

SIDES_NOTE = (
    "The client (UE) computes part 1 and encodes, the server decodes and computes part 2; making "
    "results of outputs counts on the side that has the outputs. Columns are medians of their own."
)

TextColumns = Mapping[str, Callable[[Row], str]]
"""Heading -> the text of a row."""


@dataclass(frozen=True)
class Layout:
    """A clause of the document: where its results stand, why, how it captions the anchor model.

    `sheets` makes its tables of the rows that were measured; what cannot be shown is told in plain
    text. `clause_mb` is whether it prints sizes of model files in units of 1,024,000 bytes.
    """

    place: str
    reason: str
    model_caption: str
    sheets: Callable[[RunFolder, Reading, Sequence[Row]], list[Sheet | str]]
    clause_mb: bool = False


def row_sheet(
    caption: str, rows: Sequence[Row], columns: TextColumns, notes: Sequence[str]
) -> Sheet:
    """A line per row, from the network anchor to the device anchor."""
    lines = [[text(row) for text in columns.values()] for row in by_cut(rows)]
    return Sheet(caption, tuple(columns), lines, notes)


def codec_columns(rows: Sequence[Row]) -> TextColumns:
    """Only where something is coded."""
    if not any(encodes(row.codec) for row in rows):
        return {}
    return {"Codec": lambda row: row.codec, "Sent data (MB)": sent_mb}


def judged_columns(rows: Sequence[Row]) -> TextColumns:
    """What a codec costs, and which rows do not count."""
    found: dict[str, Callable[[Row], str]] = {}
    if any(row.accuracy_drop is not None for row in rows if not row.lossless):
        found["Accuracy"] = lambda row: figure(row.accuracy, 3)
        found["Accuracy drop"] = lambda row: figure(row.accuracy_drop, 3)
    if not all(row.valid for row in rows):
        found["Verdict"] = valid_word
    return found


def sides_ms(row: Row) -> tuple[float, float]:
    """What the UE and what the edge spend on a frame."""
    ue_ms = known(row.part1_ms) + known(row.encode_ms)
    if row.anchor == DEVICE_ANCHOR:
        return ue_ms + known(row.result_ms), 0.0
    return ue_ms, known(row.decode_ms) + known(row.part2_ms) + known(row.result_ms)


def crossing(row: Row, unit: float) -> str:
    """The intermediate data in this unit of bytes; nothing crosses at the device anchor."""
    return "0" if row.codec == NOTHING else over(row.intermediate_bytes, unit)


def over(nbytes: int | None, unit: float) -> str:
    """Bytes in this unit; nothing where they are not known."""
    return "" if nbytes is None else f"{nbytes / unit:.2f}"


def by_conditions(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows under each link and pace of the UE, by their words."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        where = f"{row.link}, UE {row.ue}" if row.ue else row.link
        found.setdefault(where, []).append(row)
    return found
