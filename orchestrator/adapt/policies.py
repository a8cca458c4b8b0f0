"""Policies: which split the next frame takes, given what the frames before it met.

static:SPLIT    always that one
threshold       above so many Mbit/s the split that is fastest on a fast link, below it the device
                anchor; `threshold:20` says how many, else it is where the two are predicted equal
argmin          the split whose predicted time is least at the goodput that was measured last
forecast        the split whose mean time is least over the rates that the link may now have, with
                change detection: :mod:`orchestrator.adapt.forecast`
bandit          learns from the times alone: discounted UCB1 on their logarithm, seeded

A policy decides in the orchestrator, before each frame; the UE holds all splits open and runs the
one that the frame names. What a split takes beside the wire was measured when the splits were
rehearsed, before the trace began.

Frames of the device anchor cross no link and measure no goodput. So `threshold` and `argmin` probe:
they send a frame of the split that is then predicted to cost least, as often as that costs a tenth
of the time, at most once in ten frames; each that leads to no switch doubles the wait for the next,
up to 5 s. Neither leaves a split for a gain that the noise of a link could feign.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from orchestrator.adapt.arms import Arm, FrameOutcome, equal_mbit, fastest
from orchestrator.adapt.forecast import Forecast
from splitbed.errors import UsageError
from splitbed.extensions import Extensible

PROBE_SHARE, PROBE_MOST_S = 0.1, 5.0
EWMA_WEIGHT = 0.5
STEP = 1.5
"""A goodput so many times more, or less, than the mean is a step of the link and no noise."""

STAYS = 0.05
"""`argmin` leaves a split for one that gains more than this, `threshold` where the goodput is more
than this beyond it."""

DISCOUNT, EXPLORATION = 0.97, 0.5


class Policy(Protocol):
    """Decides split by split."""

    def choose(self, now_s: float) -> int:
        """The cut of the next frame, one of those that are held."""

    def tell(self, outcome: FrameOutcome) -> None:
        """What became of the frame that was chosen last."""


@dataclass
class Static:
    """Never moves."""

    k: int

    def choose(self, now_s: float) -> int:
        del now_s  # it is always the same
        return self.k

    def tell(self, outcome: FrameOutcome) -> None:
        """Nothing to learn."""


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

    def choose(self, now_s: float, arms: Sequence[Arm], best: Callable[[float], Arm]) -> int:
        """The best arm at the goodput, or a probe where that would measure none and it is time."""
        crossing = [arm for arm in arms if arm.crosses]
        if self.mbit is None:
            return min(crossing or arms, key=lambda arm: arm.up_bytes).configuration.k
        chosen = best(rate_mbit := self.mbit)
        if chosen.crosses or not crossing:
            self._waits = 1
            return chosen.configuration.k
        probe = min(crossing, key=lambda arm: arm.e2e_ms(rate_mbit))
        more_s = (probe.e2e_ms(rate_mbit) - chosen.e2e_ms(rate_mbit)) / 1e3
        due_s = self._waits * max(more_s, chosen.fixed_ms / 1e3) / PROBE_SHARE
        if now_s - self._measured_s < min(due_s, PROBE_MOST_S):
            return chosen.configuration.k
        self._waits *= 2
        return probe.configuration.k


class Argmin:
    """The arm that is predicted to be fastest at the goodput measured."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = arms
        self._goodput = Goodput()
        self._current: Arm | None = None
        self.tell = self._goodput.tell

    def choose(self, now_s: float) -> int:
        return self._goodput.choose(now_s, self._arms, self._best)

    def _best(self, rate_mbit: float) -> Arm:
        best = fastest(self._arms, rate_mbit)
        stays_ms = best.e2e_ms(rate_mbit) * (1 + STAYS)
        if self._current is None or self._current.e2e_ms(rate_mbit) > stays_ms:
            self._current = best
        return self._current


class RateThreshold:
    """One arm below so many Mbit/s of measured goodput, another from there on."""

    def __init__(self, arms: Sequence[Arm], most_mbit: float, mbit: float | None = None) -> None:
        self.low = min(arms, key=lambda arm: arm.up_bytes)
        crossing = [arm for arm in arms if arm.crosses and arm is not self.low]
        self.high = fastest(crossing or arms, most_mbit)
        self.mbit = mbit or equal_mbit(self.low, self.high)
        self._arms = arms
        self._current: Arm | None = None
        self._goodput = Goodput()
        self.tell = self._goodput.tell

    def choose(self, now_s: float) -> int:
        return self._goodput.choose(now_s, self._arms, self._best)

    def _best(self, rate_mbit: float) -> Arm:
        is_near = self.mbit / (1 + STAYS) <= rate_mbit < self.mbit * (1 + STAYS)
        if self._current is None or not is_near:
            self._current = self.high if rate_mbit >= self.mbit else self.low
        return self._current


