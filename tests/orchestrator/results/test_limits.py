"""The rules that make a row count, each just inside its limit and just outside."""

import json
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from netem.spec import symmetric
from netem.wire import wire_ms
from orchestrator.reports.terminal import show
from orchestrator.results.facts import ModelFacts
from orchestrator.results.judgement.trust import trust
from orchestrator.results.judgement.validity import faults_of, pace_remark, pace_words, remarks_on
from orchestrator.results.judgement.verdict import SweepOutcome, Verdict, judge_run
from orchestrator.results.records import CellRecord, MachineRecord, ProofRecord, RunRecord
from orchestrator.results.rows import Row
from splitbed.errors import NodeError, UsageError
from tests.orchestrator.written import made_row

LINK = symmetric(rate_mbit=8)
MEASURED = {
    "frames": 3, "e2e_ms": 100.0, "gap_pct": 0.0, "e2e_over_bound": 1.0, "max_abs_diff": 0.0,
    "lossless": True,
}  # fmt: skip


def faults(cell: dict[str, Any] | None = None, **row: Any) -> list[str]:
    """Of a row that is otherwise as it should be."""
    asked: dict[str, Any] = {
        "key": "1:1", "attempt": "1:1", "split": "1:1", "split_name": "cut", "link": LINK,
        "frames": 3,
    }  # fmt: skip
    return faults_of(made_row(**MEASURED | row), RunRecord(), CellRecord(**asked | (cell or {})))


@pytest.mark.parametrize(
    ("others", "inside", "outside"), [(None, 4.9, 5.1), (0.5, 9.9, 10.1), (0.99, 24.9, 25.1)]
)
def test_where_others_use_the_processors_too_it_takes_longer_from_stage_to_stage(
    others: float | None, inside: float, outside: float
) -> None:
    cell = {"machine": MachineRecord(others_share=others)}
    assert faults(cell, e2e_ms=10.0, gap_pct=inside) == []
    assert "unexplained" in " ".join(faults(cell, e2e_ms=10.0, gap_pct=outside))


def proof(fault: str) -> ProofRecord:
    return ProofRecord(uplink_mbit=8, downlink_mbit=8, rtt_min_ms=0.2, fault=fault)


def test_a_row_that_keeps_every_rule_has_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("inside", "outside", "says"),
    [
        # of 100 ms, 1 % is left to Python; of 10 ms, half a millisecond is
        ({"gap_pct": 1.0}, {"gap_pct": 1.01}, "unexplained"),
        ({"gap_pct": 5.0, "e2e_ms": 10.0}, {"gap_pct": 5.1, "e2e_ms": 10.0}, "5.1 %"),
        # a UE that is left half a processor goes from stage to stage at half the speed
        (
            {"gap_pct": 9.9, "e2e_ms": 10.0, "ue_cpus": 0.5},
            {"gap_pct": 10.1, "e2e_ms": 10.0, "ue_cpus": 0.5},
            "unexplained",
        ),
        # one that is left two is no faster for it
        (
            {"gap_pct": 4.9, "e2e_ms": 10.0, "ue_cpus": 2.0},
            {"gap_pct": 5.1, "e2e_ms": 10.0, "ue_cpus": 2.0},
            "unexplained",
        ),
        # of a hundred a second that take 40 ms each, four are under way at once
        (
            {"gap_pct": 4.9, "e2e_ms": 40.0, "delivered_fps": 100.0},
            {"gap_pct": 5.1, "e2e_ms": 40.0, "delivered_fps": 100.0},
            "unexplained",
        ),
        # one whose stages end in a wait goes on with a processor that slept
        (
            {"gap_pct": 14.9, "e2e_ms": 10.0, "ue_slowdown_asked": 8.0},
            {"gap_pct": 15.1, "e2e_ms": 10.0, "ue_slowdown_asked": 8.0},
            "unexplained",
        ),
        ({"e2e_over_bound": 0.98}, {"e2e_over_bound": 0.979}, "faster than its physical floor"),
        ({"max_abs_diff": 1e-3}, {"max_abs_diff": 1.01e-3}, "differs from the whole model's"),
        (
            {"max_abs_diff": 1.0, "lossless": False},
            {"max_abs_diff": 1.0, "lossless": True},
            "differs from the whole model's by 1",
        ),
        ({"frames": 3}, {"frames": 2}, "1 of its frames are missing"),
        (
            {"part1_bytes": 10**6, "part1_delivery_ms": 0.98 * wire_ms(10**6, LINK.downlink)},
            {"part1_bytes": 10**6, "part1_delivery_ms": 0.979 * wire_ms(10**6, LINK.downlink)},
            "delivered faster than physics",
        ),
    ],
)
def test_a_rule_holds_up_to_its_limit_and_not_beyond(
    inside: dict[str, Any], outside: dict[str, Any], says: str
) -> None:
    assert faults(**inside) == []
    (fault,) = faults(**outside)
    assert says in fault


