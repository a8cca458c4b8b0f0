"""What `orchestrate rd` measures, refuses and leaves."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.measure.calibration import calibration_inputs
from orchestrator.offline.bd import bd_rows, best_anchor, told
from orchestrator.offline.codecs_page import codecs_table, told_points
from orchestrator.offline.codecs_speeds import measure_speeds
from orchestrator.offline.curves import Anchor, anchors, curve_of, ladder
from orchestrator.offline.pool import Pool, pooled
from orchestrator.offline.rd import Bench, RatePoint, plan
from orchestrator.offline.run import run_rd
from orchestrator.results.records import Accuracy
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.model import Known
from splitbed.codecs.stage import Range
from splitbed.errors import UsageError
from splitbed.metrics.bd_rate import pareto
from splitbed.runtime.session import PartSession
from tests.graphs import models
from tests.orchestrator.commands import orchestrate

FRAMES = 3


def asked(**options: object) -> SweepConfig:
    usual = {"model": "shapesnet", "split": "stage3", "runs": FRAMES, "bw": "5,100"}
    return sweep_config({**usual, **options})


def rows(folder: Path, name: str = "points.csv") -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def local() -> Iterator[LocalModel]:
    with local_model(asked()) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rd") / "run"
    config = asked(codec="raw,int8+zstd", input_codec="jpeg,uint8", out=out)
    assert run_rd(config) == 0
    return out


def test_a_codec_with_a_quality_stands_for_its_ladder() -> None:
    assert ladder("jpeg") == [f"jpeg:{quality}" for quality in (10, 30, 50, 75, 90)]
    assert ladder("hevc+zstd")[0] == "hevc:22+zstd"
    assert ladder("avc:30") == ["avc:30"]
    assert ladder("avc:slow,444")[0] == "avc:22,444,slow"
    assert ladder("int8+zstd") == ["int8+zstd"]


def test_a_klt_of_other_videos_keeps_what_part_2_sees(tmp_path: Path) -> None:
    """Which those it is fitted to without --calibration are."""
    config = asked(codec="klt:100", input="shapes,shapes:11", runs=20, out=tmp_path / "run")
    assert run_rd(config) == 0
    klt = next(row for row in rows(tmp_path / "run") if row["codec"] == "klt:100")
    assert float(klt["kbit_per_frame"]) < 16
    assert float(klt["accuracy_drop"]) < 0.02
    fitted = json.loads((tmp_path / "run/rd.json").read_text())["calibration_frames"]
    assert {one["source"] for one in fitted} == {"shapes:101", "shapes:102"}


def test_bytes_fall_with_quality_and_accuracy_does_not_gain(folder: Path) -> None:
    jpeg = [row for row in rows(folder) if row["curve"] == "network anchor jpeg"]
    rates = [float(row["kbit_per_frame"]) for row in jpeg]
    assert rates == sorted(rates)
    assert rates[-1] > 2 * rates[0]
    assert float(jpeg[0]["accuracy"]) < float(jpeg[-1]["accuracy"]) + 0.02


def test_an_input_in_444_costs_shapesnet_next_to_nothing_and_in_420_does_at_any_rate() -> None:
    config = asked(input="shapes:12", runs=20, input_codec="avc:22,444,avc:17")
    with local_model(config) as local:
        bench = Bench(config, local)
        full, halved = bench.points([one for one in plan(config, local) if one.k == 0], Known())
    assert curve_of(full.configuration) == "network anchor avc:444"
    assert full.kbit_per_frame < halved.kbit_per_frame
    assert full.drop is not None and abs(full.drop) <= 0.015
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


VIDEOS = (60, 60, 60, 60)
HERE = [Anchor("here jpeg")]
RATES = {"jpeg": (10.0, 20.0, 40.0, 80.0), "avc": (5.0, 10.0, 20.0, 40.0)}


def measured(pool: Pool, factors: Sequence[float], bent: float = 0.0) -> list[RatePoint]:
    """Curves of which one takes half the rate, in a resample times its factor."""
    made = []
    for name, rates in RATES.items():
        for n, rate in enumerate(rates):
            value = 0.2 + n / 10 - (bent if n == 2 else 0)
            of = factors if name == "avc" else [1.0] * len(factors)
            setup = Configuration(1, 2, "here", f"{name}:{n + 1}")
            again = tuple((rate * factor, value) for factor in of)
            told = Accuracy("AP", value)
            made.append(RatePoint(setup, FRAMES, rate, 0, accuracy=told, again=again))
    return made


def test_half_the_rate_at_the_same_accuracy_is_a_bd_rate_of_minus_50(local: LocalModel) -> None:
    pool = Pool(local, VIDEOS)
    (row,) = bd_rows(measured(pool, (0.8, 1, 1, 1.2)), HERE, pool)
    assert row["bd_rate_pct"] == pytest.approx(-50)
    assert (row["bd_rate_low_pct"], row["bd_rate_high_pct"]) == pytest.approx((-60, -40))
    assert (row["interval"], row["videos"]) == ("each of 4 videos left out", 4)
    assert (row["shown"], row["reason"]) == (True, "")


@pytest.mark.parametrize(
    ("videos", "factors", "bent", "words"),
    [
        (VIDEOS, (0.8, 1, 1, 2.2), 0.0, "not shown: the interval has 0 in it"),
        ((12,), (), 0.0, "not shown: no interval, of so few pictures"),
        (VIDEOS, (1, 1, 1, 1), 0.15, "not monotone: rate 20 gives"),
    ],
    ids=["0 in it", "few pictures", "bent"],
)
def test_a_bd_rate_that_might_be_chance_is_not_shown(
    local: LocalModel, videos: tuple[int, ...], factors: Sequence[float], bent: float, words: str
) -> None:
    pool = Pool(local, videos)
    (row,) = bd_rows(measured(pool, factors, bent), HERE, pool)
    assert row["shown"] is False
    assert words in str(row["reason"])
    assert words in str(told(row)["BD-rate against here jpeg"])


def test_pareto_points_are_fewer_and_give_what_the_others_bend(local: LocalModel) -> None:
    pool = Pool(local, VIDEOS)
    (row,) = bd_rows(measured(pool, (1, 1, 1, 1), bent=0.15), HERE, pool, best=True)
    assert (row["points"], row["pareto"]) == (3, True)
    assert "too few points, 3" in str(row["reason"])
    assert pareto([(4, 0.4), (1, 0.1), (2, 0.3), (3, 0.2), (2, 0.2)]) == [
        (1, 0.1), (2, 0.3), (4, 0.4),
    ]  # fmt: skip


def test_resamples_of_pictures_must_nearly_all_have_a_bd_rate(local: LocalModel) -> None:
    pool = Pool(local, (40,))
    points = measured(pool, [1.0 + n / 1000 for n in range(100)])
    (row,) = bd_rows(points, HERE, pool)
    assert row["interval"] == "95 % of resamples of 40 pictures"
    low, high = row["bd_rate_low_pct"], row["bd_rate_high_pct"]
    assert isinstance(low, float) and isinstance(high, float)
    assert -50 < low < high < -45
    flat = [replace(one, again=[(rate, 0.5) for rate, _ in one.again[:20]] + list(one.again[20:]))
            for one in points]  # fmt: skip
    (row,) = bd_rows(flat, HERE, pool)
    assert "no interval, as 20 of 100 resamples have no BD-rate" in str(row["reason"])


def test_several_videos_are_judged_together_and_coded_each_by_itself(tmp_path: Path) -> None:
    codec = {"codec": "raw", "input_codec": "avc-inter:30"}
    alone = []
    for seed in (11, 12):
        with pooled(asked(**codec, input=f"shapes:{seed}")) as pool:
            setups = [one for one in plan(asked(**codec), pool.local) if one.k == 0]
            alone += [*Bench(asked(**codec), pool.local, pool).points(setups, Known())]
    out = tmp_path / "run"
    assert run_rd(asked(**codec, input="shapes:11,shapes:12", out=out)) == 0
    (row,) = [one for one in rows(out) if one["codec"] == "avc-inter:30"]
    assert (row["videos"], row["frames"]) == ("2", str(2 * FRAMES))
    assert float(row["kbit_per_frame"]) == pytest.approx(
        np.mean([point.kbit_per_frame for point in alone])
    )
    told = json.loads((out / "rd.json").read_text())
    assert told["frames_of_each_input"] == [FRAMES] * 2
    assert told["model"]["inputs"][FRAMES]["name"] == "shapes:12/000000.png"


def test_the_anchor_is_the_ladder_of_the_input_with_the_fewest_bits_that_loses_little() -> None:
    points = [
        RatePoint(Configuration(0, 2, "network anchor", f"{codec}:{n}"), 9, kbit, drop=drop)
        for codec, *of in (
            ("jpeg", (90, 0.001), (60, 0.008)), ("avc", (10, 0.03), (20, 0.02)),
            ("hevc", (30, 0.02), (50, 0.009)),
        )
        for n, (kbit, drop) in enumerate(of, 30)
    ]  # fmt: skip
    assert best_anchor(points, 0.01) == [Anchor("network anchor hevc")]
    assert best_anchor(points, 0.02) == [Anchor("network anchor avc")]
    assert best_anchor(points[:1], 0.01) == []


def test_an_input_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="name each input once"), pooled(asked(input="a,b,a")):
        pass


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


def test_a_frame_that_cannot_be_encoded_is_named(
    local: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = asked(codec="int8")
    bench, setups = Bench(config, local), plan(config, local)
    (tensor,) = local.model.graph.cuts[setups[-1].k].tensors
    limits = Range(ends := np.zeros(tensor.shape[1], np.float32), ends)
    nothing = np.full(tensor.shape, np.nan, np.float32)
    monkeypatch.setattr(PartSession, "run", lambda *_: {tensor.name: nothing})
    (point,) = bench.points(setups[-1:], Known({tensor.name: limits}))
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


def test_an_anchor_is_a_curve_or_the_codec_of_the_input_or_at_each_cut_its_own(
    local: LocalModel,
) -> None:
    config = asked(codec="avc,klt,int8", input_codec="avc,jpeg", split="stage2,stage3")
    setups = plan(config, local)
    assert anchors(["avc", "stage3 avc"], setups) == [
        Anchor("network anchor avc"),
        Anchor("stage3 avc"),
    ]
    each = anchors(["klt"], setups)
    assert each == [Anchor("stage2 klt", "stage2"), Anchor("stage3 klt", "stage3")]
    assert [each[0].bears(f"{split} avc") for split in ("stage2", "stage3")] == [True, False]
    with pytest.raises(UsageError, match=r"hevc means no curve: choose network anchor avc"):
        anchors(["hevc"], setups)


def test_a_codec_of_several_words_is_one_of_the_anchors() -> None:
    words = ["rd", "--model", "shapesnet", "--split", "stage3", "--codecs", "raw"]
    done = orchestrate(*words, "--anchor", "raw, avc:444,fast")
    assert done.code == 2
    assert "--anchor avc:444,fast means no curve" in done.err


def test_curves_are_held_against_the_picture_and_against_the_mosaic_of_their_cut(
    local: LocalModel,
) -> None:
    pool = Pool(local, VIDEOS)
    here = measured(pool, (1, 1, 1, 1))
    there = [replace(one, configuration=replace(one.configuration, split_name="there"))
             for one in here]  # fmt: skip
    against = anchors(["here avc", "jpeg"], [one.configuration for one in (*here, *there)])
    found = [(row["anchor"], row["curve"]) for row in bd_rows([*here, *there], against, pool)]
    assert found == [
        ("here avc", "here jpeg"), ("here avc", "there jpeg"), ("here avc", "there avc"),
        ("here jpeg", "here avc"), ("there jpeg", "there avc"),
    ]  # fmt: skip


def test_the_table_of_codecs_is_made_of_its_folder(folder: Path) -> None:
    _, _, _, _, *lines = codecs_table([folder]).splitlines()
    assert len(lines) == len({row["curve"] for row in rows(folder)} - {""})
    (raw,) = (line for line in lines if "`raw`" in line)
    assert "| 0.000 |" in raw


def test_how_fast_the_codecs_of_the_table_are_is_measured_anew_without_the_others(
    folder: Path,
) -> None:
    measure_speeds([folder], frames=3)
    alone = rows(folder, "speeds.csv")
    told = [(row["split_name"], row["codec"]) for row in told_points(folder)]
    assert [(row["split_name"], row["codec"]) for row in alone] == told
    assert len(told) < len(rows(folder)) - 1
    assert all(float(row["encode_ms"]) > 0 and float(row["decode_ms"]) > 0 for row in alone)


def test_a_model_of_no_pictures_is_measured_on_as_much_seeded_noise_as_was_asked(
    tmp_path: Path,
) -> None:
    file = models.save(models.several(), tmp_path / "several.onnx")
    with pooled(asked(model=str(file), split="all", runs=4)) as pool:
        model = pool.local.model
        measured = {one.name for one in model.inputs}
        assert pool.frames == (len(measured),) == (4,)
        assert not measured & {one.name for one in calibration_inputs(asked(), model, 40)}
