"""Policies: which arm (split and codec) the next frame takes, given what those before it met.

static:SPLIT    always that one; of several codecs, SPLIT/CODEC
threshold       above so many Mbit/s the split that is fastest on a fast link, below it the device
                anchor; `threshold:20` says how many, else it is where the two are predicted equal
argmin          the split whose predicted time is least at the goodput that was measured last
deadline:50     the one that loses least accuracy of those that this predicts to take at most 50 ms,
                else as argmin: so the number of a codec is turned as the link changes
forecast        the split whose mean time is least over the rates that the link may now have, with
                change detection: :mod:`orchestrator.adapt.forecast`
bandit          learns from the times alone: discounted UCB1 on their logarithm, seeded

A policy decides in the orchestrator, before each frame; the nodes hold all arms open and run the
one that the frame names. What an arm takes beside the wire was measured when the arms were
rehearsed, before the trace began.

Frames of the device anchor cross no link and measure no goodput. So these three probe:
they send a frame of the split that is then predicted to cost least, as often as that costs a tenth
of the time, at most once in ten frames; each that leads to no switch doubles the wait for the next,
up to 5 s. None leaves a split for a gain that the noise of a link could feign.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from orchestrator.adapt.arms import Arm, FrameOutcome, equal_mbit, fastest
from orchestrator.adapt.forecast import Forecast
from orchestrator.adapt.goodput import Goodput
from orchestrator.ask.configuration import Configuration
from splitbed.codecs import joined
from splitbed.errors import UsageError
from splitbed.extensions import Extensible

STAYS = 0.05
"""`argmin` leaves a split for one that gains more than this, `threshold` where the goodput is more
than this beyond it, `deadline` for one that loses less where so much time is left."""

DISCOUNT, EXPLORATION = 0.97, 0.5

Names = Mapping[str, Sequence[Configuration]]
"""Of splits: what each may mean, one for each of its codecs."""


class Policy(Protocol):
    """Decides frame by frame."""

    def choose(self, now_s: float) -> Arm:
        """The arm of the next frame, one of those that it was given."""

    def tell(self, outcome: FrameOutcome) -> None:
        """What became of the frame that was chosen last."""


@dataclass
class Static:
    """Never moves."""

    arm: Arm

    def choose(self, now_s: float) -> Arm:
        del now_s  # it is always the same
        return self.arm

    def tell(self, outcome: FrameOutcome) -> None:
        """Nothing to learn."""


class Argmin:
    """The arm that is predicted to be fastest at the goodput measured."""

    def __init__(self, arms: Sequence[Arm]) -> None:
        self._arms = arms
        self._goodput = Goodput()
        self._current: Arm | None = None
        self.tell = self._goodput.tell

    def choose(self, now_s: float) -> Arm:
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

    def choose(self, now_s: float) -> Arm:
        return self._goodput.choose(now_s, self._arms, self._best)

    def _best(self, rate_mbit: float) -> Arm:
        is_near = self.mbit / (1 + STAYS) <= rate_mbit < self.mbit * (1 + STAYS)
        if self._current is None or not is_near:
            self._current = self.high if rate_mbit >= self.mbit else self.low
        return self._current


class Deadline:
    """The arm that loses least of those that are predicted to be done in time, else the fastest."""

    def __init__(self, arms: Sequence[Arm], most_ms: float) -> None:
        # of those that lose as much, the one that sends least
        self._arms = sorted(arms, key=lambda arm: (arm.drop, arm.wire_bytes))
        self._most_ms = most_ms
        self._current: Arm | None = None
        self._goodput = Goodput()
        self.tell = self._goodput.tell

    def choose(self, now_s: float) -> Arm:
        return self._goodput.choose(now_s, self._arms, self._best)

    def _best(self, rate_mbit: float) -> Arm:
        for arm in self._arms:
            stays = 1.0 if arm is self._current else 1 + STAYS
            if arm.e2e_ms(rate_mbit) * stays <= self._most_ms:
                self._current = arm
                return arm
        self._current = fastest(self._arms, rate_mbit)
        return self._current


class Bandit:
    """Discounted UCB1: what frames took counts for less with every frame that followed."""

    def __init__(self, arms: Sequence[Arm], seed: int) -> None:
        self._arms = arms
        self._weights = np.zeros(len(arms))
        self._sums = np.zeros(len(arms))
        self._untried = [int(place) for place in np.random.default_rng(seed).permutation(len(arms))]

    def choose(self, now_s: float) -> Arm:
        del now_s  # it counts frames, not seconds
        if self._untried:
            return self._arms[self._untried[-1]]
        bonus = EXPLORATION * np.sqrt(np.log(max(self._weights.sum(), math.e)) / self._weights)
        return self._arms[int(np.argmin(self._sums / self._weights - bonus))]

    def tell(self, outcome: FrameOutcome) -> None:
        place = self._arms.index(outcome.arm)
        if place in self._untried:
            self._untried.remove(place)
        self._weights *= DISCOUNT
        self._sums *= DISCOUNT
        self._weights[place] += 1
        self._sums[place] += math.log(max(outcome.e2e_ms, 1e-3))


@dataclass(frozen=True)
class PolicySetting:
    """What a policy is given before the trace begins, of which it knows nothing.

    It chooses among ``arms``; ``held`` are all, of which some may lose too much. ``value`` is what
    stands behind the colon of its name, ``names`` are those of splits and what each may mean;
    ``most_mbit`` is the greatest rate of the link.
    """

    arms: Sequence[Arm]
    held: Sequence[Arm]
    names: Names
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


def _deadline_ms(value: str) -> float:
    """Of the value of `deadline`."""
    try:
        most_ms = float(value)
    except ValueError:
        most_ms = math.nan
    if not 0 < most_ms < math.inf:
        raise UsageError("give ms above 0, as in deadline:50")
    return most_ms


def named(name: str, names: Names) -> Sequence[Configuration]:
    """What a static policy names, of each codec one; UsageError unless it is held."""
    if (found := names.get(name)) is None:
        raise UsageError(f"static:{name}: no such split is held; choose {', '.join(names)}")
    return found


def _static(asked: PolicySetting) -> Static:
    [meant] = named(asked.value, asked.names)
    return Static(next(arm for arm in asked.held if arm.configuration == meant))


POLICIES = Extensible(
    "splitbed.policies",
    "policy",
    {
        "static": PolicyKind(_static),
        "threshold": PolicyKind(
            lambda asked: RateThreshold(asked.arms, asked.most_mbit, _threshold_mbit(asked.value)),
            _threshold_mbit,
        ),
        "deadline": PolicyKind(
            lambda asked: Deadline(asked.arms, _deadline_ms(asked.value)), _deadline_ms
        ),
        "argmin": PolicyKind(lambda asked: Argmin(asked.arms)),
        "forecast": PolicyKind(lambda asked: Forecast(asked.arms, asked.most_mbit)),
        "bandit": PolicyKind(lambda asked: Bandit(asked.arms, asked.seed)),
    },
    kind="PolicyKind of orchestrator.adapt.policies",
    needs=("make", "check"),
)
"""By name; of installed packages, too."""


def policy_names(text: str, names: Names) -> tuple[str, ...]:
    """The policies that a comma list names, `static` once for all that is held, none twice.

    Raises UsageError.
    """
    return tuple(dict.fromkeys(_named(text, names)))


def _named(text: str, names: Names) -> Iterator[str]:
    for word in joined(word.strip() for word in text.split(",")):
        name, _, value = word.partition(":")
        kind = POLICIES.named(name)
        if name == "static":
            yield from _statics(value, names)
            continue
        try:
            kind.check(value)
        except UsageError as error:
            raise UsageError(f"the policy {word}: {error}") from None
        yield word


def _statics(value: str, names: Names) -> Iterator[str]:
    """One for each that the value means; without a value one for each that is held."""
    own = {name: meant[0] for name, meant in names.items() if len(meant) == 1}
    if value:
        meant = named(value, names)
        called = [value] if len(meant) == 1 else [f"{value}/{one.codec}" for one in meant]
    else:
        first = {asked: name for name, asked in reversed([*own.items()])}
        called = [first[asked] for asked in dict.fromkeys(own.values())]
    yield from (f"static:{name}" for name in called)


def new_policy(name: str, setting: PolicySetting) -> Policy:
    """The policy called ``name``, of :func:`policy_names`."""
    kind, _, value = name.partition(":")
    return POLICIES[kind].make(replace(setting, value=value))
