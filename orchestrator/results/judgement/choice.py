"""What to choose under the same conditions, and how sure that is.

The split that gains most is the luckiest of many, and so is its rival: the p of their difference
is multiplied by the number of pairs that they were picked from (Bonferroni), and then corrected for
the number of choices in the run (Holm).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.ask.split_point import DEVICE_ANCHOR, NETWORK_ANCHOR, PRIVATE_ANCHOR, Anchor
from orchestrator.results.judgement.accuracy import is_fit
from orchestrator.results.judgement.anchors import as_accurate
from orchestrator.results.rows import Conditions, Row, known
from orchestrator.results.statistics.blocks import beside
from orchestrator.results.statistics.comparison import Difference, difference, holm

MAX_P = 0.05
KINDS = (DEVICE_ANCHOR, NETWORK_ANCHOR, PRIVATE_ANCHOR)


@dataclass(frozen=True)
class Rival:
    """A row that is fit, too, and no faster than the one to choose."""

    row: Row
    difference: Difference | None
    """What it takes over what the one to choose takes; None for too few frames."""
    told: bool
    """Whether the two can be told apart, among all that were compared."""


@dataclass(frozen=True)
class Best:
    """The row to choose, and how all others that are fit compare with it, the fastest first."""

    row: Row
    rivals: tuple[Rival, ...]

    @property
    def untold(self) -> tuple[Rival, ...]:
        """What cannot be told from it."""
        return tuple(rival for rival in self.rivals if not rival.told)

    @property
    def sure(self) -> bool:
        """Whether it can be told from all others."""
        return not self.untold


@dataclass(frozen=True)
class Choice:
    """The row to choose under the `conditions`, of the valid ones that are fit.

    `split` is the fastest split, `anchor` the fastest anchor, `best` the faster one of the two;
    None where no such row was measured.
    """

    conditions: Conditions
    best: Row | None
    split: Row | None
    anchor: Row | None
    lossless: Row | None
    """The fastest that loses nothing."""
    complete: bool
    """Whether device and network anchor were measured: else the comparison lacks one."""
    anchors: tuple[Row, ...]
    """Of each kind the fastest that is as accurate as the split: device, network, private."""
    lossier: tuple[Row, ...]
    """Those whose input is compressed until they are not, the fastest first."""

    rivals: tuple[Rival, ...]
    """Every other row that is fit, the fastest first."""
    difference: Difference | None
    """Of the slower one of split and anchor over the faster one; None for too few frames."""
    p: float = 1.0
    """That they are equal, corrected for all that was compared."""
    level: float = MAX_P
    """What p would have to be, were it not corrected."""

    @property
    def link(self) -> str:
        """Over which they were measured."""
        return self.conditions.link

    @property
    def where(self) -> str:
        """Over which link, and under which load, where one was asked."""
        load = self.conditions.load
        return f"{self.link} under {load}" if load else self.link

    @property
    def ue(self) -> str:
        """The pace of the UE."""
        return self.conditions.ue

    @property
    def sure(self) -> bool:
        """Whether the split and the anchor can be told apart, as their medians are."""
        return self.p <= MAX_P and _tells(self.difference)

    @property
    def tied(self) -> tuple[Row, ...]:
        """The best and every fit row that cannot be told from it."""
        untold = (rival.row for rival in self.rivals if not rival.told)
        return (self.best, *untold) if self.best else ()

    @property
    def doubt(self) -> str:
        """What would tell them apart, as ``about 40 frames more would tell``."""
        if self.difference is None:
            return "to tell takes 2 frames of each at least: give more --runs"
        of, alone = self.difference.of, ""
        if self.difference.p <= MAX_P and _tells(self.difference):
            alone = "the two alone could be, not among all that was compared; "
        if (more := self.difference.more_to_tell(self.level)) is None:
            blocks = "; --blocks 5 may" if of == "frame" else ""
            return f"{alone}more {of}s of this run would not tell so little{blocks}"
        return f"{alone}about {more} {of}{'' if more == 1 else 's'} more would tell"

    @property
    def device(self) -> Row | None:
        """The device anchor."""
        return self._of(DEVICE_ANCHOR)

    @property
    def network(self) -> Row | None:
        """The fastest network anchor that is as accurate as the split."""
        return self._of(NETWORK_ANCHOR)

    def _of(self, kind: Anchor) -> Row | None:
        return next((row for row in self.anchors if row.anchor == kind), None)

    @property
    def others(self) -> tuple[Row, ...]:
        """The anchors beside the fastest one."""
        return tuple(row for row in self.anchors if row is not self.anchor)

    @property
    def gain(self) -> float | None:
        """How many times as fast as the best anchor the best split is."""
        if self.split is None or self.anchor is None:
            return None
        return _e2e_ms(self.anchor) / _e2e_ms(self.split)


def choices(table: Sequence[Row]) -> list[Choice]:
    """The choice for each link, pace of the UE and load, from slow links to fast ones."""
    ordered = sorted(table, key=_of_conditions)
    under = [
        [row for row in table if row.conditions == where]
        for where in dict.fromkeys(row.conditions for row in ordered)
    ]
    found = [_choice(measured) for measured in under]
    compared = [choice for choice in found if choice.difference]
    corrected = iter(holm([choice.p for choice in compared]))
    return [
        _with_rivals(
            replace(one, p=next(corrected), level=one.level / len(compared))
            if one.difference
            else one,
            measured,
        )
        for one, measured in zip(found, under, strict=True)
    ]


def _of_conditions(row: Row) -> tuple[object, ...]:
    rates = (row.bw_mbit, row.downlink_mbit)
    return (*rates, row.delay_ms, row.jitter_ms, row.loss_pct, *row.conditions)


def _choice(measured: Sequence[Row]) -> Choice:
    ran = [row for row in measured if _ran(row)]
    anchors = [row for row in ran if row.is_anchor]
    fit = [row for row in ran if is_fit(row)]
    split = max((row for row in fit if not row.is_anchor), key=_gain, default=None)
    rivals = [a for a in fit if a.is_anchor and (split is None or as_accurate(a, split))]
    anchor = min(rivals, key=_e2e_ms, default=None)
    kinds = {kind: [row for row in rivals if row.anchor == kind] for kind in KINDS}
    lossier = [row for row in anchors if row.sends_input and row not in rivals]
    apart = None if split is None or anchor is None else _difference(split, anchor)
    pairs = max(1, sum(not row.is_anchor for row in fit) * len(rivals))
    return Choice(
        conditions=measured[0].conditions,
        best=min((row for row in (split, anchor) if row), key=_e2e_ms, default=None),
        split=split,
        anchor=anchor,
        lossless=min((row for row in ran if row.lossless), key=_e2e_ms, default=None),
        complete={DEVICE_ANCHOR, NETWORK_ANCHOR} <= {row.anchor for row in anchors},
        anchors=tuple(min(own, key=_e2e_ms) for own in kinds.values() if own),
        lossier=tuple(sorted(lossier, key=_e2e_ms)),
        rivals=(),
        difference=apart,
        p=min(1.0, pairs * apart.p) if apart else 1.0,
        level=MAX_P / pairs,
    )


def _ran(row: Row) -> bool:
    return row.valid and row.e2e_ms is not None and row.sustained is not False


def _with_rivals(choice: Choice, measured: Sequence[Row]) -> Choice:
    """With the other fit rows among those measured under its conditions."""
    best, pair = choice.best, (choice.split, choice.anchor)
    if best is None:
        return choice
    others = [row for row in measured if row is not best and _ran(row) and is_fit(row)]
    others.sort(key=_e2e_ms)
    found = [_difference(best, row) for row in others]
    # the best was picked: any two of the rows could have been the pair
    picked = (len(others) + 1) / 2
    corrected = holm([one.p * picked if one else 1.0 for one in found])
    rivals = [
        Rival(row, apart, choice.sure if row in pair else p <= MAX_P and _tells(apart))
        for row, apart, p in zip(others, found, corrected, strict=True)
    ]
    return replace(choice, rivals=tuple(rivals))


def _difference(a: Row, b: Row) -> Difference | None:
    """Of the slower one over the faster one, by their medians."""
    fast, slow = sorted((a, b), key=_e2e_ms)
    return difference(*beside(fast, slow))


def _tells(apart: Difference | None) -> bool:
    return apart is not None and apart.low > 1


def interval_of_gain(slow: Row, fast: Row) -> str:
    """How many times as fast, frame by frame, as `` (1.50 to 1.70)``.

    The ratio of the medians lies in it; empty for too few frames.
    """
    apart = difference(*beside(fast, slow))
    if apart is None:
        return ""
    low, high = apart.around(_e2e_ms(slow) / _e2e_ms(fast))
    return f" ({low:.2f} to {high:.2f})"


def _e2e_ms(row: Row) -> float:
    return known(row.e2e_ms)


def _gain(row: Row) -> tuple[float, float]:
    """Where there is no anchor to gain on, the fastest comes first."""
    return row.speedup_vs_best_anchor or 0.0, -_e2e_ms(row)
