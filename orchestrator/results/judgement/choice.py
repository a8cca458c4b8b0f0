"""What to choose under the same conditions, and what the other splits lack for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netem.wire import wire_bytes
from orchestrator.results.judgement.accuracy import is_fit
from orchestrator.results.judgement.anchors import as_accurate
from orchestrator.results.rows import Row, known


@dataclass(frozen=True)
class Choice:
    """The row to choose under the conditions `link` and `ue`, of the valid ones that are fit.

    `split` is the split that gains most on the anchors that are as accurate as it is, `anchor` the
    best of these; `best` is the faster one of the two. None where no such row was measured.
    """

    link: str
    ue: str
    best: Row | None
    split: Row | None
    anchor: Row | None
    lossless: Row | None
    """The fastest that loses nothing."""
    complete: bool
    """Whether both anchors were measured: else the comparison lacks one."""
    device: Row | None
    """The device anchor."""
    network: Row | None
    """The fastest network anchor that is as accurate as the split."""
    lossier: tuple[Row, ...]
    """The network anchors that are not, the fastest first."""

    @property
    def sure(self) -> bool:
        """Whether the 95 % intervals of the split and the anchor lie apart."""
        if self.split is None or self.anchor is None:
            return False
        fast, slow = sorted((self.split, self.anchor), key=_e2e_ms)
        return known(fast.e2e_high_ms) < known(slow.e2e_low_ms)

    @property
    def gain(self) -> float | None:
        """How many times as fast as the best anchor the best split is."""
        if self.split is None or self.anchor is None:
            return None
        return _e2e_ms(self.anchor) / _e2e_ms(self.split)


def choices(table: Sequence[Row]) -> list[Choice]:
    """The choice for each link and pace of the UE, from slow links to fast ones."""
    ordered = sorted(table, key=_of_conditions)
    return [
        _choice([row for row in table if row.conditions == where])
        for where in dict.fromkeys(row.conditions for row in ordered)
    ]


def _of_conditions(row: Row) -> tuple[object, ...]:
    rates = (row.bw_mbit, row.downlink_mbit)
    return (*rates, row.delay_ms, row.jitter_ms, row.loss_pct, row.link, row.ue)


def _choice(measured: Sequence[Row]) -> Choice:
    ran = [row for row in measured if row.valid and row.e2e_ms is not None]
    anchors = [row for row in ran if row.is_anchor]
    fit = [row for row in ran if is_fit(row)]
    split = max((row for row in fit if not row.is_anchor), key=_gain, default=None)
    rivals = [a for a in fit if a.is_anchor and (split is None or as_accurate(a, split))]
    anchor = min(rivals, key=_e2e_ms, default=None)
    network = [row for row in anchors if row.is_network_anchor]
    return Choice(
        link=measured[0].link,
        ue=measured[0].ue,
        best=min((row for row in (split, anchor) if row), key=_e2e_ms, default=None),
        split=split,
        anchor=anchor,
        lossless=min((row for row in ran if row.lossless), key=_e2e_ms, default=None),
        complete={row.is_network_anchor for row in anchors} == {True, False},
        device=next((row for row in anchors if not row.is_network_anchor), None),
        network=min((row for row in network if row in rivals), key=_e2e_ms, default=None),
        lossier=tuple(sorted((row for row in network if row not in rivals), key=_e2e_ms)),
    )


def _e2e_ms(row: Row) -> float:
    return known(row.e2e_ms)


def _gain(row: Row) -> tuple[float, float]:
    """Where there is no anchor to gain on, the fastest comes first."""
    return row.speedup_vs_best_anchor or 0.0, -_e2e_ms(row)


def compression_needed(row: Row) -> float | None:
    """By what factor a split's encoded bytes must shrink until it takes what its best anchor does.

    1 or less for one that is as fast already; infinite where no smaller data would do, since the
    nodes and the delay alone take longer; None for an anchor, and where there is none to compare.
    """
    if row.is_anchor or row.speedup_vs_best_anchor is None:
        return None
    late_ms = _e2e_ms(row) * (1 - row.speedup_vs_best_anchor)
    shrinks_ms = _shrinking_ms(row)
    return shrinks_ms / (shrinks_ms - late_ms) if shrinks_ms > late_ms else math.inf


def _shrinking_ms(row: Row) -> float:
    """What of the end-to-end time goes with the encoded bytes: the uplink without its delay."""
    if row.uplink_ms is not None:
        return max(0.0, row.uplink_ms - row.delay_ms)
    # of two machines, only both ways together may be known
    back_ms = wire_bytes(int(known(row.result_bytes))) * 8 / row.downlink_mbit / 1e3
    return max(0.0, known(row.network_ms) - row.delay_ms - row.downlink_delay_ms - back_ms)
