"""The policy `forecast`: the link's rate with its doubt, and what finding out more may cost.

The logarithm of the rate is taken to wander about its long-run mean and to return to it (an
Ornstein-Uhlenbeck process), as shadowing does. A Kalman filter follows it from what frames met: the
longer nothing crossed, the nearer the forecast is to the mean and the wider its doubt. A frame that
met far more or less than that allows is a change, and the forecast begins anew from it. The first
frame, too, is of the arm that is best for what the link may be: where the best that is to be hoped
for would gain nothing, none ever crosses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.adapt.arms import Arm, FrameOutcome

CORRELATION_S = 3.0
VARIANCE, NOISE = 0.5, 0.05
"""Of ln(rate): about 3 dB of shadowing, before it is learnt, and 1 dB from frame to frame."""

CHANGE = 2.5
"""A change is so many standard deviations from what was forecast."""

BELOW, PRIOR = 1.2, 2.0
"""Before anything is measured the mean is e^1.2 = 3.3 times below the link's most; that counts as
much as so many correlation times of measurements."""

HOPE = 1.5
"""A frame goes to see whether the link is so many standard deviations better than forecast."""

SPENT, SHARED, SAVED = 0.015, 0.5, 4.0
"""Looking may cost that share of all time, and of what crossing has gained; saved are at most so
many frames of the arm that crosses nothing."""

STAYS = 0.02
"""An arm is left for one that is predicted to gain more than this."""


@dataclass
class RateForecast:
    """ln(rate in Mbit/s): the mean in the long run, and the state `at_s` with its variance."""

    mean: float
    spread: float = VARIANCE
    at_s: float = 0.0
    state: float = 0.0
    doubt: float = VARIANCE
    weight_s: float = PRIOR * CORRELATION_S
    squares: float = VARIANCE * PRIOR * CORRELATION_S
    met: bool = False

    def at(self, now_s: float) -> tuple[float, float]:
        """The mean and the variance of ln(rate) then."""
        kept = math.exp(-max(now_s - self.at_s, 0.0) / CORRELATION_S)
        mean = self.mean + (self.state - self.mean) * kept
        return mean, self.spread - (self.spread - self.doubt) * kept**2

    def tell(self, now_s: float, mbit: float) -> None:
        """A frame that ended then met this rate."""
        found = math.log(mbit)
        expected, doubt = self.at(now_s)
        changed = abs(found - expected) > CHANGE * math.sqrt(doubt + NOISE)
        if changed or not self.met:
            self.state, self.doubt = found, NOISE
        else:
            gain = doubt / (doubt + NOISE)
            self.state, self.doubt = expected + gain * (found - expected), (1 - gain) * doubt
        # the first stands for a correlation time, and so does what comes after a silence
        stands_s = min(now_s - self.at_s, CORRELATION_S) if self.met else CORRELATION_S
        self._learn(found, stands_s)
        self.at_s, self.met = now_s, True

    def _learn(self, found: float, stands_s: float) -> None:
        """Mean and spread in the long run, each measurement weighted by the time it stands for."""
        self.weight_s += stands_s
        off = found - self.mean
        self.mean += off * stands_s / self.weight_s
        if self.met:  # the first is off by what the prior mean is
            self.squares += stands_s * off * (found - self.mean)
        self.spread = self.squares / self.weight_s


class Forecast:
    """The arm whose mean time is least, given the forecast; now and then one that may be better."""

    def __init__(self, arms: Sequence[Arm], most_mbit: float) -> None:
        self._arms = arms
        self._crossing = [arm for arm in arms if arm.crosses]
        self._still = min((a.fixed_ms for a in arms if not a.crosses), default=math.inf)
        prior = math.log(most_mbit) - BELOW
        self._rate = RateForecast(prior, state=prior)
        self._current: Arm | None = None
        self._purse_ms = 0.0

    def choose(self, now_s: float) -> Arm:
        mean, doubt = self._rate.at(now_s)
        inverse = math.exp(mean - (doubt + NOISE) / 2)  # whose 1/rate is the mean of 1/rate
        best = min(self._arms, key=lambda arm: arm.e2e_ms(inverse))
        if self._current is None or self._current.e2e_ms(inverse) > best.e2e_ms(inverse) * (
            1 + STAYS
        ):
            self._current = best
        if not self._current.crosses and self._crossing:
            hoped = inverse * math.exp(HOPE * math.sqrt(doubt))
            look = min(self._crossing, key=lambda arm: arm.e2e_ms(hoped))
            costs_ms = look.e2e_ms(inverse) - self._current.fixed_ms
            if look.e2e_ms(hoped) < self._current.fixed_ms and costs_ms <= self._purse_ms:
                self._purse_ms -= max(costs_ms, 0.0)
                return look
        return self._current

    def tell(self, outcome: FrameOutcome) -> None:
        self._purse_ms += SPENT * outcome.e2e_ms
        if outcome.goodput_mbit is None:
            return
        if math.isfinite(self._still):
            gained_ms = max(self._still - outcome.e2e_ms, 0.0)
            self._purse_ms = min(self._purse_ms + SHARED * gained_ms, SAVED * self._still)
        self._rate.tell(outcome.now_s, outcome.goodput_mbit)
