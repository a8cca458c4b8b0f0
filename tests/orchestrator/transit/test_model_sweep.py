"""Models in transit without a link: the published interfaces, their parameters, their table."""

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import splitbed
from orchestrator.results.facts import CodedFacts
from orchestrator.transit.asked import model_sweep
from orchestrator.transit.outcome import Outcome
from orchestrator.transit.row import ModelRow
from orchestrator.transit.run import resumed_sweep, run_model_sweep
from splitbed.errors import RunError, UsageError
from tests.graphs import models
from tests.node.loopback import small_model

PUBLISHED = "tests.orchestrator.transit.as_published"
TABLE = [
    "anc_size", "rec_size", "compress_ratio", "metric_name", "anc_perf", "rec_perf",
    "anc_eval_time", "rec_eval_time", "enc_time", "dec_time",
]  # fmt: skip
FORWARDED = [
    "coder_name", "scenario_name", "data_set_name", "model_name", "unique_tag", "eval_compression",
    "eval_anchor",
]  # fmt: skip


def run(**options: object) -> Outcome[ModelRow]:
    return run_model_sweep(model_sweep(options), lambda _: None)


def table(outcome: Outcome[ModelRow], tag: str = "") -> list[dict[str, str]]:
    assert outcome.folder is not None
    with (outcome.folder / f"{tag}results.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_scenario_and_a_coder_of_the_published_scripts_run_unchanged(tmp_path: Path) -> None:
    asked = {"scenario_name": f"{PUBLISHED}:Scenario", "model": "linear", "batch_size": 2}
    outcome = run(coder_name=f"{PUBLISHED}:Coder", out_dir=tmp_path / "out", **asked)
    (row,) = table(outcome)
    assert [*row][:10] == TABLE
    assert [*row][10:17] == FORWARDED
    assert (row["anc_size"], row["rec_size"], row["compress_ratio"]) == ("1024", "1024", "1.0")
    assert (row["metric_name"], row["rec_perf"]) == ("error", "0.0")
    assert (row["model_name"], row["valid"]) == ("linear", "True")


def test_our_coders_code_the_models_of_published_scenarios(tmp_path: Path) -> None:
    scenario = f"{PUBLISHED}:Scenario"
    outcome = run(coder_name="dummy,int8", scenario_name=scenario, out_dir=tmp_path / "out")
    dummy, int8 = table(outcome)
    assert dummy["rec_perf"] == "0.0"
    assert 0 < float(int8["rec_perf"]) < 0.02
    assert int(int8["rec_size"]) < int(dummy["rec_size"]) / 2


def test_published_coders_code_our_models(tmp_path: Path) -> None:
    file = small_model(tmp_path / "small.onnx")
    outcome = run(
        model=str(file), coder_name=f"{PUBLISHED}:Coder,dummy,int4", offline=True,
        out_dir=tmp_path / "out", unique_tag="mine-", accuracy_frames=3,
    )  # fmt: skip
    published, dummy, int4 = table(outcome, "mine-")
    assert published["rec_sha256"] == dummy["rec_sha256"]
    assert float(published["rec_perf"]) == 1
    assert float(int4["rec_perf"]) < 1
    assert outcome.folder is not None
    rebuilt = outcome.folder / "mine-int4.onnx"
    assert hashlib.sha256(rebuilt.read_bytes()).hexdigest() == int4["rec_sha256"]
    before, after = (
        {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
        for path in (file, rebuilt)
    )
    step = np.abs(before["w1"]).max() / 7
    assert 0 < np.abs(before["w1"] - after["w1"]).max() <= step / 2 + 1e-6


def test_a_batch_is_judged_as_each_input_alone(tmp_path: Path) -> None:
    file = small_model(tmp_path / "small.onnx")
    options = {"model": str(file), "coder_name": "int3", "accuracy_frames": 5}
    alone, together = (
        table(run(**options, offline=True, batch_size=count, out_dir=tmp_path / str(count)))
        for count in (1, 2)
    )
    (one,), (same,) = alone, together
    assert one["rec_perf"] == same["rec_perf"]
    assert one["anc_perf"] == same["anc_perf"]


def test_a_model_that_takes_no_batch_is_refused_with_the_reason(tmp_path: Path) -> None:
    nodes = [models.node("Mul", "x w", "z"), models.node("Softmax", "z", "y", axis=0)]
    weights = {"w": np.ones((1, 4), np.float32)}
    file = tmp_path / "mixing.onnx"
    models.save(models.model(nodes, {"x": [1, 4]}, {"y": [1, 4]}, weights), file)
    with pytest.raises(UsageError, match=r"--batch-size 2: .*leave it"):
        run(model=str(file), coder_name="fp16", offline=True, batch_size=2, accuracy_frames=2)


def test_a_coder_that_fails_is_told_in_its_row(tmp_path: Path) -> None:
    coders = f"{PUBLISHED}:Broken,dummy"
    outcome = run(
        coder_name=coders, scenario_name=f"{PUBLISHED}:Scenario", out_dir=tmp_path / "out"
    )
    broken, dummy = table(outcome)
    assert broken["fault"] == f"{PUBLISHED}:Broken failed: ValueError: no such thing"
    assert (broken["valid"], dummy["valid"], outcome.exit_code) == ("False", "True", 1)


def test_a_run_goes_on_with_what_is_not_there_yet(tmp_path: Path) -> None:
    file, out, said = small_model(tmp_path / "small.onnx"), tmp_path / "out", list[str]()
    options = {"model": str(file), "coder_name": "int8,int4", "accuracy_frames": 3}
    first = run(**options, out_dir=out, offline=True)
    lines = (out / "coders.jsonl").read_bytes().splitlines(keepends=True)
    (out / "coders.jsonl").write_bytes(lines[0])
    again = run_model_sweep(resumed_sweep(out), said.append, out)
    assert said == [f"evaluating {file}, the anchor", f"coding {file} as int4"]
    assert [row.rec_sha256 for row in again.rows] == [row.rec_sha256 for row in first.rows]
    with pytest.raises(UsageError, match=r"orchestrate model-sweep --resume "):
        run(**options, out_dir=out, offline=True)
    (out / "models.json").write_text("{")
    with pytest.raises(UsageError, match=r"its models.json is damaged"):
        resumed_sweep(out)


def test_a_run_that_is_asked_otherwise_now_is_no_resumed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file := tmp_path / "coder.cfg").write_text("a")
    out, said = tmp_path / "out", list[str]()
    asked = {"coder_name": "dummy", "scenario_name": f"{PUBLISHED}:Scenario"}
    run(**asked, enc_cfg_file_name=file, out_dir=out)
    before = resumed_sweep(out)
    assert run_model_sweep(before, said.append, out).rows
    with pytest.raises(UsageError, match="have changed since: option coder_name; start"):
        run_model_sweep(before.replaced(coder_name="int8"), said.append, out)
    monkeypatch.setattr("orchestrator.transit.run.coded_facts", CodedFacts)
    with pytest.raises(UsageError, match=r"have changed since: .*python"):
        run_model_sweep(before, said.append, out)
    monkeypatch.undo()
    file.write_text("b")
    with pytest.raises(UsageError, match="have changed since: what is in the file of option enc_"):
        run_model_sweep(before, said.append, out)
    assert said == []  # nothing is done, and nothing advised


def test_a_scenario_that_fails_is_named(tmp_path: Path) -> None:
    scenario = f"{PUBLISHED}:Unlucky"
    with pytest.raises(RunError, match="Unlucky failed: OSError: no data"):
        run(coder_name="dummy", scenario_name=scenario, out_dir=tmp_path / "out")


def test_models_and_datasets_may_be_had_and_no_more(tmp_path: Path) -> None:
    scenario = f"{PUBLISHED}:Scenario"
    outcome = run(scenario_name=scenario, download_only=True, out_dir=tmp_path / "out")
    assert (outcome.rows, outcome.folder, outcome.exit_code) == ((), None, 0)
    assert not (tmp_path / "out").exists()


def test_the_anchor_alone_may_be_judged(tmp_path: Path) -> None:
    asked = {"scenario_name": f"{PUBLISHED}:Scenario", "eval_compression": False}
    (row,) = table(run(coder_name="dummy", out_dir=tmp_path / "out", **asked))
    assert (row["anc_perf"], row["rec_size"], row["rec_perf"]) == ("0.0", "", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "no coder is named"),
        ({"coder_name": "int9"}, "no model coder is called 'int9'"),
        ({"coder_name": "nobody.here:Coder"}, "cannot import the coder nobody.here:Coder"),
        ({"coder_name": f"{PUBLISHED}:NoCoder"}, "it lacks encode, decode"),
        ({"coder_name": "int8", "scenario_name": "asr"}, "called 'asr'"),
        (
            {"coder_name": "int8", "scenario_name": f"{PUBLISHED}:Scenario", "bw": 5},
            "--bw is for a model of ours",
        ),
        ({"coder_name": "int8", "unique_tag": "../x"}, "unique-tag"),
        ({"coder_name": "int8", "enc_cfg_file_name": "/no/file"}, "there is no such file"),
        ({"coder_name": "int8", "have": "/no/file"}, "there is no such file"),
        ({"coder_name": "int8", "have": __file__, "offline": True}, "leave it, or --offline"),
        ({"coder_name": "int8", "widths": 4}, "no option 'widths'"),
    ],
)
def test_what_cannot_be_is_refused_by_name(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        run(model="shapesnet", **options)


def test_a_program_has_the_rows(tmp_path: Path) -> None:
    told: list[str] = []
    outcome = splitbed.model_sweep(
        "linear",
        coder_name=["fp16"],
        scenario_name=f"{PUBLISHED}:Scenario",
        out_dir=tmp_path / "out",
        progress=told.append,
    )
    (row,) = outcome.rows
    assert (row.coder_name, row.model_name, row.valid) == ("fp16", "linear", True)
    assert told == ["evaluating linear, the anchor", "coding linear as fp16"]


def test_the_command_takes_the_names_of_the_document(tmp_path: Path) -> None:
    argv = [
        sys.executable, "-m", "orchestrator", "model-sweep", "--scenario_name",
        f"{PUBLISHED}:Scenario", "--coder_name", "fp16", "--model_name", "linear", "--unique_tag",
        "t", "--out_dir", str(tmp_path / "out"), "--data_set_name", "none", "--workers", "2",
        "--no-eval_anchor", "--disable_progress_bar", "--json",
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert (row["coder_name"], row["data_set_name"], row["anc_perf"]) == ("fp16", "none", None)
    assert (tmp_path / "out" / "tresults.csv").exists()
