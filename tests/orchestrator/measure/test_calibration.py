"""Calibration: on which frames, kept with a run, and what is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import configurations, plan_cells
from orchestrator.measure.calibration import (
    Calibration,
    calibrate,
    calibration_inputs,
    fitted_to,
    identity,
    keep_quantised_on,
    searched_inputs,
    seen,
)
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.inputs import ModelInput, sources
from orchestrator.testbed.model import SweptModel, load_model
from splitbed.codecs import codec_named
from splitbed.errors import NodeError, RunError, UsageError
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors
from tests.node.loopback import small_model

CUT = 2
KLT = [(CUT, "klt:100")]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPLITBED_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> SweepConfig:
    file = small_model(tmp_path_factory.mktemp("model") / "small.onnx")
    return sweep_config({"model": str(file), "input": "shapes", "runs": 10})


@pytest.fixture(scope="module")
def model(config: SweepConfig, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SweptModel]:
    yield load_model(config, tmp_path_factory.mktemp("stored"))


def told_by(
    config: SweepConfig, model: SweptModel, folder: Path, coding: list[tuple[int, str]] = KLT
) -> tuple[Calibration, list[str]]:
    notes: list[str] = []
    folder.mkdir(exist_ok=True)
    return calibrate(config, model, coding, folder=RunFolder(folder), note=notes.append), notes


def test_a_run_that_goes_on_codes_by_the_same_tables(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    first, _ = told_by(config, model, tmp_path / "run")
    (key,) = first.known.tables
    rows = json.loads((tmp_path / "run/calibration.json").read_text())["tables"]
    assert [(one["cut"], one["stage"], one["tensor"]) for one in rows] == [key]
    again, notes = told_by(config, model, tmp_path / "run")
    assert again.known.tables == first.known.tables
    assert notes == []
    more, _ = told_by(config, model, tmp_path / "run", [*KLT, (CUT, "klt:200"), (CUT, "int8")])
    assert more.known.tables.keys() == {key, (CUT, "klt:200", key[2])}
    assert more.known.ranges.keys() == {key[2]}


def test_a_tensor_that_crosses_two_cuts_is_fitted_at_each(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    first, second = ([(k, "klt:100") for k in order] for order in ((2, 3), (3, 2)))
    both, _ = told_by(config, model, tmp_path / "run", first)
    (name,) = (one.name for one in model.graph.cuts[2].tensors)
    tables = [both.known.tables[k, "klt:100", name] for k in (2, 3)]
    assert tables[0] != tables[1]  # of the skip alone part 2 is otherwise sensitive
    assert calibrate(config, model, second).known.tables == both.known.tables
    assert told_by(config, model, tmp_path / "run", second)[0].known.tables == both.known.tables


def test_the_usual_number_is_the_same_said_or_not(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    found, notes = told_by(config, model, tmp_path / "run", [(CUT, "klt"), (CUT, "klt:100")])
    assert [stage for _, stage, _ in found.known.tables] == ["klt:100"]
    assert sum(one.startswith("fitting ") for one in notes) == 1
    for codec in ("klt", "klt:100"):
        model.coder(CUT, codec, found.known)


def test_more_tables_than_are_read_are_refused(
    config: SweepConfig, model: SweptModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by(config, model, tmp_path / "run")
    monkeypatch.setattr("orchestrator.measure.calibration.record.MOST_TABLES", 0)
    with pytest.raises(RunError, match="it names 1 tables, and 0 are the most"):
        told_by(config, model, tmp_path / "run")


def test_frames_that_a_codec_was_fitted_to_are_never_measured(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    given = {identity(one) for one in (*model.inputs, *model.others)}
    for codec, count in (("klt", 40), ("int8", 4), ("raw", 0)):
        used = seen(config, model, CUT, codec)
        assert len(used) == count
        assert not used & given
    found, _ = told_by(config, model, tmp_path / "run", [(CUT, "klt-inter:100")])
    assert {one["source"] for one in found.frames} == {"shapes:101", "shapes:102"}
    row = {int(one["frame"]) for one in found.frames if one["source"] == "shapes:101"}
    assert row >= {*range(40)}


def frames_of(asked: list[ModelInput]) -> list[str]:
    return [f"{one.facts()['source']} {one.facts()['frame']}" for one in asked]


def test_frames_are_spread_over_all_sources_that_are_named(
    config: SweepConfig, tmp_path: Path
) -> None:
    asked = config.replaced(calibration="shapes:7, shapes:8,shapes")
    model = load_model(asked, tmp_path)
    assert frames_of(calibration_inputs(asked, model, 4)) == [
        "shapes:7 0", "shapes:8 0", "shapes:8 50", "shapes:0 10",
    ]  # fmt: skip
    searched = frames_of(searched_inputs(asked.replaced(accuracy_frames=6), model))
    assert searched == [
        "shapes:7 50", "shapes:7 51", "shapes:8 50", "shapes:8 51", "shapes:0 55", "shapes:0 56",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="--calibration shapes:7,: name each input once"):
        load_model(config.replaced(calibration="shapes:7,"), tmp_path)


def test_more_sources_are_named_than_fit_into_the_name_of_a_file() -> None:
    names = [f"shapes:{seed}" for seed in range(101, 141)]
    assert sources(",".join(names), "--calibration") == names


@pytest.mark.parametrize("given", ["calibration", "input", None])
def test_no_codec_is_fitted_to_a_frame_that_its_number_is_searched_on(
    config: SweepConfig, tmp_path: Path, given: str | None
) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    for place in range(100):
        Image.new("RGB", (64, 48), (place, 0, 0)).save(pictures / f"{place:03}.png")
    source = {given: str(pictures)} if given else {}
    asked = config.replaced(target_kbit=20.0, codec=["klt"], **source)
    model = load_model(asked, tmp_path)
    searched = {identity(one) for one in searched_inputs(asked, model)}
    assert len(searched) >= 40
    for codec in ("klt", "klt-inter", "klt:100,plain"):
        fitted = fitted_to(asked, model, CUT, codec)
        assert len(fitted) == 40 and not fitted & searched


def test_more_channels_than_klt_takes_are_refused_before_anything_runs(
    config: SweepConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flat.onnx"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    flat = helper.make_tensor_value_info("flat", TensorProto.FLOAT, [1, 3072])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3072])
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], "flatten"),
        helper.make_node("Relu", ["flat"], ["scores"], "relu"),
    ]
    graph = helper.make_graph(nodes, "flat", [image], [scores], value_info=[flat])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file
    )
    asked = config.replaced(model=str(file), split=["1:1"], codec=["klt"])
    model = load_model(asked, tmp_path)
    why = r"klt cannot be fitted to flat \(FP32 \[1, 3072\]\): it has 3072 channels, and 2048 are"
    with pytest.raises(UsageError, match=why):
        plan_cells(asked, model)
    monkeypatch.setattr(PartSession, "run", None)
    found = calibrate(asked, model, [(1, "klt:100")])
    with pytest.raises(UsageError, match="it has 3072 channels"):
        model.coder(1, "klt", found.known)


def test_numbers_are_searched_on_other_videos_than_codecs_are_fitted_to(
    config: SweepConfig, tmp_path: Path
) -> None:
    asked = config.replaced(input="shapes:102@96x64", accuracy_frames=4)
    model = load_model(asked, tmp_path)
    assert {one.split()[0] for one in frames_of(calibration_inputs(asked, model, 4))} == {
        "shapes:101@96x64", "shapes:103@96x64",
    }  # fmt: skip
    assert frames_of(searched_inputs(asked, model)) == [
        f"shapes:{seed}@96x64 {n}" for seed in (104, 105) for n in (0, 1)
    ]


def test_a_run_goes_on_only_with_the_frames_it_was_calibrated_on(
    config: SweepConfig, tmp_path: Path
) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    for place, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (64, 48), colour).save(pictures / f"{place}.png")
    asked = config.replaced(calibration=f"{pictures},shapes:7")
    coding = [(CUT, "int8")]
    model = load_model(asked, tmp_path / "model")
    first, _ = told_by(asked, model, tmp_path / "run", coding)
    assert {one["source"] for one in first.frames} >= {"shapes:7", str(pictures / "0.png")}
    again, _ = told_by(asked, load_model(asked, tmp_path / "model"), tmp_path / "run", coding)
    assert again.known.ranges.keys() == first.known.ranges.keys()
    Image.new("RGB", (64, 48), "white").save(pictures / "0.png")
    changed = load_model(asked, tmp_path / "model")
    with pytest.raises(
        RunError, match=r"int8 was calibrated there on other frames than --calibration"
    ):
        told_by(asked, changed, tmp_path / "run", coding)


def test_a_run_goes_on_only_with_the_frames_that_its_parts_were_quantised_on(
    config: SweepConfig, tmp_path: Path
) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    for place, colour in enumerate(("red", "green")):
        Image.new("RGB", (64, 48), colour).save(pictures / f"{place}.png")
    asked = config.replaced(calibration=str(pictures), ue_precision="int8", split="2:4")
    (kept := tmp_path / "run").mkdir()

    def gone_on(*coding: tuple[int, str]) -> None:
        model = load_model(asked, tmp_path / "model")
        every = configurations(asked, model, lambda _: ["raw"])
        told_by(asked, model, kept, [*coding])
        keep_quantised_on(asked, model, every, RunFolder(kept))

    gone_on()
    gone_on((CUT, "int8"))
    told = json.loads((kept / "calibration.json").read_text())
    assert {Path(one["name"]).name for one in told["quantised_on"]} == {"0.png", "1.png"}
    assert told["ranges"]
    Image.new("RGB", (64, 48), "white").save(pictures / "0.png")
    with pytest.raises(RunError, match="parts in int8 have their ranges there from other frames"):
        gone_on()


def test_what_was_kept_of_another_model_or_damaged_is_refused(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    told_by(config, model, tmp_path / "run")
    (tables,) = (tmp_path / "run/tables").iterdir()
    kept, file = tables.read_bytes(), tmp_path / "run/calibration.json"
    tables.write_bytes(kept[:-1] + b"x")
    with pytest.raises(RunError, match=r"tables of klt:100 for .* are not those of sha256"):
        told_by(config, model, tmp_path / "run")
    tables.unlink()
    with pytest.raises(RunError, match=r"calibration cannot be read: .*start a new run"):
        told_by(config, model, tmp_path / "run")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "f" * 64}))
    with pytest.raises(RunError, match="is of another model, of sha256 ffff"):
        told_by(config, model, tmp_path / "run")


def test_what_part_2_is_sensitive_to_is_measured_once(
    config: SweepConfig, model: SweptModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    run = PartSession.run

    def counted(session: PartSession, tensors: Tensors) -> Tensors:
        runs.append(1)
        return run(session, tensors)

    monkeypatch.setattr(PartSession, "run", counted)
    first, _ = told_by(config, model, tmp_path / "one")
    measured = len(runs)
    second, _ = told_by(config, model, tmp_path / "two")
    assert len(runs) - measured <= measured - 4 * 8  # those of eight channels are saved
    (file,) = (tmp_path / "cache/sensitivity").iterdir()
    file.write_bytes(file.read_bytes()[:100])
    third, _ = told_by(config, model, tmp_path / "three")
    assert first.known.tables == second.known.tables == third.known.tables
    assert np.load(file, allow_pickle=False)["arr_0"].shape == (8, 8)


def transformer_like(path: Path) -> Path:
    """Tokens x channels behind a batch: each layer a product of its last axis."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.standard_normal((4, 24)), "w2": np.diag([3.0] * 12 + [0.1] * 12)}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["rows"], "embed"),
        helper.make_node("MatMul", ["rows", "w2"], ["felt"], "project"),
        helper.make_node("Tanh", ["felt"], ["out"], "bend"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 10, size])
        for name, size in (("x", 4), ("out", 24))
    ]
    held = [numpy_helper.from_array(one.astype(np.float32), n) for n, one in weights.items()]
    graph = helper.make_graph(nodes, "rows", ends[:1], ends[1:], held)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def test_what_part_2_is_sensitive_to_is_that_of_channels_behind_tokens(tmp_path: Path) -> None:
    file = transformer_like(tmp_path / "rows.onnx")
    config = sweep_config({"model": str(file), "runs": 4})
    model = load_model(config, tmp_path)
    coding = [(1, "klt:20"), (1, "klt:20,plain")]
    found, notes = told_by(config, model, tmp_path / "run", coding)
    (kept,) = (tmp_path / "cache/sensitivity").iterdir()
    felt = np.diag(np.load(kept, allow_pickle=False)["arr_0"])
    assert felt.shape == (24,)
    assert felt[:12].min() > 2 * felt[12:].max()
    assert len(set(found.known.tables.values())) == 2, notes
    for _, codec in coding:
        model.coder(1, codec, found.known)


