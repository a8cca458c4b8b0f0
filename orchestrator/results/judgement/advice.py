"""What to make of a run, as sentences: where to cut, and how far the numbers can be trusted.

Each sentence is said of the same rows as the tables beside it.
"""

import math
from collections.abc import Sequence

from orchestrator.results.judgement.accuracy import passed_over, seeded, untrained
from orchestrator.results.judgement.choice import Choice, choices, interval_of_gain
from orchestrator.results.judgement.compression import compression_needed, without_data_ms
from orchestrator.results.judgement.trust import trust, within
from orchestrator.results.rows import Row, known
from splitbed.codecs import RAW


def advice(table: Sequence[Row]) -> list[str]:
    """What the rows of a run advise, the conditions in their order."""
    said: list[str] = []
    for choice in choices(table):
        said += _where_to_cut(choice)
        said += passed_over(table, choice.best) if choice.best else []
    said += _uncompressed_anchor(table)
    said += untrained(table)
    return said + trust(table)


def _where_to_cut(choice: Choice) -> list[str]:
    split, anchor = choice.split, choice.anchor
    if not choice.complete or split is None or anchor is None:
        return []  # no advice on a comparison that is not complete
    slowed = f" with the UE slowed ({choice.ue})" if choice.ue else ""
    where = f"At {choice.link}{slowed}"
    reached = f"{split.label}{_cost(split)}"
    other = choice.network if anchor is choice.device else choice.device
    beside = f", {_anchor(other)} {_ms(other)}" if other else ""
    if not choice.sure:
        return [
            f"{where} the best split, {reached}, and {_anchor(anchor)} cannot be told apart: "
            f"{within(split)}{_paid(split)} and {within(anchor)}{_paid(anchor)}{beside}"
            f"{_lossier(choice)}; {choice.doubt}."
        ]
    if choice.best is split:
        anchors = [one for one in (choice.device, choice.network) if one]
        gains = " and ".join(f"{_gain(one, split)} as fast as {_anchor(one)}" for one in anchors)
        return [f"{where} cut at {reached}: {_ms(split)}{_paid(split)}, {gains}{_lossier(choice)}."]
    line = (
        f"{where} do not split: {_anchor(anchor)} takes {_ms(anchor)}{_paid(anchor)}, the best "
        f"split, {reached}, {_ms(split)}, {_gain(split, anchor)} as long"
        f"{_paid(split)}{beside}{_lossier(choice)}"
    )
    factor = compression_needed(split)
    if factor is not None and math.isfinite(factor):
        return [f"{line}; the split would win with intermediate data {factor:#.3g} times smaller."]
    return [
        f"{line}; without its data it would still take {without_data_ms(split):.0f} ms: no smaller "
        "intermediate data would make it win on these two nodes and with this delay."
    ]


def _gain(slow: Row, fast: Row) -> str:
    """With the interval over the frames."""
    return f"{known(slow.e2e_ms) / known(fast.e2e_ms):.2f} times{interval_of_gain(slow, fast)}"


def _ms(row: Row) -> str:
    return f"{row.e2e_ms:.0f} ms"


def _anchor(row: Row) -> str:
    """An anchor by its name, a network anchor with how its input was sent."""
    if not row.is_network_anchor:
        return f"the {row.split_name}"
    sent = f"{'' if row.codec == RAW else 'as '}{row.codec}"
    lost = f" ({_lost(row)})" if _lost(row) else ""
    return f"the {row.split_name} with its input {sent}{lost}"


def _lossier(choice: Choice) -> str:
    """The codecs of the input with which the network anchor is less accurate than the split."""
    named = [row.codec + _drop(row) for row in choice.lossier if not seeded(row)]
    return f"; as {' or '.join(named)} the input loses more accuracy" if named else ""


def _drop(row: Row) -> str:
    return "" if row.accuracy_drop is None else f" ({row.accuracy_drop:.3f})"


def _cost(row: Row) -> str:
    """What the codec costs in accuracy; empty where nothing was lost or judged."""
    return f", at {_lost(row)}" if _lost(row) else ""


def _lost(row: Row) -> str:
    drop = row.accuracy_drop
    if row.lossless or drop is None:
        return ""
    lost = f"{drop:.3f} less {row.accuracy_metric}" if drop > 0 else "no loss"
    comma = "," if "," in lost and row.accuracy_frames else ""
    return f"{lost}{comma}{_judged(row)}"


def _judged(row: Row) -> str:
    """Over how many inputs accuracy was judged; empty for runs that did not say."""
    if (count := row.accuracy_frames) is None:
        return ""
    return f" over {count} input{'' if count == 1 else 's'}"


def _paid(row: Row) -> str:
    """After how many frames what was delivered to the UE has paid; empty for nothing delivered."""
    if (frames := row.frames_to_pay_delivery) is None:
        return ""
    count = "1 frame" if frames == 1 else f"{frames} frames"
    return f" (its delivery, {known(row.part1_delivery_ms):.0f} ms, is paid after {count})"


def _uncompressed_anchor(table: Sequence[Row]) -> list[str]:
    """A comparison that favours the splits is told."""
    codecs = {row.codec for row in table if not row.is_anchor} - {RAW}
    if not codecs or any(row.codec != RAW for row in table if row.is_network_anchor):
        return []
    return [
        "The splits' data were encoded, the network anchor's input was not: clause 5 sends it "
        "compressed, as --input-codec uint8,jpeg,avc does."
    ]
