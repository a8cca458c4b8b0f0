"""Policies on a link that is simulated: the costs of the table, and no wall time."""

from collections.abc import Sequence

from orchestrator.adapt.arms import Arm, FrameOutcome
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.policies import Policy
from orchestrator.adapt.rows import Cost, TracedFrame, TraceRow, policy_row
from splitbed.timeline import Stage


def costs_of(arms: Sequence[Arm]) -> list[Cost]:
    """What each arm takes: half of it before its bytes are sent."""
    return [Cost(arm, arm.fixed_ms / 2, arm.fixed_ms) for arm in arms]


def played(
    policy: Policy, arms: Sequence[Arm], trace: BandwidthTrace, seconds: float
) -> list[TracedFrame]:
    """The frames that `policy` has in so many seconds of the trace."""
    costs, now_s, frames = {cost.arm: cost for cost in costs_of(arms)}, 0.0, []
    while now_s < seconds:
        cost = costs[policy.choose(now_s)]
        arm, e2e_ms = cost.arm, cost.e2e_ms(trace, now_s)
        air_ms = trace.air_ms(arm.up_bytes, now_s + cost.lead_ms / 1e3)
        frames.append(
            TracedFrame(
                attempt=trace.name,
                stages=(Stage("part1", 0, 1),),
                k=arm.configuration.k,
                codec=arm.configuration.codec,
                split=arm.configuration.split_name,
                start_s=now_s,
                e2e_ms=e2e_ms,
                uplink_ms=air_ms + arm.uplink_ms if arm.crosses else 0.0,
                encoded_bytes=arm.up_bytes,
            )
        )
        now_s += e2e_ms / 1e3
        met = arm.goodput_mbit(arm.up_bytes, frames[-1].uplink_ms)
        policy.tell(FrameOutcome(arm, now_s, e2e_ms, met))
    return frames


def row(
    name: str, policy: Policy, arms: Sequence[Arm], trace: BandwidthTrace, seconds: float
) -> TraceRow:
    """What `policy` comes to, as the table of `trace` has it."""
    return policy_row(name, played(policy, arms, trace, seconds), trace, costs_of(arms))
