"""What rows and sentences tell of a load, of frames made up to be known."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.reports.export import export
from orchestrator.reports.load_table import load_lines
from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.load import remarks_on_load
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder
from orchestrator.results.statistics.offered import offered
from tests.orchestrator.made_runs import made_run
from tests.orchestrator.results.test_offered import one_server
from tests.orchestrator.written import add_cell_line, add_frame, made_row, rows

MS = 1_000_000
COUNTED = ("done", "late", "dropped_source", "dropped_edge", "frame_errors")


def add_load(
    folder: RunFolder,
    split: str,
    took_ms: Sequence[float | None],
    reason: str | None = None,
    block: int = 0,
    attempt: str = "loaded",
) -> None:
    """A cell under fps:10 whose frames took so long; None is dropped, or failed for a reason."""
    attempt = f"{split} {attempt} {block}"
    anchor = {"0:2": "network anchor", "2:0": "device anchor"}
    for number, ms in enumerate(took_ms):
        due = number * 100 * MS
        told: dict[str, object] = {"attempt": attempt, "frame": number, "due_ns": due}
        if ms is None:
            gone = (
                {"outcome": "error", "reason": reason} if reason else {"outcome": "dropped_source"}
            )
            add_frame(folder, told | gone | {"stages": [], "done_ns": due})
            continue
        end = due + int(ms * MS)
        told |= {"outcome": "ok", "start_ns": due, "done_ns": end, "max_abs_diff": 0.0}
        before = [["wait", due, due + 4 * MS], ["preprocess", due + 4 * MS, due + 7 * MS]]
        began = due + 7 * MS
        add_frame(folder, told | {"stages": [*before, ["part1", began, end]]})
    add_cell_line(
        folder,
        {
            "key": f"{split} under fps:10",
            "block": block,
            "attempt": attempt,
            "split": split,
            "split_name": anchor.get(split, "cut"),
            "codec": "none",
            "link": {"uplink": {"rate_mbit": 8}, "downlink": {"rate_mbit": 8}},
            "load": "fps:10",
            "frames": sum(ms is not None for ms in took_ms),
        },
    )


def loaded(folder: RunFolder) -> dict[str, Row]:
    return {row.split: row for row in rows(folder) if row.load}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return made_run(tmp_path / "run")


def test_a_row_tells_what_became_of_each_frame_and_their_sum(folder: RunFolder) -> None:
    add_load(folder, "2:0", [20.0] * 298 + [None, None])
    row = loaded(folder)["2:0"]
    assert row.offered == sum(getattr(row, name) for name in COUNTED) == 300
    assert (row.done, row.dropped_source, row.sustained, row.valid) == (298, 2, True, True)
    assert row.response_ms == row.response_p99_ms == pytest.approx(20)
    assert row.conditions.words == "8 Mbit/s, fps:10"


def test_frames_of_all_blocks_add_up_and_of_what_was_measured_again_the_last(
    folder: RunFolder,
) -> None:
    add_load(folder, "2:0", [20.0] * 100 + [None] * 200, attempt="disturbed")
    add_load(folder, "2:0", [20.0] * 299 + [None])
    add_load(folder, "2:0", [20.0] * 298 + [None] * 2, block=1)
    row = loaded(folder)["2:0"]
    assert row.offered == sum(getattr(row, name) for name in COUNTED) == 600
    assert (row.done, row.frames, row.sustained) == (597, 597, True)


def test_preprocessing_and_what_a_frame_waits_for_it_are_in_its_response_alone(
    folder: RunFolder,
) -> None:
    add_load(folder, "2:0", [20.0] * 60)
    row = loaded(folder)["2:0"]
    assert (row.response_ms, row.e2e_ms, row.wait_ms) == pytest.approx((20, 13, 4))


def test_what_is_not_sustained_is_valid_and_has_no_percentile_anywhere(folder: RunFolder) -> None:
    add_load(folder, "2:0", [20.0, None] * 150)
    row = loaded(folder)["2:0"]
    assert row.valid
    assert row.reason == "not sustained: of 300 frames 150 dropped at the source"
    for name in ("response_ms", "response_p95_ms", "response_p99_ms", "e2e_p95_ms", "e2e_p99_ms"):
        assert getattr(row, name) is None
    (line,) = load_lines([row])[1]
    assert "not sustained" in line
    assert "not sustained" in export([row], "md").decode()
    assert row.speedup_vs_best_anchor is None


def test_frames_that_failed_make_the_row_invalid_with_the_first_reason(folder: RunFolder) -> None:
    add_load(folder, "2:0", [20.0] * 299 + [None], "the edge hung")
    row = loaded(folder)["2:0"]
    assert not row.valid
    assert row.reason == "1 of 300 frames failed: the edge hung"


def test_where_a_drop_came_first_the_reason_is_that_of_the_frame_that_failed(
    folder: RunFolder,
) -> None:
    add_load(folder, "2:0", [None] + [20.0] * 299)
    add_load(folder, "0:2", [20.0] * 299 + [None], "the edge hung")
    assert "the edge hung" in loaded(folder)["0:2"].reason


def test_a_load_of_which_nothing_came_through_has_ended(folder: RunFolder) -> None:
    add_load(folder, "2:0", [None] * 20)
    row = loaded(folder)["2:0"]
    assert (row.valid, row.offered, row.frames) == (True, 20, 0)
    assert row.reason == "not sustained: none of its 20 frames came through"


def test_a_load_is_compared_with_the_same_load_alone(folder: RunFolder) -> None:
    add_load(folder, "2:0", [20.0] * 300)
    table = rows(folder)
    anchors = [row for row in table if row.split == "2:0"]
    assert [row.speedup_vs_best_anchor for row in anchors] == [1, 1]
    assert {row.conditions.load for row in anchors} == {"", "fps:10"}


def test_advice_says_who_sustains_a_load(folder: RunFolder) -> None:
    add_load(folder, "2:0", [20.0] * 300)
    add_load(folder, "0:2", [150.0, None] * 150)
    said = "\n".join(advice(rows(folder)))
    assert "At 8 Mbit/s, fps:10: sustained by the device anchor, 20 ms, 99 % within 20 ms" in said
    assert "; the network anchor" in said
    assert "does not. Times are from when frames were due." in said


@pytest.mark.parametrize(("load", "told"), [("fps:10", True), ("closed, 3 in flight", False)])
def test_a_closed_load_has_no_schedule_to_keep(load: str, told: bool) -> None:
    found = offered(one_server([100.0 * n for n in range(20)], [7.0] * 20))
    remarks = remarks_on_load(made_row(valid=True, load=load, schedule_error_ms=3.0), found)
    assert any("did not keep up" in one for one in remarks) is told