@pytest.mark.parametrize("place", [0, 1])
def test_either_proof_of_the_link_can_fail_the_row(place: int) -> None:
    proofs = [proof(""), proof("")]
    proofs[place] = proof("uplink 3")
    assert faults({"proofs": (proof(""), proof(""))}) == []
    assert faults({"proofs": tuple(proofs)}) == ["uplink 3"]


def test_an_output_that_is_drawn_anew_says_so_and_another_does_not() -> None:
    row, cell = (
        made_row(**MEASURED | {"max_abs_diff": 1.0}),
        CellRecord(key="1:1", attempt="1:1", split="1:1", split_name="cut", link=LINK, frames=3),
    )
    for drawing, why in (((), "by 1"), (("dice",), "no two runs give the same")):
        (fault,) = faults_of(row, RunRecord(model=ModelFacts(drawing=drawing)), cell)
        assert fault.endswith(why)


def test_a_cell_that_failed_says_why_and_not_that_frames_are_missing() -> None:
    assert faults({"error": "the node died"}, frames=0, e2e_ms=None) == ["the node died"]


def test_the_first_runs_did_not_count_their_frames() -> None:
    assert faults({"frames": None}, frames=1) == []


def test_a_row_of_small_frames_tells_the_time_that_python_took() -> None:
    told = remarks_on(made_row(e2e_ms=10.0, gap_pct=1.01), None)
    assert told == ["valid, though Python took 0.10 ms to go from stage to stage"]
    assert remarks_on(made_row(e2e_ms=10.0, gap_pct=1.0), None) == []
    assert remarks_on(made_row(), "clocks jumped") == ["valid, though clocks jumped"]


def late(e2e_ms: float, bound_ms: float) -> list[str]:
    row: Row = made_row(e2e_ms=e2e_ms, bound_ms=bound_ms, e2e_over_bound=e2e_ms / bound_ms)
    return [line for line in trust([row]) if "physical floor" in line]


def test_a_cell_is_late_by_both_limits_or_not_at_all() -> None:
    assert late(1049, 1000) == []
    assert len(late(1051, 1000)) == 1
    assert late(109.9, 100) == []
    assert len(late(110.1, 100)) == 1


@pytest.mark.parametrize(("measured", "valid"), [(2, True), (1, False)])
def test_a_run_is_valid_with_all_its_cells_and_not_with_one_fewer(
    measured: int, valid: bool
) -> None:
    verdict = judge_run([made_row(valid=True)] * measured, 2)
    assert verdict.valid is valid
    assert verdict.reasons == (() if valid else ("1 of 2 cells were not measured",))


def test_a_run_that_was_stopped_is_not_valid() -> None:
    verdict = judge_run([made_row(valid=True)], 1, "the disk is full")
    assert (verdict.word, verdict.reasons) == ("INVALID", ("the disk is full",))


def test_one_row_that_does_not_count_makes_the_run_invalid() -> None:
    table = [made_row(valid=True), made_row(split_name="cut", valid=False, reason="uplink 3")]
    assert not judge_run(table, 2).valid


