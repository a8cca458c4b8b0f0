"""Rows, verdict and advice, from samples made up to be known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from netem.spec import symmetric
from orchestrator.plan.doubt.lessons import _of_rows
from orchestrator.results.judgement.verdict import judge_run
from orchestrator.results.prediction import DOWN_MS, UP_MS
from orchestrator.results.records import CellRecord, FrameRecord
from orchestrator.results.rows import COLUMNS, known
from orchestrator.results.run_folder import CELLS_FILE, PROFILE_FILE, SAMPLES_FILE, RunFolder
from orchestrator.results.tables import summary_csv
from tests.orchestrator.measure.test_profile import profile
from tests.orchestrator.written import add_frame, change_run, rows, write_run

SPEC = symmetric(rate_mbit=8)
PROOF: dict[str, Any] = {"uplink_mbit": 8.0, "downlink_mbit": 8.0, "rtt_min_ms": 0.2, "fault": ""}

TCP: dict[str, Any] = {"congestion_control": "cubic", "retransmits": 0, "cwnd_segments": 10}


OF_FRAMES = ("max_abs_diff", "encoded_bytes")


def add_cell(folder: RunFolder, split: str, e2e_ms: Sequence[float], **changed: Any) -> None:
    """Write down a cell, and its frames before it."""
    cell, frames = made_cell(split, e2e_ms, **changed)
    for frame in frames:
        folder.append(SAMPLES_FILE, frame.line())
    folder.append(CELLS_FILE, cell.line())


def made_cell(
    split: str, e2e_ms: Sequence[float], **changed: Any
) -> tuple[CellRecord, list[FrameRecord]]:
    """A cell whose uplink takes all but 10 ms; 1 KB of it per ms is the wire's."""
    cell: dict[str, Any] = {
        "key": split, "attempt": split, "split": split, "split_name": f"cut {split}",
        "intermediate_tensors": 1, "intermediate_bytes": 1000, "link": SPEC.model_dump(),
        "link_backend": "linkbox", "error": None, "part1_bytes": 1, "part2_bytes": 2,
        "proofs": [PROOF | {"tcp": TCP}, PROOF | {"tcp": TCP | {"retransmits": 3}}],
    }  # fmt: skip
    of_frames = {key: value for key, value in changed.items() if key in OF_FRAMES}
    of_cell = {key: value for key, value in changed.items() if key not in OF_FRAMES}
    attempt = changed.get("attempt", split)
    frames = [_frame(attempt, place, total_ms, of_frames) for place, total_ms in enumerate(e2e_ms)]
    return CellRecord.from_plain(cell | of_cell), frames


def _frame(split: str, place: int, total_ms: float, changed: dict[str, Any]) -> FrameRecord:
    ends = [0, 5, 5, total_ms - 5, total_ms - 5, total_ms, total_ms, total_ms]
    names = ["part1", "encode", "uplink", "decode", "part2", "result", "downlink"]
    stages = [
        [name, int(start * 1e6), int(end * 1e6)]
        for name, start, end in zip(names, ends, ends[1:], strict=False)
    ]
    told = {"attempt": split, "frame": place, "stages": stages, "max_abs_diff": 0.0}
    told["encoded_bytes"] = int((total_ms - 10) * 1000 / 1.06) - 200
    return FrameRecord.from_plain(told | changed)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path)
    write_run(folder, model={"name": "m", "weights": "the file's own"})
    return folder


def test_times_are_medians_of_the_raw_samples(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100, 110, 200])
    (row,) = rows(folder)
    assert row.e2e_ms == pytest.approx(110)
    assert row.part1_ms == pytest.approx(5)
    assert row.frames == 3
    assert row.link_retransmits == 3


def test_speed_up_is_against_the_faster_anchor(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3)
    assert [row.speedup_vs_best_anchor for row in rows(folder)] == pytest.approx([0.8, 1.6, 1])


def test_an_invalid_anchor_is_no_measure_of_speed(folder: RunFolder) -> None:
    fault = PROOF | {"tcp": None, "fault": "uplink 3"}
    add_cell(folder, "0:2", [10] * 3, proofs=[fault, fault])
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [100] * 3)
    assert rows(folder)[1].speedup_vs_best_anchor == pytest.approx(2)


def test_links_that_differ_only_in_the_downlink_are_not_compared(folder: RunFolder) -> None:
    other = SPEC.model_copy(update={"downlink": SPEC.downlink.model_copy(update={"loss_pct": 1})})
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [50] * 3, link=other.model_dump())
    first, second = rows(folder)
    assert first.link != second.link
    assert second.speedup_vs_best_anchor is None


