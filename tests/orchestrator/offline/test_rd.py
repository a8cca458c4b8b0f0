"""What `orchestrate rd` measures, refuses and leaves."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep_config import SweepConfig, sweep_config
from orchestrator.offline.codecs_page import codecs_table
from orchestrator.offline.rd import Bench, RatePoint, anchor_curve, curve_of, ladder, plan
from orchestrator.offline.run import bd_rows, run_rd
from orchestrator.results.records import Accuracy
from orchestrator.testbed.local import local_model
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.runtime.session import PartSession

FRAMES = 4


def asked(**options: object) -> SweepConfig:
    usual = {"model": "shapesnet", "split": "stage3", "runs": FRAMES, "bw": "5,100"}
    return sweep_config({**usual, **options})


def rows(folder: Path, name: str = "points.csv") -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rd") / "run"
    config = asked(codec="raw,int8+zstd", input_codec="jpeg,avc-inter:30,uint8", out=out)
    assert run_rd(config) == 0
    return out


def test_a_codec_with_a_quality_stands_for_its_ladder() -> None:
    assert ladder("jpeg") == [f"jpeg:{quality}" for quality in (10, 30, 50, 75, 90)]
    assert ladder("hevc+zstd")[0] == "hevc:22+zstd"
    assert ladder("avc:30") == ["avc:30"]
    assert ladder("avc:slow,444")[0] == "avc:22,444,slow"
    assert ladder("int8+zstd") == ["int8+zstd"]


def test_bytes_fall_with_quality_and_accuracy_does_not_gain(folder: Path) -> None:
    jpeg = [row for row in rows(folder) if row["curve"] == "network anchor jpeg"]
    rates = [float(row["kbit_per_frame"]) for row in jpeg]
    assert rates == sorted(rates)
    assert rates[-1] > 2 * rates[0]
    assert float(jpeg[0]["accuracy"]) < float(jpeg[-1]["accuracy"]) + 0.02


def test_an_input_in_444_costs_shapesnet_next_to_nothing_and_in_420_does_at_any_rate() -> None:
    config = asked(input="shapes:12", runs=30, input_codec="avc:22,444,avc:17")
    with local_model(config) as local:
        bench = Bench(config, local)
        full, halved = bench.points([one for one in plan(config, local) if one.k == 0], Setting())
    assert curve_of(full.configuration) == "network anchor avc:444"
    assert full.kbit_per_frame < halved.kbit_per_frame
    assert full.drop is not None and abs(full.drop) <= 0.01
    assert halved.drop is not None and halved.drop > 0.02


def test_lossless_codecs_lose_no_accuracy(folder: Path) -> None:
    drops = {row["codec"]: row["accuracy_drop"] for row in rows(folder)}
    assert [float(drops[name]) for name in ("raw", "uint8")] == [0, 0]


def test_the_whole_model_is_the_point_of_rate_0(folder: Path) -> None:
    first, *others = rows(folder)
    assert (first["codec"], float(first["kbit_per_frame"])) == ("none", 0)
    assert all(float(row["kbit_per_frame"]) > 0 for row in others)


def test_the_bound_is_the_node_times_and_the_wire(folder: Path) -> None:
    (raw,) = [row for row in rows(folder) if row["codec"] == "raw"]
    stages = ("part1_ms", "encode_ms", "decode_ms", "part2_ms", "result_ms")
    on_wire = float(raw["bound_ms_at_5"]) - sum(float(raw[stage]) for stage in stages)
    assert on_wire == pytest.approx(float(raw["kbit_per_frame"]) / 5 * 1514 / 1448, rel=0.01)


def test_identical_work_is_measured_once(folder: Path) -> None:
    first, *crossing = rows(folder)
    for split in {row["split"] for row in crossing}:
        here = [row for row in crossing if row["split"] == split]
        assert len(here) > 1
        assert len({(row["part1_ms"], row["part2_ms"]) for row in here}) == 1
    assert {row["result_ms"] for row in crossing} == {first["result_ms"]}


def test_the_folder_says_what_was_asked_of_which_weights_and_frames(folder: Path) -> None:
    told = json.loads((folder / "rd.json").read_text())
    assert told["asked"]["codec"] == ["raw", "int8+zstd"]
    assert "sha256:" in told["model"]["weights"]
    measured = {one["sha256"] for one in told["model"]["inputs"]}
    assert measured.isdisjoint(one["sha256"] for one in told["calibration_frames"])
    assert (folder / "calibration.json").exists()
    assert (folder / "rate-accuracy.png").read_bytes().startswith(b"\x89PNG")


def test_a_single_point_has_a_reason_in_place_of_a_bd_rate(folder: Path) -> None:
    (row,) = [row for row in rows(folder, "bd_rate.csv") if row["curve"] == "stage3 int8+zstd"]
    assert row["bd_rate_pct"] == ""
    assert row["reason"] == "no BD-rate: the curve has too few points, 1: 4 are needed"


def _here(codec: str) -> Configuration:
    return Configuration(1, 2, "here", codec)


def test_half_the_rate_at_the_same_accuracy_is_a_bd_rate_of_minus_50() -> None:
    ladders = {"jpeg": (10, 20, 40, 80), "avc": (5, 10, 20, 40)}
    points = [
        RatePoint(
            Configuration(1, 2, "here", f"{name}:{n + 1}"),
            FRAMES,
            rate,
            0,
            Accuracy("AP", 0.2 + n / 10),
        )
        for name, rates in ladders.items()
        for n, rate in enumerate(rates)
    ]
    (row,) = bd_rows(points, "here jpeg")
    assert row["bd_rate_pct"] == pytest.approx(-50)


def test_a_point_that_fails_leaves_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a picture's codec cannot be bound to a map
    config = asked(codec="uint8,fp16", out=tmp_path / "run")
    assert run_rd(config, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)["points"]
    errors = {point["codec"]: point["error"] for point in told}
    assert "uint8 cannot code" in errors["uint8"]
    assert errors["fp16"] == ""
    assert len(rows(tmp_path / "run")) == len(told)


def test_a_frame_that_cannot_be_encoded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = asked(codec="int8")
    with local_model(config) as local:
        bench, setups = Bench(config, local), plan(config, local)
        (tensor,) = local.model.graph.cuts[setups[-1].k].tensors
        limits = Range(*(np.zeros(tensor.shape[1], np.float32) for _ in range(2)))
        nothing = np.full(tensor.shape, np.nan, np.float32)
        monkeypatch.setattr(PartSession, "run", lambda *_: {tensor.name: nothing})
        (point,) = bench.points(setups[-1:], Setting({tensor.name: limits}))
    assert point.error.startswith(f"at {local.model.inputs[0].name}: int8 cannot encode")
    assert "NaN" in point.error


def test_what_was_measured_before_an_interruption_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = Bench.points

    def interrupted(*given: object) -> object:
        yield next(points(*given))  # type: ignore[arg-type]  # handed on as they came
        raise KeyboardInterrupt

    monkeypatch.setattr(Bench, "points", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_rd(asked(codec="fp16", out=tmp_path / "run"))
    assert [row["codec"] for row in rows(tmp_path / "run")] == ["none", "raw"]


def test_an_anchor_is_a_curve_or_the_codec_of_the_input() -> None:
    config = asked(codec="avc", input_codec="avc,jpeg")
    with local_model(config) as local:
        setups = plan(config, local)
    assert anchor_curve("avc", setups) == "network anchor avc"
    assert anchor_curve("stage3 avc", setups) == "stage3 avc"
    with pytest.raises(UsageError, match=r"hevc means no curve: choose network anchor avc"):
        anchor_curve("hevc", setups)


def test_the_table_of_codecs_is_made_of_its_folder(folder: Path) -> None:
    _, _, _, _, *lines = codecs_table([folder]).splitlines()
    assert len(lines) == len({row["curve"] for row in rows(folder)} - {""})
    (raw,) = (line for line in lines if "`raw`" in line)
    assert "| 0.000 |" in raw
