"""The rate of a link as frames meet it, for policies that go by what was measured last."""

from collections.abc import Callable, Sequence

from orchestrator.adapt.arms import Arm, FrameOutcome

PROBE_SHARE, PROBE_MOST_S = 0.1, 5.0
EWMA_WEIGHT = 0.5
STEP = 1.5
"""A goodput so many times more, or less, than the mean is a step of the link and no noise."""


class Goodput:
    """The link's rate as frames met it: a moving mean that a step replaces."""

    def __init__(self) -> None:
        self.mbit: float | None = None
        self._measured_s = 0.0
        self._waits = 1

    def tell(self, outcome: FrameOutcome) -> None:
        """Take in what a frame met, if it crossed the link."""
        if (met := outcome.goodput_mbit) is None:
            return
        self._measured_s = outcome.now_s
        if self.mbit is None or not 1 / STEP < met / self.mbit < STEP:
            self.mbit = met
        else:
            self.mbit += EWMA_WEIGHT * (met - self.mbit)

    def choose(self, now_s: float, arms: Sequence[Arm], best: Callable[[float], Arm]) -> Arm:
        """The best arm at the goodput, or a probe where that would measure none and it is time."""
        crossing = [arm for arm in arms if arm.crosses]
        if self.mbit is None:
            return min(crossing or arms, key=lambda arm: arm.up_bytes)
        chosen = best(rate_mbit := self.mbit)
        if chosen.crosses or not crossing:
            self._waits = 1
            return chosen
        probe = min(crossing, key=lambda arm: arm.e2e_ms(rate_mbit))
        more_s = (probe.e2e_ms(rate_mbit) - chosen.e2e_ms(rate_mbit)) / 1e3
        due_s = self._waits * max(more_s, chosen.fixed_ms / 1e3) / PROBE_SHARE
        if now_s - self._measured_s < min(due_s, PROBE_MOST_S):
            return chosen
        self._waits *= 2
        return probe