def test_a_cell_measured_again_counts_once_by_its_last_attempt(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [], error="the edge node died")
    add_cell(folder, "1:1", [50] * 3)
    (row,) = rows(folder)
    assert row.valid is True
    assert row.frames == 3


def test_samples_of_an_interrupted_cell_do_not_count(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [50] * 3)
    add_frame(folder, {"attempt": "2:0", "stages": [["part1", 0, 1]]})
    assert len(rows(folder)) == 1


def test_the_floor_is_that_of_the_paths_own_segments(folder: RunFolder) -> None:
    tcp = PROOF | {"tcp": TCP | {"mss_bytes": 8948}}
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [100] * 3, proofs=[tcp, tcp])
    usual, jumbo = rows(folder)
    assert (usual.mss_bytes, jumbo.mss_bytes) == (None, 8948)
    assert (jumbo.bound_ms or 0) < (usual.bound_ms or 0) - 2


def test_how_often_a_link_was_measured_is_in_the_row(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [50] * 3, proofs=[PROOF | {"attempts": 1}, PROOF | {"attempts": 3}])
    (row,) = rows(folder)
    assert row.link_attempts == 3


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"error": "the ue node hung"}, "the ue node hung"),
        (
            {"proofs": [PROOF | {"tcp": None}, PROOF | {"tcp": None, "fault": "uplink 3"}]},
            "uplink 3",
        ),
        ({"max_abs_diff": 0.5}, "differs from the whole model's by 0.5"),
        ({"link": symmetric(rate_mbit=4).model_dump()}, "faster than its physical floor"),
    ],
)
def test_a_broken_rule_makes_the_row_and_the_run_invalid(
    folder: RunFolder, changed: dict[str, Any], says: str
) -> None:
    add_cell(folder, "1:1", [100] * 3, **changed)
    table = rows(folder)
    verdict = judge_run(table, 1)
    assert table[0].valid is False
    assert verdict.word == "INVALID"
    assert says in verdict.reasons[0]


def test_rates_that_were_known_are_no_measurement(folder: RunFolder) -> None:
    known = PROOF | {"rates_known": True, "uplink_mbit": 8.2, "downlink_mbit": 8.2}
    add_cell(folder, "1:1", [100] * 3, proofs=[known | {"rtt_min_ms": 0.4}, PROOF])
    (row,) = rows(folder)
    assert (row.link_mbit, row.link_down_mbit) == (8, 8)
    assert row.link_rtt_ms == pytest.approx(0.3)


def test_a_run_that_lacks_cells_is_invalid(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [100] * 3)
    verdict = judge_run(rows(folder), 3)
    assert verdict.reasons == ("2 of 3 cells were not measured",)


def test_advice_names_the_split_that_wins_and_by_how_much(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3)
    assert judge_run(rows(folder), 3).advice == (
        "At 8 Mbit/s cut at cut 1:1 (1:1): 50 ms, 1.60 times (1.53 to 1.68) as fast as the cut 2:0 "
        "and 2.00 times (1.92 to 2.09) as fast as the cut 0:2 with its input raw.",
    )


def test_advice_says_how_much_smaller_the_data_must_be_where_no_split_wins(
    folder: RunFolder,
) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [110] * 3)
    add_cell(folder, "2:0", [60] * 3)
    (advice,) = judge_run(rows(folder), 3).advice
    # the uplink takes 100 of the 110 ms and must shrink to 50
    assert "do not split" in advice
    assert "2.00 times smaller" in advice


def test_advice_names_the_input_codec_that_was_beaten_and_those_that_lose_more(
    folder: RunFolder,
) -> None:
    def judged(value: float) -> dict[str, Any]:
        ends = {"drop": 0.8 - value, "drop_high": 0.8 - value}
        return {"lossless": False, "accuracy": {"metric": "AP", "value": value, **ends}}

    change_run(folder, whole_accuracy={"metric": "AP", "value": 0.8})
    add_cell(folder, "0:2", [90] * 3, key="a", attempt="a", codec="uint8")
    add_cell(folder, "0:2", [30] * 3, key="b", attempt="b", codec="jpeg:75", **judged(0.6))
    add_cell(folder, "1:1", [50] * 3, codec="int8+zstd", **judged(0.79))
    add_cell(folder, "2:0", [80] * 3, codec="none")
    assert judge_run(rows(folder), 4).advice[0] == (
        "At 8 Mbit/s cut at cut 1:1 (1:1) as int8+zstd, at 0.010 less AP: 50 ms, 1.60 times (1.53 "
        "to 1.68) as fast as the cut 2:0 and 1.80 times (1.72 to 1.88) as fast as the "
        "cut 0:2 with its input as uint8; as jpeg:75 (0.200) the input loses more accuracy."
    )


