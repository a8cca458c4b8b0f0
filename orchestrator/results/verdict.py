"""What a run amounts to: VALID, or INVALID with the rule that failed; and what to make of it.

A row is VALID when every frame ran, the link was proved before and after, the stages explain the
end-to-end time, no frame beat its physical floor, and the split output is the whole model's
(:mod:`orchestrator.results.summary` holds the limits). A run is VALID when all its cells are there
and are.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from orchestrator.results.anchors import as_accurate
from orchestrator.results.choice import compression_needed
from orchestrator.results.rows import (
    Row,
    conditions_of,
    cut_name,
    is_anchor,
    is_network_anchor,
    number,
    with_codec,
)

MAX_OVER_BOUND = 1.05
"""Above this ratio a row is worth a look …"""
MAX_LATE_MS = 10.0
"""… when it is also later than two processes and a round trip through the link box explain."""


@dataclass(frozen=True)
class Verdict:
    """The judgement of a run, with its reasons and advice as sentences."""

    valid: bool
    reasons: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def word(self) -> str:
        """VALID or INVALID."""
        return "VALID" if self.valid else "INVALID"


def judge_run(table: Sequence[Row], cells_asked: int, stopped: str | None = None) -> Verdict:
    """The verdict on the rows of a run that was to have `cells_asked` cells."""
    reasons = [
        f"{row['split_name']} at {row['link']}: {row['reason']}"
        for row in table
        if not row["valid"]
    ]
    if stopped:
        reasons.append(stopped)
    if len(table) < cells_asked:
        reasons.append(f"{cells_asked - len(table)} of {cells_asked} cells were not measured")
    return Verdict(not reasons, tuple(reasons), tuple(_advice(table)))


def _advice(table: Sequence[Row]) -> list[str]:
    by_conditions: dict[object, list[Row]] = defaultdict(list)
    for row in table:
        if row["valid"] and isinstance(row.get("e2e_ms"), float):
            by_conditions[conditions_of(row)].append(row)
    advice = [line for measured in by_conditions.values() for line in _where_to_cut(measured)]
    advice += _uncompressed_anchor(table)
    advice += _untrained(table)
    advice += _prediction(table)
    late = [row for row in table if _is_late(row)]
    if late:
        worst = max(late, key=lambda row: number(row, "e2e_over_bound"))
        advice.append(
            f"{len(late)} of {len(table)} cells took over {MAX_OVER_BOUND:g} times their physical "
            f"floor, most of all {with_codec(worst)} at {worst['link']} "
            f"({number(worst, 'e2e_over_bound'):.2f}): something else used this machine, "
            "or it is too slow for this link."
        )
    return advice


def _uncompressed_anchor(table: Sequence[Row]) -> list[str]:
    """A comparison that favours the splits is told."""
    codecs = {str(row["codec"]) for row in table if not is_anchor(row)} - {"raw"}
    if not codecs or any(row["codec"] != "raw" for row in table if is_network_anchor(row)):
        return []
    return [
        "The splits' data were encoded, the network anchor's input was not: clause 5 sends it "
        "compressed, as --input-codec uint8,jpeg,avc does."
    ]


def _untrained(table: Sequence[Row]) -> list[str]:
    if all(row["lossless"] for row in table) or not str(table[0]["weights"]).startswith("seeded"):
        return []
    return [
        "The weights are seeded, not trained: times and sizes hold, but what codecs cost in "
        "accuracy does not, since small errors grow in an untrained network; --weights FILE takes "
        "trained ones."
    ]


def _prediction(table: Sequence[Row]) -> list[str]:
    """How well the profiles predicted what was measured."""
    predicted = [row for row in table if row["valid"] and "prediction_error_pct" in row]
    if not predicted:
        return []

    def nodes_error_pct(row: Row) -> float:
        measured_ms = number(row, "part1_ms") + number(row, "part2_ms")
        told_ms = number(row, "part1_predicted_ms") + number(row, "part2_predicted_ms")
        return abs(100 * (told_ms / measured_ms - 1))

    errors = [abs(number(row, "prediction_error_pct")) for row in predicted]
    worst = max(predicted, key=lambda row: abs(number(row, "prediction_error_pct")))
    nodes = median(map(nodes_error_pct, predicted))
    return [
        f"The profiles predicted end-to-end times within {median(errors):.1f} % (median; worst "
        f"{max(errors):.1f} %, {worst['split_name']} at {worst['link']}), part 1 and part 2 alone "
        f"within {nodes:.1f} %."
    ]


def _is_late(row: Row) -> bool:
    # on a link that is random by request, lateness tells nothing of the instrument
    names = ("loss_pct", "jitter_ms", "downlink_loss_pct", "downlink_jitter_ms")
    if "e2e_ms" not in row or any(row[name] for name in names):
        return False
    late_ms = number(row, "e2e_ms") - number(row, "bound_ms")
    return number(row, "e2e_over_bound") > MAX_OVER_BOUND and late_ms > MAX_LATE_MS


def _name(row: Row) -> str:
    codec = "" if row["codec"] in ("raw", "none") else f" as {row['codec']}"
    return cut_name(str(row["split_name"]), str(row["split"])) + codec


def _anchor_name(row: Row) -> str:
    return f"the {with_codec(row)}"


def _cost(row: Row) -> str:
    """What the codec costs in accuracy; empty where nothing was lost or judged."""
    drop = row.get("accuracy_drop")
    if row["lossless"] or not isinstance(drop, float):
        return ""
    return f", at {drop:.3f} less {row['accuracy_metric']}" if drop > 0 else ", at no loss"


def _paid(row: Row) -> str:
    """After how many frames what was delivered to the UE has paid; empty for nothing delivered."""
    if (frames := row.get("frames_to_pay_delivery")) is None:
        return ""
    delivery_ms = number(row, "part1_delivery_ms")
    count = "1 frame" if frames == 1 else f"{frames} frames"
    return f" (its delivery, {delivery_ms:.0f} ms, is paid after {count})"


def _where_to_cut(measured: Sequence[Row]) -> list[str]:
    def e2e(row: Row) -> float:
        return number(row, "e2e_ms")

    anchors = [row for row in measured if is_anchor(row)]
    splits = [row for row in measured if not is_anchor(row)]
    if not splits or len({is_network_anchor(row) for row in anchors}) < len(("device", "network")):
        return []  # no advice on a comparison that is not complete
    # the split that gains most on the anchors that are as accurate as it is
    split = max(splits, key=lambda row: number(row, "speedup_vs_best_anchor"))
    anchor = min((a for a in anchors if as_accurate(a, split)), key=e2e)
    slowed = f" with the UE slowed ({split['ue']})" if split["ue"] else ""
    where = f"At {split['link']}{slowed}"
    if e2e(split) < e2e(anchor):
        return [
            f"{where} cut at {_name(split)}: {e2e(split):.0f} ms, "
            f"{e2e(anchor) / e2e(split):.2f} times as fast as {_anchor_name(anchor)}"
            f"{_cost(split)}{_paid(split)}."
        ]
    line = (
        f"{where} do not split: {_anchor_name(anchor)} takes {e2e(anchor):.0f} ms"
        f"{_paid(anchor)}, the best split, {_name(split)}, {e2e(split):.0f} ms"
        f"{_cost(split)}{_paid(split)}"
    )
    factor = compression_needed(split)
    if factor is not None and math.isfinite(factor):
        return [f"{line}; it would win with intermediate data {factor:.1f} times smaller."]
    work_ms = number(split, "part1_ms") + number(split, "part2_ms")
    return [
        f"{line}, of which {work_ms:.0f} ms are part 1 and part 2: "
        "no smaller intermediate data would make it win on these two nodes."
    ]
