"""Rows as files that other programs and papers take."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.reports.export import FORMATS, export, run_facts
from orchestrator.reports.sheet import LINES_OF_A_PAGE, latex_text
from orchestrator.results.facts import Conditions, ModelFacts
from orchestrator.results.records import RunRecord
from orchestrator.results.rows import COLUMNS, Row
from splitbed.errors import MachineError, UsageError
from tests.orchestrator.written import made_row

NASTY = r"a|b_c & 50% #1 $x$ {y} ~^\ <é> – 日 [z]*"
FACTS = {"model": "m", "git commit": "it's 50% of_it"}


def row(name: str = "cut", **changed: object) -> Row:
    values = {"split_name": name, "intermediate_tensors": 2, "encoded_bytes": 5_760_000}
    values |= {"part1_ms": 12.34, "uplink_ms": 100.0, "part2_ms": 5.0, "e2e_ms": 120.04}
    values |= {
        "e2e_low_ms": 119.0,
        "e2e_high_ms": 121.5,
        "e2e_coverage_pct": 96.875,
        "e2e_over_bound": 1.0123,
    }
    return made_row(**values | {"speedup_vs_best_anchor": 1.5} | changed)


def text(rows: list[Row], name: str) -> str:
    return export(rows, name, FACTS).decode()


def cells(line: str) -> list[str]:
    """Of a line of a Markdown table: what stands between bars that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def parquet(rows: list[Row], tmp_path: Path, query: str) -> list[tuple[object, ...]]:
    duckdb = pytest.importorskip("duckdb", reason="DuckDB, which writes Parquet, is not installed")
    file = tmp_path / "rows.parquet"
    file.write_bytes(export(rows, "parquet", FACTS))
    with duckdb.connect() as database:
        return list(database.execute(query.replace("FILE", f"'{file}'")).fetchall())


def test_markdown_has_the_columns_of_a_paper_with_the_interval() -> None:
    head, _, line = text([row()], "md").splitlines()[:3]
    found = dict(zip(cells(head), cells(line), strict=True))
    assert found == {
        "split": "cut", "k:n-k": "1:1", "codec": "raw", "link": "20 Mbit/s", "tensors": "2",
        "sent (MB)": "5.76", "part 1 (ms)": "12.3", "uplink (ms)": "100.0",
        "part 2 (ms)": "5.0", "end-to-end (ms)": "120.0 [119.0–121.5, 96.9 %]",
        "over bound": "1.012", "speed-up": "1.50", "verdict": "VALID",
    }  # fmt: skip


def test_accuracy_and_pace_are_columns_where_a_row_has_them() -> None:
    rows = [row(), row(ue="4 times slower", accuracy=0.5, accuracy_drop=0.25, valid=False)]
    head, _, first, second = text(rows, "md").splitlines()[:4]
    assert {"UE", "accuracy", "drop"} <= set(cells(head))
    assert cells(first)[-3:] == ["", "", "VALID"]
    assert cells(second)[-3:] == ["0.500", "0.250", "INVALID"]


def test_a_cell_that_failed_has_dashes() -> None:
    failed = made_row(valid=False)
    head, _, line = text([failed], "md").splitlines()[:3]
    assert dict(zip(cells(head), cells(line), strict=True))["end-to-end (ms)"] == "–"


def test_a_name_with_bars_stays_in_its_column_of_markdown() -> None:
    head, _, line = text([row(NASTY)], "md").splitlines()[:3]
    assert len(cells(line)) == len(cells(head))
    assert re.sub(r"\\([^\sa-zA-Z0-9])", r"\1", cells(line)[0]) == NASTY


def test_nothing_special_is_left_bare_in_latex() -> None:
    bare = re.sub(r"\\[%_&#${}]|\\[a-z]+\{\}|\$\\[a-z]+\$|\{[\[\]*]\}", "", latex_text(NASTY))
    assert not set(r"%_&#${}~^\<>|[]*") & set(bare)


