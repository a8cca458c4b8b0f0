"""The tables and the figure of clause 10.1, of rows made up to be known; and its scenario file."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.ask.scenario_file import Scenario, load_scenario
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.scenarios.transit import models
from orchestrator.scenarios.transit.clause_10_1 import method_of, plot, tables
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.transit.row import ModelRow
from splitbed.errors import UsageError

ANCHOR = ModelRow(
    anc_size=4_000_000, metric_name="1 - WER", anc_perf=0.90, coder_name="", scenario_name="",
    data_set_name="", model_name="speechnet", unique_tag="", eval_compression=True,
    eval_anchor=True,
)  # fmt: skip


def coded(name: str, size: int, accuracy: float, waits: Mapping[float, float]) -> list[ModelRow]:
    """A row for each rate in Mbit/s, with what the first transcript takes there in ms."""
    row = replace(
        ANCHOR, coder_name=name, rec_size=size, compress_ratio=size / 4e6, rec_perf=accuracy,
        ue_perf=accuracy,
    )  # fmt: skip
    return [replace(row, bw_mbit=rate, startup_ms=ms, link_ms=ms) for rate, ms in waits.items()]


ROWS = [
    *coded("dummy", 4_000_000, 0.90, {5: 6400, 100: 330}),
    *coded("int8+zstd", 1_000_000, 0.89, {5: 1700, 100: 350}),
    *coded("int4+zstd", 500_000, 0.85, {5: 900, 100: 300}),
    *coded("prune:90+int4+zstd", 100_000, 0.2, {5: 200, 100: 50}),
]


def lines(name: str) -> list[dict[str, object]]:
    every = {table.name: table for table in tables(ROWS, {"int8+zstd": 0.02})}
    return [dict(line) for line in every[name].lines]


def test_sizes_are_over_the_anchors_and_errors_in_per_cent() -> None:
    (model,) = lines("model")
    assert (model["numParam_M"], model["sizeAnc_Mbit"], model["werAnc_pct"]) == (1.2, 39.2, 10.0)
    points = {line["configuration"]: line for line in lines("configurations")}
    assert [*points] == ["dummy", "int8+zstd", "int4+zstd", "prune:90+int4+zstd"]
    assert (points["int8+zstd"]["cSize"], points["int8+zstd"]["wer_pct"]) == (0.25, 11.0)
    assert points["int8+zstd"]["wer_vocabulary_pct"] == 2.0


def test_a_configuration_counts_up_to_five_points_above_the_anchor() -> None:
    within = {line["configuration"]: line["within"] for line in lines("configurations")}
    assert within["int4+zstd"] == "yes"  # 15 %, just there
    assert within["prune:90+int4+zstd"] == "no"
    counts = {line["method"]: line["configurations"] for line in lines("methods")}
    assert counts == {"dummy": 1, "int+zstd": 2, "prune+int+zstd": 0}


def test_the_best_at_a_rate_is_the_soonest_that_recognises_well_enough() -> None:
    best = {line["Mbit/s"]: line["configuration"] for line in lines("best")}
    assert best == {5: "int4+zstd", 100: "int4+zstd"}
    assert len(lines("waits")) == len(ROWS)


def test_a_disturbed_wait_is_the_best_only_where_every_one_is() -> None:
    busy = replace(ROWS[4], disturbed="other processes used 50% of the processors")
    assert busy.coder_name == "int4+zstd"
    for rows, best in (
        (ROWS, "int4+zstd"),
        ([*ROWS[:4], busy], "int8+zstd"),
        ([busy], "int4+zstd"),
    ):
        every = {table.name: table for table in tables(rows, {})}
        assert every["best"].lines[0]["configuration"] == best


def test_a_wait_that_something_made_longer_says_what() -> None:
    rows = [
        replace(ROWS[0], coder_name=f"int{bits}", disturbed=disturbed, resumed=resumed)
        for bits, disturbed, resumed in ((8, "", 0), (7, "", 2), (6, "busy", 0), (5, "busy", 1))
    ]
    waits = {table.name: table for table in tables(rows, {})}["waits"].lines
    assert [line["verdict"] for line in waits] == [
        "VALID", "VALID, cut off", "VALID, disturbed", "VALID, disturbed, cut off"
    ]  # fmt: skip


def test_methods_are_coders_without_their_numbers() -> None:
    assert method_of("prune:30+int8+zstd") == method_of("prune:5+int6+zstd") == "prune+int+zstd"
    assert method_of("nnc:-20") == "nnc"


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    plot(ROWS, tmp_path / "figure.png")
    assert Image.open(tmp_path / "figure.png").size == (960, 600)


def test_what_this_machine_has_no_library_for_is_left_out_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # the very module: another test may have loaded it
    monkeypatch.setitem(sys.modules, "nncodec.extensions", None)
    scenario = load_scenario("10.1")
    names = models.checked(scenario, {}).model_sweep["coder_name"]
    assert isinstance(names, list)
    assert "int8+zstd" in names
    assert not [name for name in names if name.startswith("nnc")]
    assert "left out: nnc:-38, nnc:-34" in capsys.readouterr().err
    asked = models.checked(scenario, {"coder_name": "nnc:-38"})
    assert asked.model_sweep["coder_name"] == "nnc:-38"


def test_the_scenario_takes_coders_and_rates_and_no_splits() -> None:
    scenario = load_scenario("10.1")
    merged = models.checked(scenario, {"bw": "20", "coder_name": "int8+zstd"})
    assert merged.model_sweep["bw"] == "20"
    assert merged.model_sweep["coder_name"] == "int8+zstd"
    with pytest.raises(UsageError, match=r"--split is for scenarios that split a model"):
        models.checked(scenario, {"split": "all"})
    with pytest.raises(UsageError, match="int99"):
        models.checked(scenario, {"coder_name": "int99"})


def test_its_model_is_opened_once_and_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    @contextmanager
    def counted(config: SweepConfig) -> Iterator[LocalModel]:
        opened.append(config.model)
        with local_model(config) as local:
            yield local

    monkeypatch.setattr(models, "repaired_rates", lambda *_: {})  # takes seconds
    monkeypatch.setattr(models, "local_model", counted)
    monkeypatch.setattr("orchestrator.transit.run.local_model", counted)
    options = {"model": "speechnet", "coder_name": "int8", "data_set_name": "speech"}
    asked = {**options, "offline": True, "accuracy_frames": 1}
    scenario = Scenario(clause="10.1", name="speech", model_sweep=asked)
    said: list[str] = []
    first = models.run(scenario, tmp_path, said.append)
    assert opened == ["speechnet"]
    assert "coding speechnet as int8" in said
    said.clear()
    again = models.run(scenario, tmp_path, said.append)
    assert said == ["computing the tables of the clause"]
    assert again.rows == first.rows
    assert (tmp_path / "figure-10.1.9-1.png").is_file()