def test_what_was_measured_before_an_end_is_not_measured_again(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    runs: list[int] = []
    most = 60  # 40 of part 1; of part 2 four, and eight for each of four frames

    def check() -> None:
        runs.append(1)
        if len(runs) > most:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(config, model, KLT, check=check)
    kept = len([*(tmp_path / "cache/sensitivity").iterdir()])
    assert 0 < kept < 4
    runs.clear()
    most = 1000
    again = calibrate(config, model, KLT, check=check)
    resumed = len(runs)
    for file in (tmp_path / "cache/sensitivity").iterdir():
        file.unlink()
    runs.clear()
    assert calibrate(config, model, KLT, check=check).known.tables == again.known.tables
    assert resumed == len(runs) - 8 * kept


def test_where_part_2_cannot_be_run_plain_repairs_it(
    config: SweepConfig, model: SweptModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise NodeError("the runtime ran out of memory")

    monkeypatch.setattr("orchestrator.measure.calibration.sensitivities.sensitivity", broken)
    both = [*KLT, (CUT, "klt:100,plain")]
    found, notes = told_by(config, model, tmp_path / "run", both)
    assert [stage for _, stage, _ in found.known.tables] == [codec_named("klt:100,plain").name]
    assert any("ran out of memory" in one and "klt:100,plain" in one for one in notes)


def test_a_cut_is_told_by_the_name_that_the_model_has_for_it(
    config: SweepConfig, model: SweptModel, tmp_path: Path
) -> None:
    own = replace(model, named_splits={"middle": model.graph.cuts[CUT].name})
    _, notes = told_by(config, own, tmp_path / "run", [(CUT, "klt:100,plain")])
    assert any("fitting klt:100,plain at middle to" in one for one in notes)


def test_maps_that_are_not_finite_are_named_and_left_out(
    config: SweepConfig, model: SweptModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (info,) = model.graph.cuts[CUT].tensors
    nothing = {info.name: np.full(info.shape, np.nan, np.float32)}
    monkeypatch.setattr(PartSession, "run", lambda *_: nothing)
    found, notes = told_by(config, model, tmp_path / "run", [(CUT, "klt:100,plain")])
    assert found.known.tables == {}
    assert any("klt:100,plain cannot be fitted to" in one and "NaN" in one for one in notes)
    with pytest.raises(UsageError, match=r"was not fitted to what crosses: .* NaN"):
        model.coder(CUT, "klt:100,plain", found.known)
