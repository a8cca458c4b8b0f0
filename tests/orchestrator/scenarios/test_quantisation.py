"""Scenario 9.4: its file, its versions, and the tables that it leaves."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from orchestrator.ask.scenario_file import Quantisation, load_scenario
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.results.records import Accuracy
from orchestrator.scenarios.begun import begin
from orchestrator.scenarios.quantisation import versions as made
from orchestrator.scenarios.quantisation.run import of_other_input, precision
from orchestrator.scenarios.quantisation.tables import leave, sheets
from orchestrator.scenarios.quantisation.versions import inputs_of, versions
from orchestrator.testbed.local import local_model
from splitbed.errors import RunError, UsageError
from tests.orchestrator.scenarios import sfu

SMALL = {"model": "shapesnet", "input": "shapes:0", "runs": 3, "bw": "20"}
ASKED = Quantisation(sequences=("shapes:0",), prune=(0, 90), calibration="shapes:500", frames=4)


def test_the_scenario_says_what_the_template_asks() -> None:
    scenario = load_scenario("9.4")
    assert scenario.markdown().count("\n## ") >= 11
    assert scenario.config().model == "shapesnet"


def test_versions_are_files_that_find_nearly_as_much_and_pruned_to_nothing_less(
    tmp_path: Path,
) -> None:
    config = sweep_config(SMALL)
    with local_model(config) as local:
        every = versions(local, config, ASKED, tmp_path)
        fed = {"shapes:0": inputs_of(local, config, "shapes:0")[:6]}
        found = precision(local, every, fed)["shapes:0"]
        written = [one.file.stat().st_mtime_ns for one in every]
        again = versions(local, config, ASKED, tmp_path)
    assert [one.name for one in every] == ["original", "quantised", "pruned 90 %, quantised"]
    assert [one.file.stat().st_mtime_ns for one in again] == written  # a run goes on with them
    original, quantised, pruned = (found[one.name].value or 0.0 for one in every)
    assert original > 0.5
    # six frames; and a processor without VNNI saturates some products of 8 bits
    assert abs(original - quantised) < 0.1
    assert pruned < original - 0.2
    sizes = [one.coded_bytes for one in every]
    assert sizes == sorted(sizes, reverse=True)
    # what is quantised stands in for the model: its task, pictures and splits are known
    with local_model(config.replaced(weights=every[1].file)) as local:
        assert local.model.task == "centres"
        assert every[1].file.name in local.model.facts.weights


def test_versions_are_whole_or_not_there_and_all_of_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(part: Path, path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    def refuses(source: Path, target: Path, fed: object) -> None:
        raise RunError("it cannot be quantised")

    with monkeypatch.context() as patch, local_model(config := sweep_config(SMALL)) as local:
        patch.setattr(made, "write_portable", cut_off)
        with pytest.raises(KeyboardInterrupt):
            versions(local, config, ASKED, tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["quantisation.json"]
        patch.undo()
        patch.setattr(made, "quantise", refuses)
        with pytest.raises(RunError):
            versions(local, config, ASKED, tmp_path)
        assert {file.name for file in tmp_path.iterdir()} == {"quantisation.json", "original.onnx"}
        with pytest.raises(UsageError, match="were quantised by other frames"):
            versions(local, config, ASKED.replaced(frames=5), tmp_path)


def test_sequences_of_sfus_form_are_judged_by_class_original_and_quantised(tmp_path: Path) -> None:
    folder, names = tmp_path / "sfu", ("BQMall_832x480_60", "Kimono_1920x1080_24")
    for seed, name in enumerate(names, start=21):
        sfu.sequence(folder, name, f"shapes:{seed}", frames=6)
    (run := tmp_path / "run").mkdir()
    (run / "tables.md").write_text("# before\n")
    given = of_other_input(ASKED.replaced(prune=(0,)), SMALL | {"input": folder})
    asked = given["quantisation"]
    assert isinstance(asked, Quantisation)
    assert asked.sequences == tuple(f"{folder}:{name}" for name in names)
    config = sweep_config(SMALL | {"input": asked.sequences[0]})
    with local_model(config) as local:
        every = versions(local, config, asked, run)
        fed = {one: inputs_of(local, config, one) for one in asked.sequences}
        leave(run, [], precision(local, every, fed), {})
    with (run / "table-precision.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line.pop("sequence").rpartition(":")[2] for line in lines] == [*names, "mean"]
    heads = [*lines[0]]
    classes = {head.removesuffix(" original") for head in heads if head.endswith(" original")}
    assert len(classes) > 2
    assert set(heads) == {f"{one} {which}" for one in classes for which in VERSIONS}
    for name in classes:
        mean = [float(lines[-1][f"{name} {which}"]) for which in VERSIONS]
        assert mean[0] > 30, name
        assert abs(mean[0] - mean[1]) < 25, name


VERSIONS = ("original", "quantised")


def reached(value: float | None, **classes: float | None) -> Accuracy:
    return Accuracy("AP", value, classes=classes)


def test_precision_stands_by_class_and_sequence_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "tables.md").write_text("# before\n")
    found = {
        "BQMall": {
            "original": reached(0.5, person=0.5, car=None),
            "quantised": reached(0.4, person=0.4, car=None, dog=None),
        },
        "Traffic": {
            "original": reached(0.7, car=0.7), "quantised": reached(0.7125, car=0.7125),
        },
    }  # fmt: skip
    leave(tmp_path, [], found, {})
    with (tmp_path / "table-precision.csv").open() as file:
        lines = list(csv.DictReader(file))
    heads = ["sequence", "car original", "car quantised", "person original", "person quantised"]
    assert [*lines[0]] == heads
    assert [[*line.values()] for line in lines] == [
        ["BQMall", "", "", "50", "40"],
        ["Traffic", "70", "71.25", "", ""],
        ["mean", "70", "71.25", "50", "40"],
    ]
    (sheet,) = sheets(tmp_path)
    assert list(sheet.heads) == heads
    told = (tmp_path / "tables.md").read_text()
    assert told.startswith("# before\n")
    assert "clause 9.4" in told


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": Path("none.onnx")}, "none.onnx"),
        ({"input": Path("none.mp4")}, "none.mp4"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, options: dict[str, object], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        begin("9.4", options, None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_pictures_of_which_the_model_knows_no_class_are_refused(tmp_path: Path) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    Image.new("RGB", (64, 48)).save(pictures / "a.png")
    (pictures / "a.txt").write_text("person 1 1 9 9\n")
    (pictures / "classes.txt").write_text("person\n")
    with pytest.raises(UsageError, match=r"knows none of the classes .*person"):
        begin("9.4", {"input": pictures}, None, tmp_path / "run")


def test_other_pictures_are_judged_in_place_of_the_scenarios(tmp_path: Path) -> None:
    folder = begin("9.4", {"input": "shapes:7"}, None, tmp_path / "run")
    scenario = load_scenario(str(folder / "scenario.yaml"))
    assert scenario.quantisation is not None
    assert scenario.quantisation.sequences == ("shapes:7",)
    assert scenario.quantisation.calibration is None
    assert scenario.config().input == "shapes:7"


def test_a_model_file_that_says_something_else_does_not_stand_in(tmp_path: Path) -> None:
    from splitbed.zoo import ZOO, Variant

    file = tmp_path / "classifier.onnx"
    file.write_bytes(ZOO["small-mobilenet_v2"].build(Variant("onnx"))[0])
    with (
        pytest.raises(UsageError, match="cannot read boxes"),
        local_model(sweep_config(SMALL | {"weights": file})),
    ):
        pass