def test_advice_names_the_input_codec_that_wins_where_no_split_does(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [40] * 3, codec="uint8")
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    (advice,) = judge_run(rows(folder), 3).advice
    assert advice.startswith(
        "At 8 Mbit/s do not split: the cut 0:2 with its input as uint8 takes 40 ms, the best "
        "split, cut 1:1 (1:1), 50 ms, 1.25 times (1.17 to 1.33) as long, the cut 2:0 80 ms; "
    )


def test_csv_has_the_columns_of_the_design_first_and_leaves_unknowns_empty(
    folder: RunFolder,
) -> None:
    add_cell(folder, "2:0", [], error="the ue node died")
    header, line = summary_csv(rows(folder)).splitlines()
    assert header.split(",")[:6] == ["model", "runtime", "split", "split_name", "codec", "bw_mbit"]
    assert len(header.split(",")) == len(COLUMNS)
    assert ",false,the ue node died," in line


def test_a_delivery_has_paid_once_the_frames_it_saves_add_up_to_it(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3, part1_bytes=0, part1_delivery_ms=0.4)
    add_cell(folder, "1:1", [60] * 3, part1_delivery_ms=500.0)
    add_cell(folder, "2:0", [120] * 3, part1_delivery_ms=900.0)
    network, split, device = rows(folder)
    assert split.frames_to_pay_delivery == 13  # 500 ms at 40 ms a frame
    assert network.frames_to_pay_delivery is None  # nothing was delivered
    assert device.frames_to_pay_delivery is None  # it never pays


def test_advice_says_when_the_delivery_of_the_best_split_has_paid(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3, part1_bytes=0, part1_delivery_ms=0.4)
    add_cell(folder, "1:1", [60] * 3, part1_delivery_ms=500.0)
    add_cell(folder, "2:0", [120] * 3, part1_delivery_ms=900.0)
    advice = judge_run(rows(folder), 3).advice
    assert "(its delivery, 500 ms, is paid after 13 frames)" in advice[0]


def test_a_part_that_arrived_faster_than_physics_makes_the_row_invalid(folder: RunFolder) -> None:
    # a megabyte at 8 Mbit/s takes a second
    add_cell(folder, "1:1", [60] * 3, part1_bytes=1_000_000, part1_delivery_ms=400.0)
    (row,) = rows(folder)
    assert not row.valid
    assert "part 1 was delivered faster than physics" in row.reason


def test_predictions_stand_beside_what_was_measured(folder: RunFolder) -> None:
    # measured: 5 ms on either node; predicted: 4 ms on the UE, 8 ms on the edge
    (folder.path / PROFILE_FILE).write_text(profile(ue_ms=(4, 2), edge_ms=(3, 8)).model_dump_json())
    add_cell(folder, "1:1", [110] * 3)
    (row,) = rows(folder)
    # after a pause half as much again, and 0.4 ms to run a part at all
    assert (row.part1_predicted_ms, row.part2_predicted_ms) == (6.4, 12.4)
    assert row.bound_ms is not None
    assert row.e2e_ms is not None
    # the bound with the predicted parts; the prediction has what messages cost, too
    quiet_ms = row.bound_ms + 8.8
    assert row.e2e_over_quiet == pytest.approx(row.e2e_ms / quiet_ms)
    assert row.e2e_predicted_ms is not None
    assert row.e2e_predicted_ms == pytest.approx(quiet_ms + UP_MS + DOWN_MS, rel=1e-3)
    assert row.prediction_error_pct == pytest.approx(100 * (row.e2e_predicted_ms / 110 - 1))
    assert "part 1 and part 2 alone within 88.0 %" in judge_run([row], 1).advice[0]


