"""Runs of models in transit as the document prints them, from folders made up to be known."""

from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from orchestrator.results.run_folder import SCENARIO_FILE
from orchestrator.scenarios.tr import tr_page, tr_tables
from orchestrator.scenarios.transit import clause_10_1
from splitbed.errors import UsageError
from tests.orchestrator.checks.test_models import ROW, growth, run
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.scenarios.test_tr import table

SPEECH = replace(ROW, metric_name="1 - WER", anc_perf=0.9, rec_perf=0.875, compress_ratio=0.25)


def test_a_model_sweep_is_laid_out_with_its_link(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", startups_ms=(480, 490, 500))
    result = orchestrate("report", str(folder), "--tr")
    assert result.code == 0
    assert "# Results (clause 5.2)" in result.out
    assert "valid by its own checks: 1 of 1." in result.out
    (line,) = table(result.out, "Models in transit")
    assert (line["Coder"], line["Bytes"], line["Mbit/s"]) == ("int8", "1000000", "20")
    assert (line["Start-up (ms)"], line["Verdict"]) == ("490", "VALID")


def test_a_page_has_the_tables_and_the_pictures_that_it_left(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", replace(ROW, metric_name="<i>"))
    (folder / "accuracy-over-time.png").write_bytes(b"a picture")
    result = orchestrate("report", str(folder))
    assert result.code == 0, result.err
    page = (folder / "report.html").read_text()
    assert "Results (clause 5.2)" in page
    assert '<td class="number">1000000</td>' in page
    assert f"data:image/png;base64,{b64encode(b'a picture').decode()}" in page
    assert "&lt;i&gt;" in page
    assert "<i>" not in page
    assert orchestrate("report", str(folder), "--format", "csv").code == 2


def test_what_is_wrong_with_a_row_stands_below_the_table(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", replace(ROW, rec_sha256="another"))
    text = tr_tables(folder)
    assert table(text, "Models in transit")[0]["Verdict"] == "INVALID"
    assert "Not valid: int8 over 20 Mbit/s:" in text


def test_a_recogniser_has_the_tables_of_its_clause(tmp_path: Path) -> None:
    text = tr_tables(run(tmp_path / "a", SPEECH))
    assert "Results (clause 10.1.9)" in text
    (line,) = table(text, "Test configurations (clause 10.1.9)")
    assert (line["configuration"], line["wer_pct"], line["within"]) == ("int8", "12.5", "yes")
    (wait,) = table(text, "Time to the first transcript")
    assert wait["first_transcript_ms"] == "480"


def test_a_scenario_has_its_template_and_what_a_vocabulary_repaired(tmp_path: Path) -> None:
    why = "Waits for `a < b`."
    told = {"clause": "10.1", "name": "Speech", "motivation": why, "model_sweep": {"a": 1}}
    (tmp_path / SCENARIO_FILE).write_text(yaml.safe_dump(told))
    with pytest.raises(UsageError, match="has no row to lay out"):
        tr_tables(tmp_path)
    run(tmp_path / "models", SPEECH)
    for one in clause_10_1.tables([SPEECH], {"int8": 0.02}):
        (tmp_path / f"table-{one.name}.csv").write_text(one.csv())
    text = tr_tables(tmp_path, "latex")
    assert r"\section*{10.1 Speech}" in text
    assert "Waits for a" in text
    assert r"wer\_vocabulary\_pct" in text
    page = tr_page(tmp_path)
    assert "<p>Waits for <code>a &lt; b</code>.</p>" in page


def test_a_model_that_grew_is_laid_out_split_by_split(tmp_path: Path) -> None:
    text = tr_tables(growth(tmp_path / "a"))
    assert [line["Part 1 comes"] for line in table(text, "Part 1 that grows")] == ["growing"]