def test_more_cells_than_asked_are_no_fault() -> None:
    assert judge_run([made_row(valid=True)] * 2, 1).valid


def test_a_verdict_cannot_be_changed() -> None:
    verdict = judge_run([], 1)
    with pytest.raises(FrozenInstanceError):
        verdict.valid = True  # type: ignore[misc]


@pytest.mark.parametrize(
    ("valid", "stopped", "code"),
    [
        (True, None, 0),
        (False, None, 1),
        (True, NodeError("the edge died"), NodeError.exit_code),
        (True, UsageError("no such split"), UsageError.exit_code),
        (True, KeyboardInterrupt(), 130),
        (True, OSError(), 0),
    ],
)
def test_a_command_exits_as_the_verdict_says_or_as_what_stopped_it(
    valid: bool, stopped: BaseException | None, code: int
) -> None:
    outcome = SweepOutcome(folder=Path(), rows=[], verdict=Verdict(valid, (), ()), stopped=stopped)
    assert outcome.exit_code == code
    with pytest.raises(FrozenInstanceError):
        outcome.stopped = None  # type: ignore[misc]


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (OSError(28, "No space left on device"), "no report: [Errno 28] No space left on device"),
        (KeyError("ms"), "no report: KeyError: 'ms'"),
    ],
)
def test_what_fails_after_the_verdict_leaves_that_and_exits_1_with_the_reason(
    failure: Exception, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise failure

    judged = SweepOutcome(folder=Path(), rows=[], verdict=Verdict(True, (), ()), stopped=None)
    outcome = judged.then("table", lambda: None).then("report", fail)
    assert (outcome.verdict, outcome.unfinished) == (judged.verdict, (says,))
    assert (judged.exit_code, outcome.exit_code) == (0, 1)
    show(outcome, as_json=True)
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "VALID"
    assert told.err == f"error: {says}\n"


def test_one_percent_of_a_long_frame_is_left_to_python_and_told() -> None:
    assert faults(gap_pct=0.9999, e2e_ms=1000.0) == []
    assert remarks_on(made_row(e2e_ms=1000.0, gap_pct=0.9999), None) == []
    assert remarks_on(made_row(e2e_ms=1000.0, gap_pct=4.0), None) == [
        "valid, though Python took 40.00 ms to go from stage to stage"
    ]


@pytest.mark.parametrize(("inside", "outside"), [(4.4, 4.41), (3.6, 3.59)])
def test_a_pace_is_as_asked_within_a_tenth(inside: float, outside: float) -> None:
    asked = {"ue": "4x slower", "ue_slowdown_asked": 4.0}
    assert pace_remark(made_row(**asked, ue_slowdown=inside)) is None
    said = pace_remark(made_row(**asked, ue_slowdown=outside)) or ""
    assert said.startswith(f"valid, though the UE was {outside:.2f} times slower, not 4 times")


@pytest.mark.parametrize("unknown", ["ue_slowdown", "ue_slowdown_asked"])
def test_a_pace_that_was_not_asked_or_not_measured_is_not_judged(unknown: str) -> None:
    told = {"ue_slowdown": 1.0, "ue_slowdown_asked": 4.0} | {unknown: None}
    assert pace_remark(made_row(ue="4x slower", **told)) is None


@pytest.mark.parametrize(
    ("slowdowns", "words"),
    [
        ((4.4, 3.6), "4x slower"),
        ((None, 4.0), "4x slower"),
        ((1.9, 3.5), "1.9x to 3.5x slower, asked 4x slower"),
        ((None, 3.5), "3.5x slower, asked 4x slower"),
    ],
)
def test_a_pace_is_told_as_it_was_measured(slowdowns: Sequence[float | None], words: str) -> None:
    table = [made_row(ue="4x slower", ue_slowdown=one, ue_slowdown_asked=4.0) for one in slowdowns]
    assert pace_words(table) == words
