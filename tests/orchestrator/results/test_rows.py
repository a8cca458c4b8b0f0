"""Each column is declared once, and all that shows it follows from that."""

import csv
import io
from typing import Annotated

import pytest

from orchestrator.checks.threshold import UNITS as ACCEPTED
from orchestrator.results.columns import UNITS, Column, columns_of, csv_lines
from orchestrator.results.rows import COLUMNS, Row
from orchestrator.results.tables import summary_csv
from tests.orchestrator.written import made_row

FIRST_BLOCK = (
    "model, runtime, split, split_name, codec, bw_mbit, delay_ms, loss_pct, frames, errors, "
    "intermediate_tensors, intermediate_bytes, encoded_bytes, part1_bytes, part2_bytes, part1_ms, "
    "encode_ms, uplink_ms, decode_ms, part2_ms, downlink_ms, e2e_ms, e2e_p95_ms, e2e_p99_ms, "
    "bound_ms, e2e_over_bound, speedup_vs_best_anchor, max_abs_diff, link_backend, link_mbit, "
    "link_rtt_ms, link_retransmits, valid"
)


def test_the_first_block_of_the_csv_is_the_design_s() -> None:
    (header,) = csv.reader(io.StringIO(summary_csv([])))
    assert header[: header.index("valid") + 1] == FIRST_BLOCK.split(", ")
    assert header == [*COLUMNS]


def test_a_row_is_written_in_the_order_of_the_header() -> None:
    (line,) = csv.DictReader(io.StringIO(summary_csv([made_row(split="3:4", e2e_ms=1 / 3)])))
    assert (line["split"], line["e2e_ms"], line["valid"]) == ("3:4", "0.333333", "true")
    assert line["tcp"] == ""


def test_a_threshold_can_be_given_in_every_unit_that_a_column_has() -> None:
    assert ACCEPTED.keys() - {""} == UNITS.keys()
    assert {column.unit for column in COLUMNS.values()} <= ACCEPTED.keys()


def test_a_column_that_may_be_empty_says_why() -> None:
    class Unsaid:
        ms: Annotated[float | None, Column("a time")]

    class Misnamed:
        time: Annotated[float, Column("a time", "ms")]

    with pytest.raises(AssertionError, match="why may it be empty"):
        columns_of(Unsaid)
    with pytest.raises(AssertionError, match="not in ms"):
        columns_of(Misnamed)


def test_a_row_is_not_changed() -> None:
    row: Row = made_row()
    with pytest.raises(AttributeError):
        row.valid = False  # type: ignore[misc]


@pytest.mark.parametrize("text", ["=1+1", "+a", "-x", "@a", "\t=1", "-1+1", "=-0.5", "+"])
def test_a_text_that_a_spreadsheet_would_compute_is_a_text_in_csv(text: str) -> None:
    [[written]] = csv.reader(io.StringIO(csv_lines([[text]]), newline=""))
    assert written == f"'{text}"


def test_no_text_in_csv_commands_a_terminal() -> None:
    [[written]] = csv.reader(io.StringIO(csv_lines([["\x1b]0;x\x07\u202ea"]]), newline=""))
    assert written == r"\x1b]0;x\x07\u202ea"


def test_a_text_of_several_lines_is_one_cell_in_csv() -> None:
    [line] = csv.reader(io.StringIO(csv_lines([["a\r\nb\rc", "d"]]), newline=""))
    assert line == ["a \nb c", "d"]


@pytest.mark.parametrize("value", ["-0.5", "+3", "-1e-05", "-inf", -2, "a=b", "1-2", "", "–"])
def test_numbers_and_other_texts_stay_as_they_are_in_csv(value: object) -> None:
    assert csv_lines([["a", value]]) == f"a,{value}\n"