def test_a_line_of_latex_has_as_many_cells_as_the_table_has_columns() -> None:
    told = text([row(NASTY)], "latex")
    match = re.search(r"\\begin\{tabular\}\{([lr]+)\}", told)
    assert match
    lines = [line for line in told.splitlines() if line.endswith(r"\\")]
    assert [len(re.split(r"(?<!\\)&", line)) for line in lines] == [len(match[1])] * 2


def test_a_long_table_of_latex_goes_on_over_the_page() -> None:
    told = text([row()] * (LINES_OF_A_PAGE + 1), "latex")
    assert r"\begin{longtable}" in told
    assert r"\endhead" in told


@pytest.mark.parametrize("lines", [1, LINES_OF_A_PAGE + 1])
def test_latex_compiles(tmp_path: Path, lines: int) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex (apt-get install texlive-latex-recommended)")
    body = text([row(NASTY)] * lines, "latex")
    packages = r"\usepackage{booktabs,longtable}"
    document = rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "t.tex").write_text(document.replace(body, f"\n{body}\n"))
    argv = ["pdflatex", "-halt-on-error", "-draftmode", "t.tex"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["md", "latex", "json"])
def test_the_facts_of_the_run_travel_with_the_table(name: str) -> None:
    assert "git commit" in text([row()], name)


def test_csv_is_summary_csv() -> None:
    (line,) = csv.DictReader(io.StringIO(text([row()], "csv")))
    assert tuple(line) == tuple(COLUMNS)
    assert (line["e2e_ms"], line["valid"], line["reason"]) == ("120.04", "true", "")


def test_json_has_every_column_with_null_for_what_is_not_known() -> None:
    (line,) = json.loads(text([row(accuracy=float("nan"))], "json"))["rows"]
    assert tuple(line) == tuple(COLUMNS)
    assert (line["e2e_ms"], line["valid"]) == (120.04, True)
    assert (line["reason"], line["accuracy"], line["tcp"]) == (None, None, None)


def test_parquet_has_numbers_as_numbers_and_null_for_what_is_empty(tmp_path: Path) -> None:
    query = "SELECT split_name, e2e_ms, encoded_bytes, valid, reason, tcp FROM FILE"
    rows = [row(NASTY), row(e2e_ms=None, valid=False, reason="it's dead")]
    assert parquet(rows, tmp_path, query) == [
        (NASTY, 120.04, 5_760_000, True, None, None),
        ("cut", None, 5_760_000, False, "it's dead", None),
    ]


def test_parquet_has_the_same_columns_whatever_the_run_filled(tmp_path: Path) -> None:
    kinds = {name: kind for name, kind, *_ in parquet([], tmp_path, "DESCRIBE FROM FILE")}
    assert tuple(kinds) == tuple(COLUMNS)
    assert kinds["tcp"] == "VARCHAR"


def test_parquet_carries_the_facts_as_metadata(tmp_path: Path) -> None:
    query = "SELECT key, value FROM parquet_kv_metadata(FILE)"
    wanted = [(key.encode(), value.encode()) for key, value in FACTS.items()]
    assert parquet([row()], tmp_path, query) == wanted


def test_parquet_without_duckdb_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MachineError, match=r"pip install 'splitbed\[parquet\]'"):
        export([row()], "parquet")


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_rows_is_an_empty_table(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("duckdb", reason="DuckDB, which writes Parquet, is not installed")
    assert export([], name)


def test_an_unknown_format_is_refused_with_the_choices() -> None:
    with pytest.raises(UsageError, match="choose md, csv, json, latex, parquet"):
        export([row()], "xlsx")


def test_facts_are_what_run_json_has() -> None:
    run = RunRecord(model=ModelFacts(name="m", sha256="ab"), conditions=Conditions(git_commit=None))
    assert run_facts(run) == {"model": "m", "model sha256": "ab"}
