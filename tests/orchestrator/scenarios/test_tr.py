"""A run as the document prints it, from folders made up to be known."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestrator.ask.scenario_file import HEADINGS
from orchestrator.results.run_folder import PROFILE_FILE, SCENARIO_FILE, RunFolder
from orchestrator.scenarios.tr import tr_tables
from splitbed.errors import UsageError
from tests.orchestrator import written
from tests.orchestrator.measure.test_profile import profile
from tests.orchestrator.results.test_flows import add
from tests.orchestrator.results.test_summary import SPEC, add_cell

MAPS = [{"name": "/backbone/fpn/extra_blocks/p6/Conv", "shape": [1, 256, 13, 20], "bytes": 266_240}]
WORDS = "a first step & 50% of_it"


def write_run(path: Path, model: str, **changed: object) -> RunFolder:
    """A run over 8 Mbit/s of both anchors and of the split 1:1, which cuts 1.44 MB."""
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    run: dict[str, object] = {
        "model": {
            "name": model, "weights": "seeded (seed 0)", "sha256": "ab12", "md5": "cd34",
            "bytes": 91_560_942, "layers": 2, "parameters": 22_894_902,
            "inputs": [{"name": "cat.jpg", "sha256": "ef56"}],
        },
        "conditions": {"git_commit": "0123abc", "ue": {"cpu": "Cortex", "cpus": 8}},
        "verdict": "VALID",
    }  # fmt: skip
    written.write_run(folder, **run | changed)
    alone = {"split_name": "cut 2:0", "codec": "none", "part1_bytes": 91_560_942}
    add(folder, "uplink", "2:0", [("part1", 75), ("result", 5)], [], **alone)
    add_cell(folder, "0:2", [100] * 3)
    sizes = {"intermediate_bytes": 1_440_000, "part1_bytes": 1_024_000, "part2_bytes": 2_048_000}
    add_cell(folder, "1:1", [50] * 3, split_name="split_node_3", **sizes)
    return folder


def write_scenario(path: Path, **fields: object) -> None:
    path.mkdir(parents=True, exist_ok=True)
    told = {"clause": "10.3", "name": "Detection", "sweep": {"model": "ssd300"}} | fields
    (path / SCENARIO_FILE).write_text(yaml.safe_dump(told))


def table(text: str, caption: str) -> list[dict[str, str]]:
    """The lines of the first table whose caption has these words, by its headings."""
    lines = text.partition(caption)[2].splitlines()[2:]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in lines[: [*lines, ""].index("")]
    ]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_times_of_a_detector_are_laid_out_as_in_clause_10_3_9(tmp_path: Path) -> None:
    write_run(tmp_path, "ssd300")
    (line,) = [
        line
        for line in table(tr_tables(tmp_path), "Inference times over 8 Mbit/s (clause 10.3.9.2)")
        if line["Nodes"] == r"split_node_3"
    ]
    name = (
        "/feature_extractor/feature_extractor/feature_extractor.4/feature_extractor.4.0/conv1/Conv"
    )
    assert line == {
        "Nodes": r"split_node_3",
        "Nodes name": name.replace("_", r"_"),
        "Inference time: UE (ms)": "5.000",
        "Inference time: server (ms)": "5.000",
        "Inference time: total (ms)": "10.000",
        "intermediate data size (Mbytes)": "1.44",
        "Network (ms)": "40.000",
        "End-to-end (ms)": "50.000 [50.000–50.000, range of 3]",
    }


def test_lines_go_from_the_network_anchor_to_the_device_anchor(tmp_path: Path) -> None:
    write_run(tmp_path, "ssd300")
    lines = table(tr_tables(tmp_path), "Inference times")
    assert [line["Nodes"] for line in lines] == ["cut 0:2", r"split_node_3", "cut 2:0"]


def test_the_device_anchor_computes_nothing_at_the_server_and_sends_nothing(tmp_path: Path) -> None:
    write_run(tmp_path, "ssd300")
    line = table(tr_tables(tmp_path), "Inference times")[-1]
    assert line["Inference time: server (ms)"] == "0.000"
    assert line["intermediate data size (Mbytes)"] == "0"


def test_the_size_of_the_model_is_given_in_the_clauses_unit_too(tmp_path: Path) -> None:
    write_run(tmp_path, "ssd300")
    text = tr_tables(tmp_path)
    (line,) = table(text, "Table 10.3.4-1: Anchor model(s) for the scenario")
    # clause 10.3.4 prints 89 MB
    assert line["Size (units of 1,024,000 bytes)"] == "89.415"
    assert line["Size (MB)"] == "91.561"
    assert "fit units of 1,024,000 bytes" in text


def test_sizes_of_the_parts_are_given(tmp_path: Path) -> None:
    write_run(tmp_path, "retinanet")
    (line,) = table(tr_tables(tmp_path), "Test split model file sizes")
    assert [*line.values()] == [r"split_node_3 (1:1)", "1.024", "2.048", "1.000", "2.000"]


def test_a_pose_estimator_is_laid_out_as_the_sheet_of_clause_10_2_13(tmp_path: Path) -> None:
    write_run(tmp_path, "posenet")
    text = tr_tables(tmp_path)
    assert "Table 10.2.4-1: Anchor model(s) for the scenario" in text
    line = table(text, "as measured over 8 Mbit/s (clause 10.2.13)")[1]
    assert line == {
        "No. of layers on client": "1",
        "No. of layers on server": "1",
        "Client time (ms)": "5.000",
        "Intermediate model size (KB)": "1000.00",
        "Intermediate data size (KB)": "1440.00",
        "Server time (ms)": "5.000",
        "Network (ms)": "40.000",
        "End-to-end processing time (ms)": "50.000 [50.000–50.000, range of 3]",
    }
    assert "KB is 1024 bytes in sizes of models and 1000 bytes in sizes of data" in text


def test_profiles_fill_the_sheet_without_network_and_the_table_of_devices(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "posenet")
    (folder.path / PROFILE_FILE).write_text(profile((4, 2), (3, 8)).model_dump_json())
    text = tr_tables(tmp_path)
    assert [*table(text, "from profiles of the layers")[1].values()] == [
        "1", "1", "4", "1", "1", "8", "12",
    ]  # fmt: skip
    devices = table(text, "Performance measurements at each device (clause 10.2.7)")
    assert [line["Inference time of steady state (ms)"] for line in devices] == ["6", "11"]


def test_a_model_that_no_clause_has_takes_the_form_for_any_and_says_so(tmp_path: Path) -> None:
    write_run(tmp_path, "mine")
    text = tr_tables(tmp_path)
    assert "Its model is none of the document's" in text
    assert table(text, "(clause 10.2.13)")


def test_codecs_have_columns_where_something_is_coded(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ssd300")
    add_cell(folder, "1:1", [40] * 3, codec="lz4", key="1:1 lz4")
    lines = table(tr_tables(tmp_path), "Inference times")
    assert [line["Codec"] for line in lines] == ["raw", "raw", "lz4", "none"]
    assert lines[-1]["Sent data (MB)"] == "0"


def test_each_link_has_a_table_of_its_own(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ssd300")
    slow = SPEC.model_copy(update={"uplink": SPEC.uplink.model_copy(update={"delay_ms": 9})})
    add_cell(folder, "1:1", [90] * 3, link=slow.model_dump(), key="slow", attempt="1:1")
    assert tr_tables(tmp_path).count("**Inference times over ") == 2


def test_what_failed_is_named_and_in_no_table(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ssd300")
    add_cell(folder, "1:1", [], split_name="gone", key="gone", attempt="x", error="it died")
    text = tr_tables(tmp_path)
    assert "Failed, and so in no table: gone raw over 8 Mbit/s (it died)." in text
    assert "| gone" not in text


def test_an_invalid_row_is_marked(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ssd300")
    add_cell(folder, "1:1", [50] * 3, key="bad", max_abs_diff=0.5)
    assert "INVALID" in {line["Verdict"] for line in table(tr_tables(tmp_path), "Inference times")}


@pytest.mark.parametrize(
    "fact", ["commit 0123abc", "ab12", "cd34", "cat.jpg (sha256 ef56)", "Cortex, 8 CPUs", "seeded"]
)
def test_who_measured_what_stands_above_the_tables(tmp_path: Path, fact: str) -> None:
    write_run(tmp_path, "ssd300")
    assert fact in tr_tables(tmp_path).partition("Table 10.3.4-1")[0]


def test_results_say_that_they_have_not_been_cross_checked(tmp_path: Path) -> None:
    write_run(tmp_path, "ssd300")
    assert "have not yet been cross-checked" in tr_tables(tmp_path)


def test_agreement_is_told_in_the_words_of_the_clause(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "ssd300")
    for cell in folder.cells():
        folder.write_prediction(cell.key, "cat.txt", "cat 0.9 1 2 3 4\n")
    folder.write_prediction("whole", "cat.txt", "cat 0.9 1 2 3 4\n")
    cells = [cell.plain() | {"predictions": cell.key, "tensors": MAPS} for cell in folder.cells()]
    (folder.path / "cells.jsonl").write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    text = tr_tables(tmp_path)
    assert "normalized MSE is less than 1e-5 for 100.00% of all frames" in text
    assert [line["Split"] for line in table(text, "Agreement of split")] == ["1:1"]
    (line,) = table(text, "Table 10.3.3-1: the size of the feature maps")
    assert line["FPN Layer"] == "6"
    assert line["Size (assuming batch size of 1)"] == "256 × 13 × 20"


def test_a_scenario_begins_with_its_template_and_ends_with_those_that_belong_to_it(
    tmp_path: Path,
) -> None:
    write_scenario(tmp_path, also=["more.yaml"], **dict.fromkeys(HEADINGS, WORDS))
    write_run(tmp_path / "sweep", "ssd300")
    write_scenario(tmp_path / "more", name="Pyramid")
    write_run(tmp_path / "more" / "sweep", "retinanet")
    text = tr_tables(tmp_path)
    assert text.startswith("# 10.3 Detection\n")
    places = [text.index(f"## {heading}\n") for heading in HEADINGS.values()]
    places += [text.index("## Results (clause 10.3.9.2)"), text.index("# 10.3 Pyramid")]
    assert places == sorted(places)
    assert text.index("## Results (clause 10.3.9.1)") > places[-1]


def test_a_scenario_shows_its_verification(tmp_path: Path) -> None:
    write_scenario(tmp_path)
    write_run(tmp_path / "sweep", "ssd300")
    (tmp_path / "verification.csv").write_text(
        "split,split_name,picture,sha256,verdict,max_abs_diff,differences\n"
        "0:2,a,cat.jpg,ef56,PASSED,0.0,none\n1:1,b,cat.jpg,ef56,FAILED,0.5,boxes\n"
    )
    (line,) = table(tr_tables(tmp_path), "inference verification (clause 10.2.8)")
    assert (line["Input"], line["Verdict"], line["Splits that do not"]) == (
        "cat.jpg",
        "FAILED",
        "1:1",
    )


def test_a_damaged_verification_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    write_scenario(tmp_path)
    write_run(tmp_path / "sweep", "ssd300")
    (tmp_path / "verification.csv").write_text("split,picture\n0:2,cat.jpg\n")
    text = tr_tables(tmp_path)
    assert "The verification is left out" in text
    assert table(text, "Inference times")


def test_latex_compiles(tmp_path: Path) -> None:
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex (apt-get install texlive-latex-recommended)")
    write_scenario(tmp_path, **dict.fromkeys(HEADINGS, WORDS))
    write_run(tmp_path / "sweep", "ssd300")
    body = tr_tables(tmp_path, "latex")
    head = "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\n"
    (tmp_path / "t.tex").write_text(f"{head}{body}\n\\end{{document}}\n")
    argv = ["pdflatex", "-halt-on-error", "-draftmode", "t.tex"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="md or latex, not as 'parquet'"):
        tr_tables(tmp_path, "parquet")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run"):
        tr_tables(tmp_path)


def test_a_scenario_that_has_not_begun_its_sweep_is_refused(tmp_path: Path) -> None:
    write_scenario(tmp_path)
    with pytest.raises(UsageError, match="no run"):
        tr_tables(tmp_path)


def test_a_run_of_which_every_cell_failed_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    written.write_run(folder, model={"name": "ssd300", "weights": "seeded (seed 0)"})
    add_cell(folder, "1:1", [], error="it died")
    with pytest.raises(UsageError, match="no measured cell"):
        tr_tables(tmp_path)
