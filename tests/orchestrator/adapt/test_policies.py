"""Policies, on a link that is simulated."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from orchestrator.adapt.arms import Arm, FrameOutcome, fastest
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.policies import (
    Policy,
    PolicySetting,
    new_policy,
    policy_names,
)
from orchestrator.adapt.rows import Cost, TracedFrame, policy_row
from orchestrator.ask.configuration import Configuration
from splitbed.errors import UsageError
from splitbed.timeline import Stage

NETWORK = Arm(Configuration(0, 6, "network anchor"), 500_000, 100, 20)
SPLIT = Arm(Configuration(3, 6, "middle"), 100_000, 100, 60)
DEVICE = Arm(Configuration(6, 6, "device anchor", "none"), 0, 0, 200)
ARMS = (NETWORK, SPLIT, DEVICE)
NAMES = {
    "network": (NETWORK.configuration,),
    "middle": (SPLIT.configuration,),
    "3:3": (SPLIT.configuration,),
    "device": (DEVICE.configuration,),
}


def test_an_arm_counts_the_headers_of_its_path() -> None:
    jumbo = replace(NETWORK, segment_bytes=8948)
    assert NETWORK.wire_bytes == 500_000 + 346 * 66 + 166
    assert jumbo.wire_bytes == 500_000 + 56 * 66 + 166
    assert jumbo.e2e_ms(8) == pytest.approx(20 + jumbo.wire_bytes / 1e3)
    assert jumbo.goodput_mbit(500_000, 500.0) == pytest.approx((500_000 + 56 * 66) * 8 / 5e5)
    alone = Cost(jumbo, lead_ms=5, fixed_ms=20)
    steady = BandwidthTrace("steady", (0.0,), (8.0,), math.inf)
    assert alone.e2e_ms(steady, 0.0) == pytest.approx(jumbo.e2e_ms(8))


def policy(name: str, seed: int = 0) -> Policy:
    return new_policy(name, PolicySetting(ARMS, ARMS, NAMES, 100, seed))


def played(
    asked: Policy, rate_at: Callable[[float], float], frames: int
) -> list[tuple[float, int]]:
    """When each frame began, and which cut it took."""
    now_s, chosen = 0.0, []
    for _ in range(frames):
        arm, rate = asked.choose(now_s), rate_at(now_s)
        chosen.append((now_s, arm.configuration.k))
        now_s += arm.e2e_ms(rate) / 1e3
        met = rate if arm.crosses else None
        asked.tell(FrameOutcome(arm, now_s, arm.e2e_ms(rate), met))
    return chosen


def test_static_never_moves() -> None:
    chosen = played(policy("static:3:3"), lambda now_s: 100 if now_s < 1 else 1, 50)
    assert {k for _, k in chosen} == {3}


def test_argmin_follows_a_step_with_the_next_frame_after_a_measured_one() -> None:
    asked = policy("argmin")
    for rate in (100.0, 10.0, 100.0, 10.0):
        asked.tell(FrameOutcome(SPLIT, 0.0, 1.0, rate))
        assert asked.choose(0.0) == fastest(ARMS, rate)


def test_argmin_probes_a_link_that_it_left_and_comes_back_to_it() -> None:
    chosen = played(policy("argmin"), lambda now_s: 0.5 if now_s < 10 else 100, 400)
    assert Counter(k for now_s, k in chosen if now_s < 10)[6] > 20
    assert {k for now_s, k in chosen if now_s > 16} == {0}


def test_threshold_takes_the_device_anchor_below_and_the_fast_split_above() -> None:
    asked = policy("threshold:30")
    asked.tell(FrameOutcome(NETWORK, 0.0, 1.0, 31.0))
    assert asked.choose(0.0) is NETWORK
    asked.tell(FrameOutcome(NETWORK, 0.0, 1.0, 5.0))
    assert asked.choose(0.0) is DEVICE


def test_the_usual_threshold_is_where_both_are_predicted_equal() -> None:
    low, high = policy("threshold"), policy("threshold")
    mbit = 23.3  # 0.5 MB and headers in the 180 ms that the device anchor takes longer
    for asked, rate, arm in ((low, mbit * 0.9, DEVICE), (high, mbit * 1.1, NETWORK)):
        asked.tell(FrameOutcome(NETWORK, 0.0, 1.0, rate))
        assert asked.choose(0.0) is arm


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rate", "best"), [(100.0, 0), (10.0, 3), (0.5, 6)])
def test_the_bandit_finds_the_best_split_and_its_seed_repeats_it(
    seed: int, rate: float, best: int
) -> None:
    chosen = played(policy("bandit", seed), lambda _: rate, 200)
    assert Counter(k for _, k in chosen[50:]).most_common(1)[0][0] == best
    assert chosen == played(policy("bandit", seed), lambda _: rate, 200)


def test_the_bandit_follows_a_link_that_changes() -> None:
    chosen = played(policy("bandit"), lambda now_s: 100 if now_s < 5 else 0.5, 400)
    assert Counter(k for _, k in chosen[-100:]).most_common(1)[0][0] == 6


def test_static_alone_is_each_split() -> None:
    names = policy_names("static,argmin", NAMES)
    assert names == ("static:network", "static:middle", "static:device", "argmin")


def test_a_codec_in_a_policy_keeps_the_words_behind_its_commas() -> None:
    name = "middle/avc:27,444,slow"
    coded = NAMES | {name: (replace(SPLIT.configuration, codec="avc:27,444,slow"),)}
    assert policy_names(f"static:{name},argmin", coded) == (f"static:{name}", "argmin")


@pytest.mark.parametrize("text", ["best", "static:nowhere", "threshold:fast", "argmin:3", ""])
def test_a_policy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        policy_names(text, NAMES)


STEP = BandwidthTrace("step", (0.0, 2.0), (100.0, 0.5), math.inf)
COSTS = [Cost(arm, 0.0, arm.fixed_ms) for arm in ARMS]


def frames(*chosen: tuple[float, int], applied: BandwidthTrace = STEP) -> list[TracedFrame]:
    by_k = {cost.arm.configuration.k: cost for cost in COSTS}
    return [
        TracedFrame(
            attempt="step",
            stages=(Stage("part1", 0, 1),),
            k=k,
            codec=by_k[k].arm.configuration.codec,
            split=str(k),
            start_s=at_s,
            e2e_ms=by_k[k].e2e_ms(applied, at_s),
            uplink_ms=0.0,
            max_abs_diff=0.0,
        )
        for at_s, k in chosen
    ]


def test_who_does_as_the_oracle_has_no_regret_and_has_readapted_at_once() -> None:
    samples = frames((0.0, 0), (1.0, 0), (2.5, 6), (2.75, 6), (3.0, 6))
    row = policy_row("wise", samples, STEP, COSTS)
    assert row.regret_pct == pytest.approx(0)
    assert (row.steps, row.readapted, row.readapt_s) == (1, 1, 0.5)
    assert row.switches_per_step == 1
    assert (row.frames, row.lost, row.switches) == (5, 0, 1)


def test_frames_that_cross_in_an_outage_are_told_as_held() -> None:
    out = BandwidthTrace("out", (0.0, 2.0, 4.0), (100.0, 0.0, 100.0), math.inf)
    samples = frames((0.0, 0), (1.99, 0), (2.5, 0), (3.0, 6), (4.0, 0), applied=out)
    row = policy_row("static", samples, out, COSTS)
    assert (row.frames, row.lost, row.held) == (5, 0, 2)
    assert "2 held by outages" in row.words


def test_who_stays_has_regret_and_never_readapted() -> None:
    row = policy_row("static", frames((0.0, 0), (2.5, 0), (3.0, 0), (4.0, 0)), STEP, COSTS)
    assert isinstance(row.regret_pct, float)
    assert row.regret_pct > 100
    assert (row.steps, row.readapted, row.readapt_s) == (1, 0, None)


def test_a_deadline_takes_the_arm_that_loses_least_in_time_and_turns_as_the_link_does() -> None:
    fine = Arm(Configuration(3, 6, "middle", "klt:30"), 200_000, 100, 20, drop=0.001)
    coarse = Arm(Configuration(3, 6, "middle", "klt:250"), 50_000, 100, 20, drop=0.009)
    arms = (coarse, DEVICE, fine)
    asked = new_policy("deadline:100", PolicySetting(arms, arms, NAMES, 100, 0))
    now_s, chosen = 0.0, []
    for rate in [50.0] * 5 + [10.0] * 5 + [1.0] * 5:
        arm = asked.choose(now_s)
        chosen.append(arm.configuration.codec)
        now_s += arm.e2e_ms(rate) / 1e3
        asked.tell(FrameOutcome(arm, now_s, arm.e2e_ms(rate), rate if arm.crosses else None))
    # 200 kB take 32 ms, 160 and 1600; 50 kB a quarter; the device anchor 200 ms, always
    assert chosen[1:5] == ["klt:30"] * 4
    assert chosen[6:10] == ["klt:250"] * 4
    assert chosen[11:14] == ["none"] * 3


@pytest.mark.parametrize("name", ["deadline", "deadline:", "deadline:0", "deadline:soon"])
def test_a_deadline_is_ms(name: str) -> None:
    with pytest.raises(UsageError, match=f"policy {name}: give ms above 0, as in deadline:50"):
        policy_names(name, NAMES)
