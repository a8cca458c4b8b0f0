"""What to choose under each conditions, and what the other splits lack for it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netem.wire import wire_bytes
from orchestrator.results.anchors import as_accurate
from orchestrator.results.rows import (
    Row,
    conditions_of,
    cut_name,
    is_anchor,
    is_network_anchor,
    number,
)


@dataclass(frozen=True)
class Choice:
    """The row to choose under the conditions `link` and `ue`, of the valid ones.

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

    @property
    def gain(self) -> float | None:
        """How many times as fast as the best anchor the best split is."""
        if self.split is None or self.anchor is None:
            return None
        return number(self.anchor, "e2e_ms") / number(self.split, "e2e_ms")


def label(row: Row) -> str:
    """The split as users know it, with its codec where something is encoded."""
    name = str(row["split_name"])
    name = name if is_anchor(row) else cut_name(name, str(row["split"]))
    return name + ("" if row["codec"] in ("raw", "none") else f" as {row['codec']}")


def choices(table: Sequence[Row]) -> list[Choice]:
    """The choice under each conditions, from slow links to fast ones."""
    ordered = sorted(table, key=_of_conditions)
    return [
        _choice([row for row in table if conditions_of(row) == where])
        for where in dict.fromkeys(map(conditions_of, ordered))
    ]


def _of_conditions(row: Row) -> tuple[object, ...]:
    numbers = ("bw_mbit", "downlink_mbit", "delay_ms", "jitter_ms", "loss_pct")
    return (*(number(row, name) for name in numbers), str(row["link"]), str(row["ue"]))


def _choice(measured: Sequence[Row]) -> Choice:
    ran = [row for row in measured if row["valid"] and isinstance(row.get("e2e_ms"), float)]
    anchors = [row for row in ran if is_anchor(row)]
    split = max((row for row in ran if not is_anchor(row)), key=_gain, default=None)
    measures = [a for a in anchors if split is None or as_accurate(a, split)]
    anchor = min(measures, key=_e2e_ms, default=None)
    return Choice(
        link=str(measured[0]["link"]),
        ue=str(measured[0]["ue"]),
        best=min((row for row in (split, anchor) if row), key=_e2e_ms, default=None),
        split=split,
        anchor=anchor,
        lossless=min((row for row in ran if row["lossless"]), key=_e2e_ms, default=None),
        complete=len({is_network_anchor(row) for row in anchors}) == len(("device", "network")),
    )


def _e2e_ms(row: Row) -> float:
    return number(row, "e2e_ms")


def _gain(row: Row) -> tuple[float, float]:
    """Where there is no anchor to gain on, the fastest comes first."""
    speedup = row.get("speedup_vs_best_anchor")
    return (speedup if isinstance(speedup, float) else 0.0, -_e2e_ms(row))


def compression_needed(row: Row) -> float | None:
    """By what factor a split's encoded bytes must shrink until it takes what its best anchor does.

    1 or less for one that is as fast already; infinite where no smaller data would do, since the
    nodes and the delay alone take longer; None for an anchor, and where there is none to compare.
    """
    speedup = row.get("speedup_vs_best_anchor")
    if is_anchor(row) or not isinstance(speedup, float):
        return None
    late_ms = _e2e_ms(row) * (1 - speedup)
    shrinks_ms = _shrinking_ms(row)
    return shrinks_ms / (shrinks_ms - late_ms) if shrinks_ms > late_ms else math.inf


def _shrinking_ms(row: Row) -> float:
    """What of the end-to-end time goes with the encoded bytes: the uplink without its delay."""
    if row.get("uplink_ms") is not None:
        return max(0.0, number(row, "uplink_ms") - number(row, "delay_ms"))
    # of two machines, only both ways together may be known
    back_ms = wire_bytes(int(number(row, "result_bytes"))) * 8 / number(row, "downlink_mbit") / 1e3
    delays_ms = number(row, "delay_ms") + number(row, "downlink_delay_ms")
    return max(0.0, number(row, "network_ms") - delays_ms - back_ms)
