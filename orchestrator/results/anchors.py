"""Each row against the anchors under the same conditions that are at least as accurate (clause 5).

The conditions are the link and the pace of the UE. An anchor whose input is compressed until it
sees less is no measure for a split that sees more.
"""

import math
from collections import defaultdict
from collections.abc import Sequence

from orchestrator.results.rows import (
    Row,
    conditions_of,
    is_anchor,
    is_network_anchor,
    number,
    with_codec,
)

EQUAL_ACCURACY = 0.005
"""An anchor is as accurate as a row whose accuracy is at most this much higher."""


def add_comparisons(table: Sequence[Row]) -> None:
    """Fill the columns that hold a row against the anchors."""
    anchors: dict[object, list[Row]] = defaultdict(list)
    for row in table:
        if is_anchor(row) and row["valid"]:
            anchors[conditions_of(row)].append(row)
    for row in table:
        measures = [a for a in anchors[conditions_of(row)] if as_accurate(a, row)]
        if "e2e_ms" not in row or not measures:
            continue
        best = min(measures, key=lambda anchor: number(anchor, "e2e_ms"))
        row["best_anchor"] = with_codec(best)
        row["speedup_vs_best_anchor"] = number(best, "e2e_ms") / number(row, "e2e_ms")
        if network := [anchor for anchor in measures if is_network_anchor(anchor)]:
            least = min(number(anchor, "frame_kbit") for anchor in network)
            row["kbit_vs_network_anchor"] = number(row, "frame_kbit") / least if least else None
            fastest = min(number(anchor, "e2e_ms") for anchor in network)
            row["frames_to_pay_delivery"] = _frames_to_pay(row, fastest)


def as_accurate(anchor: Row, row: Row) -> bool:
    """Whether the anchor reaches what the row does; one that loses nothing always does."""
    if anchor["lossless"]:
        return True
    reached, wanted = anchor.get("accuracy"), row.get("accuracy")
    if not isinstance(reached, float) or not isinstance(wanted, float):
        return anchor is row
    return anchor is row or reached >= wanted - EQUAL_ACCURACY


def _frames_to_pay(row: Row, network_ms: float) -> int | None:
    """Frames until the UE has the results sooner than by sending every input from the start.

    The network anchor needs nothing delivered. None where the cut never pays, or nothing was
    delivered.
    """
    if not row.get("part1_delivery_ms") or not row["part1_bytes"] or not row["valid"]:
        return None
    saved_ms = network_ms - number(row, "e2e_ms")
    return math.ceil(number(row, "part1_delivery_ms") / saved_ms) if saved_ms > 0 else None