@pytest.mark.parametrize("path", [{}, {"mss_bytes": 1428, "ip_version": 6}, {"mss_bytes": 8948}])
def test_a_prediction_has_the_headers_that_the_bound_has(
    folder: RunFolder, path: dict[str, int]
) -> None:
    (folder.path / PROFILE_FILE).write_text(profile(ue_ms=(4, 2), edge_ms=(3, 8)).model_dump_json())
    add_cell(folder, "1:1", [110] * 3, proofs=[PROOF | {"tcp": TCP | path}] * 2)
    (row,) = rows(folder)
    assert row.e2e_predicted_ms is not None
    assert row.bound_ms is not None
    more_ms = 8.8 + UP_MS + DOWN_MS  # of the parts as predicted, and of messages
    assert row.e2e_predicted_ms == pytest.approx(row.bound_ms + more_ms, rel=1e-3)


def test_a_row_is_predicted_by_the_formula_of_plans(folder: RunFolder) -> None:
    told = profile(ue_ms=(4, 2), edge_ms=(3, 8))
    (folder.path / PROFILE_FILE).write_text(told.model_dump_json())
    add_cell(folder, "1:1", [110] * 3)
    (row,) = rows(folder)
    (lesson,) = _of_rows([row], told)
    assert row.e2e_ms is not None
    assert row.e2e_predicted_ms is not None
    assert row.bound_ms is not None
    on_nodes = ("part1", "encode", "decode", "part2", "result")
    wire_ms = row.bound_ms - sum(known(getattr(row, f"{stage}_ms")) for stage in on_nodes)
    predicted_ms = wire_ms + (row.e2e_ms - wire_ms) / lesson.ratio
    assert row.e2e_predicted_ms == pytest.approx(predicted_ms, rel=1e-3)


def test_a_profile_that_cannot_be_read_predicts_nothing(folder: RunFolder) -> None:
    (folder.path / PROFILE_FILE).write_text('{"ue": 1}')
    add_cell(folder, "1:1", [110] * 3)
    (row,) = rows(folder)
    assert row.e2e_predicted_ms is None


def test_a_cell_without_its_frames_is_invalid(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [])
    (row,) = rows(folder)
    assert not row.valid
    assert "missing from samples.jsonl" in row.reason


def test_a_cell_that_lost_a_frame_is_invalid(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [50] * 3, frames=4)
    (row,) = rows(folder)
    assert row.reason == "1 of its frames are missing from samples.jsonl"


def test_rows_have_the_interval_of_their_median(folder: RunFolder) -> None:
    add_cell(folder, "1:1", [50, 51, 52, 53, 60])
    (row,) = rows(folder)
    assert (row.e2e_low_ms, row.e2e_high_ms) == pytest.approx((50, 60))
    assert row.e2e_coverage_pct is None  # a range
    add_cell(folder, "0:2", [50, 51, 52, 53, 60, 61])
    row = next(row for row in rows(folder) if row.split == "0:2")
    assert (row.e2e_low_ms, row.e2e_high_ms) == pytest.approx((50, 61))
    assert row.e2e_coverage_pct == pytest.approx(96.875)


@pytest.mark.parametrize(
    ("frames", "p95", "p99"), [(58, 0, 0), (59, 1, 0), (298, 1, 0), (299, 1, 1)]
)
def test_percentiles_are_given_of_enough_frames(
    folder: RunFolder, frames: int, p95: bool, p99: bool
) -> None:
    add_cell(folder, "1:1", [*range(50, 50 + frames)])
    (row,) = rows(folder)
    assert (row.e2e_p95_ms is not None, row.e2e_p99_ms is not None) == (p95, p99)
    if p95:
        assert row.e2e_p95_ms == pytest.approx(50 + 0.95 * (frames - 1))


def test_rows_are_in_the_order_of_the_grid(folder: RunFolder) -> None:
    change_run(folder, grid=["0:2", "1:1", "2:0"])
    for split in ("2:0", "0:2", "1:1"):
        add_cell(folder, split, [50] * 3)
    assert [row.split for row in rows(folder)] == ["0:2", "1:1", "2:0"]


@pytest.mark.parametrize(("asked", "told"), [(1.05, ""), (4.0, "valid, though the UE was 1.00 ")])
def test_a_row_says_that_the_ue_was_not_as_slow_as_was_asked(
    folder: RunFolder, asked: float, told: str
) -> None:
    slow = {"ue": f"{asked:g}x slower", "ue_slowdown": asked, "ue_slowdown_asked": asked}
    add_cell(folder, "1:1", [100] * 3)
    add_cell(folder, "1:1", [100] * 3, key="slow", attempt="slow", **slow)
    _, row = rows(folder)
    assert row.valid
    assert row.ue_slowdown == 1  # part 1 took as long as at the UE's own pace, whatever was tried
    assert row.reason.startswith(told)
    assert bool(row.reason) == bool(told)