class Bandit:
    """Discounted UCB1: what frames took counts for less with every frame that followed."""

    def __init__(self, arms: Sequence[Arm], seed: int) -> None:
        self._ks = [arm.configuration.k for arm in arms]
        self._weights = np.zeros(len(arms))
        self._sums = np.zeros(len(arms))
        self._untried = [int(place) for place in np.random.default_rng(seed).permutation(len(arms))]

    def choose(self, now_s: float) -> int:
        del now_s  # it counts frames, not seconds
        if self._untried:
            return self._ks[self._untried[-1]]
        bonus = EXPLORATION * np.sqrt(np.log(max(self._weights.sum(), math.e)) / self._weights)
        return self._ks[int(np.argmin(self._sums / self._weights - bonus))]

    def tell(self, outcome: FrameOutcome) -> None:
        place = self._ks.index(outcome.k)
        if place in self._untried:
            self._untried.remove(place)
        self._weights *= DISCOUNT
        self._sums *= DISCOUNT
        self._weights[place] += 1
        self._sums[place] += math.log(max(outcome.e2e_ms, 1e-3))


@dataclass(frozen=True)
class PolicySetting:
    """What a policy is given before the trace begins, of which it knows nothing.

    ``value`` is what stands behind the colon of its name; ``splits`` are names of cuts, and how
    many layers each has before it; ``most_mbit`` is the greatest rate of the link.
    """

    arms: Sequence[Arm]
    splits: Mapping[str, int]
    most_mbit: float
    seed: int
    value: str = ""


def _takes_nothing(value: str) -> None:
    if value:
        raise UsageError(f"it takes no {value!r}")


@dataclass(frozen=True)
class PolicyKind:
    """``make`` makes the policy; ``check`` raises UsageError for a value that cannot be."""

    make: Callable[[PolicySetting], Policy]
    check: Callable[[str], object] = _takes_nothing


def _threshold_mbit(value: str) -> float | None:
    """Of the value of `threshold`, None where it has none."""
    if not value:
        return None
    try:
        mbit = float(value)
    except ValueError:
        mbit = math.nan
    if not mbit > 0:
        raise UsageError("give Mbit/s above 0, as in threshold:20")
    return mbit


def split_of(name: str, splits: Mapping[str, int]) -> int:
    """The cut that a static policy names; UsageError unless it is held."""
    if (k := splits.get(name)) is None:
        raise UsageError(f"static:{name}: no such split is held; choose {', '.join(splits)}")
    return k


POLICIES = Extensible(
    "splitbed.policies",
    "policy",
    {
        "static": PolicyKind(lambda asked: Static(split_of(asked.value, asked.splits))),
        "threshold": PolicyKind(
            lambda asked: RateThreshold(asked.arms, asked.most_mbit, _threshold_mbit(asked.value)),
            _threshold_mbit,
        ),
        "argmin": PolicyKind(lambda asked: Argmin(asked.arms)),
        "forecast": PolicyKind(lambda asked: Forecast(asked.arms, asked.most_mbit)),
        "bandit": PolicyKind(lambda asked: Bandit(asked.arms, asked.seed)),
    },
    kind="PolicyKind of orchestrator.adapt.policies",
    needs=("make", "check"),
)
"""By name; of installed packages, too."""


def policy_names(text: str, splits: Mapping[str, int]) -> tuple[str, ...]:
    """The policies that a comma list names, `static` once for each of ``splits``, none twice.

    ``splits`` are names of cuts, and how many layers each has before it. Raises UsageError.
    """
    return tuple(dict.fromkeys(_named(text, splits)))


def _named(text: str, splits: Mapping[str, int]) -> Iterator[str]:
    for word in (word.strip() for word in text.split(",")):
        name, _, value = word.partition(":")
        kind = POLICIES.named(name)
        if name == "static":
            split_of(value, splits) if value else None
            each = {k: split for split, k in reversed([*splits.items()])}  # of its names the first
            yield from (
                [word] if value else (f"static:{each[k]}" for k in dict.fromkeys(splits.values()))
            )
            continue
        try:
            kind.check(value)
        except UsageError as error:
            raise UsageError(f"the policy {word}: {error}") from None
        yield word


def new_policy(name: str, setting: PolicySetting) -> Policy:
    """The policy called ``name``, of :func:`policy_names`."""
    kind, _, value = name.partition(":")
    return POLICIES[kind].make(replace(setting, value=value))
