"""Each row against the anchors under the same conditions that are at least as accurate (clause 5).

The conditions are the link, the pace of the UE and the load. An anchor whose input is compressed
until it sees less is no rival of a split that sees more.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.results.judgement.accuracy import is_fit
from orchestrator.results.rows import Conditions, Row, known

EQUAL_ACCURACY = 0.005
"""An anchor is as accurate as a row whose accuracy is at most this much higher."""


def compared(table: Sequence[Row]) -> list[Row]:
    """The rows with the columns filled that hold them against the anchors among them."""
    anchors: dict[Conditions, list[Row]] = defaultdict(list)
    for row in table:
        if row.is_anchor and row.valid and row.sustained is not False:
            anchors[row.conditions].append(row)
    return [_compared(row, anchors[row.conditions]) for row in table]


def _compared(row: Row, anchors: Sequence[Row]) -> Row:
    rivals = [anchor for anchor in anchors if as_accurate(anchor, row)]
    if not row.e2e_ms or not rivals or row.sustained is False:
        return row
    best = min(rivals, key=lambda anchor: known(anchor.e2e_ms))
    network = [anchor for anchor in rivals if anchor.is_network_anchor]
    least = min((known(anchor.frame_kbit) for anchor in network), default=0.0)
    fastest_ms = min((known(anchor.e2e_ms) for anchor in network), default=0.0)
    return replace(
        row,
        best_anchor=best.with_codec,
        speedup_vs_best_anchor=known(best.e2e_ms) / row.e2e_ms,
        kbit_vs_network_anchor=known(row.frame_kbit) / least if least else None,
        frames_to_pay_delivery=_frames_to_pay(row, fastest_ms),
    )


def as_accurate(anchor: Row, row: Row) -> bool:
    """Whether the anchor reaches what the row does; one that loses nothing always does.

    Rows that may be recommended are as accurate as one another: they lose no more than was allowed.
    """
    if anchor.lossless or _is(anchor, row):
        return True
    if is_fit(row):
        return is_fit(anchor)
    if anchor.accuracy is None or row.accuracy is None:
        return False
    return anchor.accuracy >= row.accuracy - EQUAL_ACCURACY


def _is(one: Row, other: Row) -> bool:
    return (one.configured, one.conditions) == (other.configured, other.conditions)


def _frames_to_pay(row: Row, network_ms: float) -> int | None:
    """Frames until the UE has the results sooner than by sending every input from the start.

    The network anchor needs nothing delivered. None where the cut never pays, or nothing was
    delivered.
    """
    if not row.part1_delivery_ms or not row.ue_part_bytes or not row.valid:
        return None
    saved_ms = network_ms - known(row.e2e_ms)
    frames = row.part1_delivery_ms / saved_ms if saved_ms > 0 else math.nan
    return math.ceil(frames) if math.isfinite(frames) else None  # a damaged run may have NaN
