"""Scenario 10.6: its file, what it takes, and the folder that it leaves."""

from dataclasses import replace
from pathlib import Path

import pytest
from yaml import safe_dump

from orchestrator.ask.scenario_file import Scenario, load_scenario
from orchestrator.results.run_folder import SCENARIO_FILE
from orchestrator.scenarios.begun import begin, in_increments, in_transit
from orchestrator.scenarios.tr import tr_tables
from orchestrator.scenarios.transit import increments
from orchestrator.transit.increments import run as incremental
from orchestrator.transit.increments.asked import Incremental
from orchestrator.transit.increments.row import IncrementRow
from orchestrator.transit.outcome import Outcome, Told
from splitbed.errors import UsageError
from tests.orchestrator.scenarios.test_tr import table

SMALL = {"model": "small-mobilenet_v2,small-resnet18", "bits": [4, 8], "accuracy_frames": 3}


def test_the_scenario_says_what_the_template_asks_and_names_its_models() -> None:
    scenario = load_scenario("10.6")
    assert scenario.markdown().count("\n## ") >= 11
    wanted = increments.asked(scenario)
    assert [one.config.model for one in wanted] == ["small-resnet18", "small-mobilenet_v2"]
    assert {one.bits for one in wanted} == {(8, 16)}
    assert [link.downlink.rate_mbit for link in wanted[0].config.links] == [5, 20, 100]


def test_a_scenario_is_begun_with_what_is_given_over_its_own(tmp_path: Path) -> None:
    folder = begin("10.6", {"bw": "7"}, None, tmp_path / "run")
    assert in_increments(folder)
    assert not in_transit(folder)
    begun = load_scenario(str(folder / "scenario.yaml"))
    assert [one.config.links[0].downlink.rate_mbit for one in increments.asked(begun)] == [7, 7]


@pytest.mark.parametrize("option", [{"split": "named"}, {"coder_name": "int8"}])
def test_what_is_not_for_increments_is_refused(option: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"which sends models in increments"):
        begin("10.6", option, None, tmp_path / "run")


@pytest.mark.parametrize("models", ["a/m.onnx,b/m.tflite", "vgg16,vgg16"])
def test_models_that_would_be_left_in_one_folder_are_refused(models: str) -> None:
    scenario = Scenario(clause="10.6", name="n", increments={**SMALL, "model": models})
    with pytest.raises(UsageError, match=f"the models {models.replace(',', ', ')} would be left"):
        increments.asked(scenario)


def test_a_scenario_of_both_kinds_is_refused() -> None:
    with pytest.raises(ValueError, match="give one of sweep:, model-sweep:, increments: and"):
        Scenario(clause="1", name="n", sweep={"model": "shapesnet"}, increments=SMALL)


def test_the_models_stand_in_one_table_and_each_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Path | None] = []

    def without_a_link(
        asked: Incremental, told: Told, resumed: Path | None, go_on: str
    ) -> Outcome[IncrementRow]:
        runs.append(resumed)
        return incremental.run_incremental(replace(asked, offline=True), told, resumed, go_on)

    monkeypatch.setattr(increments, "run_incremental", without_a_link)
    scenario = Scenario(clause="10.6", name="increments", increments=SMALL)
    (folder := tmp_path / "run").mkdir()
    outcomes = increments.run(scenario, folder, lambda _: None)
    assert [len(one.rows) for one in outcomes] == [3, 3]
    told = (folder / "tables.md").read_text()
    assert told.startswith("# 10.6 increments: results")
    for model in ("small-mobilenet_v2", "small-resnet18"):
        assert told.count(f"| {model} |") == 3
        assert (folder / model / "increments.csv").is_file()
    (folder / SCENARIO_FILE).write_text(safe_dump(scenario.model_dump(exclude_defaults=True)))
    lines = table(tr_tables(folder), "Table 10.6.14")
    assert [line["Model"] for line in lines] == 3 * ["small-mobilenet_v2"] + 3 * ["small-resnet18"]
    said: list[str] = []
    again = increments.run(scenario, folder, said.append)
    assert [one.rows for one in again] == [one.rows for one in outcomes]
    assert said == []  # nothing is coded or judged again
    assert runs == [None, None, folder / "small-mobilenet_v2", folder / "small-resnet18"]
