"""What makes a bandwidth trace INVALID: each rule just inside its limit and just outside."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from netem.spec import symmetric
from orchestrator.adapt.arms import Arm
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.rows import LostFrame, TracedFrame, Turn, unsteadiness
from orchestrator.adapt.verdict import TraceAsked, behind_share, judge_trace
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell
from orchestrator.results.records import ProofRecord
from splitbed.timeline import Stage

TRACE = BandwidthTrace("steps", (0.0, 5.0), (20.0, 5.0), 10.0)
LINKS = {rate: symmetric(rate_mbit=rate) for rate in (20.0, 5.0)}
SLOW = LINKS[5.0]
SPLIT = Cell(Configuration(3, 6, "middle"), 50_000)
DEVICE = Cell(Configuration(6, 6, "device anchor", "none"), 0)
ASKED = TraceAsked(("static:middle",), TRACE, LINKS, (SPLIT, DEVICE))
AIR_MS = (50_000 + 35 * 66) * 8 / 20e3  # at 20 Mbit/s, headers and all
GOOD = ProofRecord(uplink_mbit=20, downlink_mbit=20, rtt_min_ms=1)
PROOFS = [(link, GOOD) for _ in range(2) for link in LINKS.values()]


def ns(ms: float) -> int:
    return round(ms * 1e6)


def crossing(start_s: float = 1.0, air_ms: float = AIR_MS, idle_ms: float = 0.0) -> TracedFrame:
    """A frame of the split: 10 ms of part 1, and what it was on its way."""
    ends_ms = 10.0 + idle_ms, 10.0 + idle_ms + air_ms
    return TracedFrame(
        attempt="static:middle",
        stages=(Stage("part1", 0, ns(10.0)), Stage("uplink", ns(ends_ms[0]), ns(ends_ms[1]))),
        k=3,
        codec="raw",
        split="middle",
        start_s=start_s,
        e2e_ms=ends_ms[1],
        uplink_ms=air_ms,
        gap_ms=idle_ms,
        intermediate_bytes=50_000,
        encoded_bytes=50_000,
        max_abs_diff=0.0,
    )


def turn(*frames: TracedFrame) -> Turn:
    return Turn(TRACE, list(frames or [crossing()]))


def reasons(had: Turn, asked: TraceAsked = ASKED) -> str:
    verdict = judge_trace(asked, {"static:middle": had}, PROOFS)
    assert verdict.valid == (not verdict.reasons)
    return "; ".join(verdict.reasons)


def test_a_trace_whose_frames_went_as_they_should_is_valid() -> None:
    assert reasons(turn()) == ""


def test_a_policy_without_a_turn_and_what_stopped_the_run_are_told() -> None:
    verdict = judge_trace(ASKED, {}, [], "interrupted")
    assert verdict.reasons == ("interrupted", "had no turn: static:middle")


def test_a_lost_frame_is_told_with_what_became_of_it() -> None:
    lost = LostFrame(
        attempt="", k=3, split="middle", codec="raw", start_s=2, error="the edge node died"
    )
    assert "of middle was lost: the edge node died" in reasons(Turn(TRACE, [crossing()], lost))


def test_a_link_that_was_not_as_asked_in_one_proof_is_told_with_its_rate() -> None:
    proofs = [*PROOFS[:3], (SLOW, structs.replace(GOOD, fault="uplink 9 Mbit/s, asked 5"))]
    verdict = judge_trace(ASKED, {"static:middle": turn()}, proofs)
    assert verdict.reasons == (f"the link of {SLOW.words}: uplink 9 Mbit/s, asked 5",)
    assert not judge_trace(ASKED, {"static:middle": turn()}, PROOFS[:2]).valid


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (lambda: crossing(air_ms=AIR_MS * 0.98), ""),
        (lambda: crossing(air_ms=AIR_MS * 0.95), "faster than their physical floor"),
        (lambda: crossing(start_s=6, air_ms=AIR_MS), "faster than their physical floor"),
        # it may have met the better rate
        (lambda: crossing(start_s=9.95, air_ms=AIR_MS), ""),
        (lambda: crossing(idle_ms=0.49), ""),
        (lambda: crossing(idle_ms=0.51), "unexplained"),
        (lambda: structs.replace(crossing(), max_abs_diff=0.9e-3), ""),
        (lambda: structs.replace(crossing(), max_abs_diff=1.1e-3), "differs from the whole"),
        (lambda: structs.replace(crossing(), intermediate_bytes=49_999), "not of the cut"),
        (
            lambda: structs.replace(crossing(), k=6, split="device anchor", codec="none"),
            "not of the cut",
        ),
    ],
)
def test_what_a_frame_may_be(frame: Callable[[], TracedFrame], says: str) -> None:
    found = reasons(turn(frame()))
    assert says in found if says else not found


def test_one_frame_of_a_hundred_may_seem_fast() -> None:
    fast = crossing(air_ms=1)
    assert reasons(turn(fast, *[crossing()] * 99)) == ""
    assert "2 of its 100 frames" in reasons(turn(fast, fast, *[crossing()] * 98))


def test_nothing_crosses_in_an_outage() -> None:
    out = BandwidthTrace("out", (0.0, 5.0), (0.0, 20.0), math.inf)
    had = Turn(out, [crossing(start_s=1.0), crossing(start_s=6.0)])
    assert "1 of its 2 frames were faster" in reasons(had, replace(ASKED, trace=out))


def late(by_s: float) -> BandwidthTrace:
    return replace(TRACE, starts_s=(0.0, 5.0 + by_s), length_s=math.inf)


def test_a_link_that_is_a_step_away_from_the_trace_for_long_is_told() -> None:
    assert behind_share(TRACE, late(0.5), 10) == pytest.approx(0.05)
    assert behind_share(TRACE, late(0.5), 4) == 0
    slow = crossing(start_s=9.0, air_ms=4 * AIR_MS)
    assert reasons(Turn(late(0.89), [slow])) == ""
    assert "a step away from the trace for 11%" in reasons(Turn(late(1.0), [slow]))


def test_how_unsteady_the_machine_was_is_told_by_the_same_arm_in_two_turns() -> None:
    arm = Arm(SPLIT.configuration, 50_000, 0, 10.0)
    quiet, busy = (Turn(TRACE, [crossing(idle_ms=ms)] * 3) for ms in (0.0, 5.0))
    assert unsteadiness([arm], [quiet, quiet]) == pytest.approx(0)
    assert unsteadiness([arm], [quiet, busy]) == pytest.approx(0.5)
    assert unsteadiness([arm], [quiet]) == 0
