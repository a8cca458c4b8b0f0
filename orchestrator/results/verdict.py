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
from pathlib import Path
from statistics import median

from orchestrator.results.anchors import as_accurate
from orchestrator.results.choice import compression_needed
from orchestrator.results.rows import Row, known
from splitbed.errors import INTERRUPTED, RunError, SplitbedError

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


@dataclass(frozen=True)
class SweepOutcome:
    """What a sweep leaves; `stopped` is what ended it before its last cell."""

    folder: Path
    rows: Sequence[Row]
    verdict: Verdict
    stopped: BaseException | None

    @property
    def exit_code(self) -> int:
        """0 for a VALID run, 1 for an INVALID one, else what the cause of the stop asks for."""
        match self.stopped:
            case SplitbedError() as error:
                return error.exit_code
            case KeyboardInterrupt():
                return INTERRUPTED
        return 0 if self.verdict.valid else RunError.exit_code


def judge_run(table: Sequence[Row], cells_asked: int, stopped: str | None = None) -> Verdict:
    """The verdict on the rows of a run that was to have `cells_asked` cells."""
    reasons = [f"{row.split_name} at {row.link}: {row.reason}" for row in table if not row.valid]
    if stopped:
        reasons.append(stopped)
    if len(table) < cells_asked:
        reasons.append(f"{cells_asked - len(table)} of {cells_asked} cells were not measured")
    return Verdict(not reasons, tuple(reasons), tuple(_advice(table)))


def _advice(table: Sequence[Row]) -> list[str]:
    by_conditions: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in table:
        if row.valid and row.e2e_ms is not None:
            by_conditions[row.conditions].append(row)
    advice = [line for measured in by_conditions.values() for line in _where_to_cut(measured)]
    advice += _uncompressed_anchor(table)
    advice += _untrained(table)
    advice += _prediction(table)
    late = [row for row in table if _is_late(row)]
    if late:
        worst = max(late, key=_over_bound)
        advice.append(
            f"{len(late)} of {len(table)} cells took over {MAX_OVER_BOUND:g} times their physical "
            f"floor, most of all {worst.with_codec} at {worst.link} "
            f"({_over_bound(worst):.2f}): something else used this machine, "
            "or it is too slow for this link."
        )
    return advice


def _uncompressed_anchor(table: Sequence[Row]) -> list[str]:
    """A comparison that favours the splits is told."""
    codecs = {row.codec for row in table if not row.is_anchor} - {"raw"}
    if not codecs or any(row.codec != "raw" for row in table if row.is_network_anchor):
        return []
    return [
        "The splits' data were encoded, the network anchor's input was not: clause 5 sends it "
        "compressed, as --input-codec uint8,jpeg,avc does."
    ]


def _untrained(table: Sequence[Row]) -> list[str]:
    if all(row.lossless for row in table) or not table[0].weights.startswith("seeded"):
        return []
    return [
        "The weights are seeded, not trained: times and sizes hold, but what codecs cost in "
        "accuracy does not, since small errors grow in an untrained network; --weights FILE takes "
        "trained ones."
    ]


def _prediction(table: Sequence[Row]) -> list[str]:
    """How well the profiles predicted what was measured."""
    predicted = [row for row in table if row.valid and row.prediction_error_pct is not None]
    if not predicted:
        return []

    def error_pct(row: Row) -> float:
        return abs(known(row.prediction_error_pct))

    def nodes_error_pct(row: Row) -> float:
        measured_ms = known(row.part1_ms) + known(row.part2_ms)
        told_ms = known(row.part1_predicted_ms) + known(row.part2_predicted_ms)
        return abs(100 * (told_ms / measured_ms - 1))

    worst = max(predicted, key=error_pct)
    nodes = median(map(nodes_error_pct, predicted))
    return [
        f"The profiles predicted end-to-end times within {median(map(error_pct, predicted)):.1f} % "
        f"(median; worst {error_pct(worst):.1f} %, {worst.split_name} at {worst.link}), part 1 and "
        f"part 2 alone within {nodes:.1f} %."
    ]


def _over_bound(row: Row) -> float:
    return known(row.e2e_over_bound)


def _is_late(row: Row) -> bool:
    # on a link that is random by request, lateness tells nothing of the instrument
    random = row.loss_pct or row.jitter_ms or row.downlink_loss_pct or row.downlink_jitter_ms
    if row.e2e_ms is None or random:
        return False
    return _over_bound(row) > MAX_OVER_BOUND and row.e2e_ms - known(row.bound_ms) > MAX_LATE_MS


def _cost(row: Row) -> str:
    """What the codec costs in accuracy; empty where nothing was lost or judged."""
    drop = row.accuracy_drop
    if row.lossless or drop is None:
        return ""
    return f", at {drop:.3f} less {row.accuracy_metric}" if drop > 0 else ", at no loss"


def _paid(row: Row) -> str:
    """After how many frames what was delivered to the UE has paid; empty for nothing delivered."""
    if (frames := row.frames_to_pay_delivery) is None:
        return ""
    count = "1 frame" if frames == 1 else f"{frames} frames"
    return f" (its delivery, {known(row.part1_delivery_ms):.0f} ms, is paid after {count})"


def _where_to_cut(measured: Sequence[Row]) -> list[str]:
    def e2e(row: Row) -> float:
        return known(row.e2e_ms)

    anchors = [row for row in measured if row.is_anchor]
    splits = [row for row in measured if not row.is_anchor]
    if not splits or len({row.is_network_anchor for row in anchors}) < len(("device", "network")):
        return []  # no advice on a comparison that is not complete
    # the split that gains most on the anchors that are as accurate as it is
    split = max(splits, key=lambda row: known(row.speedup_vs_best_anchor))
    anchor = min((a for a in anchors if as_accurate(a, split)), key=e2e)
    slowed = f" with the UE slowed ({split.ue})" if split.ue else ""
    where = f"At {split.link}{slowed}"
    if e2e(split) < e2e(anchor):
        return [
            f"{where} cut at {split.label}: {e2e(split):.0f} ms, "
            f"{e2e(anchor) / e2e(split):.2f} times as fast as the {anchor.with_codec}"
            f"{_cost(split)}{_paid(split)}."
        ]
    line = (
        f"{where} do not split: the {anchor.with_codec} takes {e2e(anchor):.0f} ms"
        f"{_paid(anchor)}, the best split, {split.label}, {e2e(split):.0f} ms"
        f"{_cost(split)}{_paid(split)}"
    )
    factor = compression_needed(split)
    if factor is not None and math.isfinite(factor):
        return [f"{line}; it would win with intermediate data {factor:.1f} times smaller."]
    work_ms = known(split.part1_ms) + known(split.part2_ms)
    return [
        f"{line}, of which {work_ms:.0f} ms are part 1 and part 2: "
        "no smaller intermediate data would make it win on these two nodes."
    ]
