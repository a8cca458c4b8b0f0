"""What to make of a run, as sentences: where to cut, and how far the numbers can be trusted.

Each sentence is said of the same rows as the tables beside it.
"""

import math
from collections.abc import Collection, Sequence

from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.ask.split_point import PRIVATE_ANCHOR
from orchestrator.results.judgement.accuracy import (
    Fitness,
    fitness,
    is_fit,
    out_of_inputs,
    seeded,
    what_decides,
    why_unfit,
)
from orchestrator.results.judgement.choice import Choice, choices, interval_of_gain
from orchestrator.results.judgement.compression import compression_needed, without_data_ms
from orchestrator.results.judgement.finer import finer_advice
from orchestrator.results.judgement.load import load_advice
from orchestrator.results.judgement.throughput import frames_advice
from orchestrator.results.judgement.trust import trust
from orchestrator.results.judgement.validity import pace_words
from orchestrator.results.judgement.words import (
    MAX_NAMED,
    anchor_words,
    listed,
    lossier_words,
    ms_words,
    named,
    times_words,
    within,
)
from orchestrator.results.rows import Row, known
from splitbed.codecs import RAW

NO_SPLIT = "no valid split that may be recommended was measured"


def advice(
    table: Sequence[Row],
    unsure: Collection[tuple[str, str]] = (),
    most_inputs: int | None = None,
) -> list[str]:
    """What the rows of a run advise, the conditions in their order.

    Under those of `unsure` a race has left rows to measure that may be faster: that is told.
    There are `most_inputs` to judge accuracy on, where that is known.
    """
    said = [*_which_flow(table)]
    chosen = choices(table)
    for choice in (one for one in chosen if not one.conditions.load):
        said += _where_to_cut(choice, sure=(choice.link, choice.ue) not in unsure)
        said += passed_over(table, choice.best) if choice.best else _none_fit(table, choice)
    said += frames_advice(chosen)
    said += load_advice(table)
    said += undecided(table, chosen, most_inputs)
    said += finer_advice(table, chosen)
    said += _uncompressed_anchor(table)
    said += untrained(table)
    return said + trust(table)


def _which_flow(table: Sequence[Row]) -> list[str]:
    """The flow in words, where it is not the usual one."""
    flows = dict.fromkeys(row.flow for row in table if row.flow != UPLINK)
    return [f"Flow {flow}: {FLOWS[flow].words}." for flow in flows]


def held(choice: Choice) -> str:
    """How the best split and the best anchor compare, as a table of choices has it beside them."""
    split, anchor = choice.split, choice.anchor
    if split is None or anchor is None:
        return NO_SPLIT if choice.complete else "an anchor is missing"
    if not choice.sure:
        told = f"{named(split)}, {within(split)}, and {anchor_words(anchor)}, {within(anchor)}, "
        told += f"cannot be told apart; {choice.doubt}"
    elif choice.best is split:
        told = f"{_gain(anchor, split)} as fast as {anchor_words(anchor)}, {_ms(anchor)}"
    else:
        told = f"the best split, {named(split)}, takes {_ms(split)}, "
        told += f"{_gain(split, anchor)} as long"
    return told if choice.complete else f"{told}; an anchor is missing"


def _where_to_cut(choice: Choice, *, sure: bool) -> list[str]:
    split, anchor = choice.split, choice.anchor
    if not choice.complete or anchor is None:
        return []  # no advice on a comparison that is not complete
    if split is None:
        slowed = f" with the UE slowed ({pace_words([anchor])})" if choice.ue else ""
        takes = f"{anchor_words(anchor)} takes {within(anchor)}"
        return [
            f"No split is advised at {choice.where}{slowed}, since {NO_SPLIT}: {takes}"
            f"{_tied(choice)}."
        ]
    slowed = f" with the UE slowed ({pace_words([split, anchor])})" if choice.ue else ""
    where = f"{'At' if sure else 'Of what was measured, at'} {choice.where}{slowed}"
    besides = _lossier(choice) + _tied(choice)
    beside = "".join(f", {anchor_words(one)} {_ms(one)}" for one in choice.others)
    if not choice.sure:
        # nobody knows whether what cannot be told from the network anchor saves anything
        paid = "" if anchor.is_network_anchor else _paid(split)
        return [
            f"{where} the best split, {named(split)}, and {anchor_words(anchor)} cannot be told "
            f"apart: {within(split)}{paid} and {within(anchor)}{_paid(anchor)}{beside}"
            f"{besides}; {choice.doubt}."
        ]
    if choice.best is split:
        gains = " and ".join(
            f"{_gain(one, split)} as fast as {anchor_words(one)}" for one in choice.anchors
        )
        return [f"{where} cut at {named(split)}: {_ms(split)}{_paid(split)}, {gains}{besides}."]
    advised = "cut for privacy alone" if anchor.anchor == PRIVATE_ANCHOR else "do not split"
    return [
        f"{where} {advised}: {anchor_words(anchor)} takes {_ms(anchor)}{_paid(anchor)}, the "
        f"best split, {named(split)}, {_ms(split)}, {_gain(split, anchor)} as long"
        f"{_paid(split)}{beside}{besides}{_compression(split)}."
    ]


def _compression(split: Row) -> str:
    """What less data would do for a split that its best anchor beats."""
    if (factor := compression_needed(split)) is None:
        return ""  # of more links than one, or than the row tells
    if math.isfinite(factor):
        return f"; the split would win with intermediate data {times_words(factor)} smaller"
    left = ms_words(without_data_ms(split))
    return (
        f"; without its data it would still take {left}: no smaller intermediate data would make "
        "it win on these two nodes and with this delay"
    )


def _gain(slow: Row, fast: Row) -> str:
    """With the interval over the frames."""
    return f"{known(slow.e2e_ms) / known(fast.e2e_ms):.2f} times{interval_of_gain(slow, fast)}"


def _ms(row: Row) -> str:
    return ms_words(known(row.e2e_ms))


def _lossier(choice: Choice) -> str:
    """The codecs of the input with which the network anchor is no rival of the split."""
    return "".join(f"; {words}" for words in lossier_words(choice.lossier))


def _tied(choice: Choice) -> str:
    """What else may be the best."""
    pair = (choice.split, choice.anchor)
    others = [rival.row for rival in choice.rivals if not rival.told and rival.row not in pair]
    if not others:
        return ""
    return f"; may be as fast: {listed([f'{row.label} {_ms(row)}' for row in others], 'and')}"


def _paid(row: Row) -> str:
    """After how many frames what was delivered to the UE has paid; empty for nothing delivered."""
    if (frames := row.frames_to_pay_delivery) is None:
        return ""
    count = "1 frame" if frames == 1 else f"{frames} frames"
    return f" (its delivery, {known(row.part1_delivery_ms):.0f} ms, is paid after {count})"


def _uncompressed_anchor(table: Sequence[Row]) -> list[str]:
    """A comparison that favours the splits is told."""
    codecs = {row.codec for row in table if not row.is_anchor} - {RAW}
    senders = [row for row in table if row.is_anchor and row.sends_input]
    if not codecs or not senders or any(row.codec != RAW for row in senders):
        return []
    return [
        f"The splits' data were encoded, the {senders[0].split_name}'s input was not: clause 5 "
        "sends it compressed, a picture as --input-codec uint8,jpeg,avc does, other inputs as zstd."
    ]


def passed_over(table: Sequence[Row], best: Row) -> list[str]:
    """The rows under the same conditions that are faster than the best, and why they are not it.

    Those of seeded weights are told by :func:`untrained` once.
    """
    if not (faster := _faster_unfit(table, best)):
        return []
    return [
        f"Faster at {_conditions(best)} than {best.label}, {_ms(best)}, by their medians, and not "
        f"recommended, since --max-drop is {best.max_drop:g}: {_unfit_words(faster)}."
    ]


def _none_fit(table: Sequence[Row], choice: Choice) -> list[str]:
    """That all rows under these conditions may lose too much, where they do."""
    if not (lossy := _all_lossy(table, choice)):
        return []
    return [
        f"Nothing is advised at {_conditions(lossy[0])}, since nothing measured is known to lose "
        f"no more than --max-drop, {lossy[0].max_drop:g}: {_unfit_words(lossy)}."
    ]


def _conditions(row: Row) -> str:
    """The link, and the pace of a UE that was slowed."""
    return f"{row.link} with the UE slowed ({pace_words([row])})" if row.ue else row.link


def _unfit_words(rows: Sequence[Row]) -> str:
    """The first of them, and why each is not to be chosen."""
    told = [f"{row.label}, {_ms(row)}, {why_unfit(row)}" for row in rows[:MAX_NAMED]]
    more = [f"{len(rows) - MAX_NAMED} more"] if len(rows) > MAX_NAMED else []
    return "; ".join([*told, *more])


def _all_lossy(table: Sequence[Row], choice: Choice) -> list[Row]:
    """All rows under these conditions, the fastest first; none where any was not judged so."""
    under = [row for row in table if row.conditions == choice.conditions]
    ran = [row for row in under if row.valid and row.e2e_ms is not None]
    if any(fitness(row) not in (Fitness.TOO_LOSSY, Fitness.UNDECIDED) for row in ran):
        return []
    return sorted(ran, key=lambda row: known(row.e2e_ms))


def _faster_unfit(table: Sequence[Row], best: Row) -> list[Row]:
    """The fastest first."""
    faster = [
        row
        for row in table
        if row.conditions == best.conditions
        and row.valid
        and row.e2e_ms is not None
        and row.e2e_ms < known(best.e2e_ms)
        and not is_fit(row)
        and not seeded(row)
    ]
    return sorted(faster, key=lambda row: known(row.e2e_ms))


def undecided(
    table: Sequence[Row], chosen: Sequence[Choice], most_inputs: int | None = None
) -> list[str]:
    """Of what was left out since nobody knows whether it loses too much: what would decide it.

    Links and paces change no accuracy, so that each split and codec is told once. Where that takes
    more inputs than there are, it is said what is to be done.
    """
    left_out = [
        row
        for choice in chosen
        for row in (
            *choice.lossier,
            *(_faster_unfit(table, choice.best) if choice.best else _all_lossy(table, choice)),
        )
    ]
    found = {row.label: row for row in left_out if fitness(row) is Fitness.UNDECIDED}
    if not found:
        return []
    told = [f"{label} {what_decides(row, most_inputs)}" for label, row in found.items()]
    if any(out_of_inputs(row, most_inputs) for row in found.values()):
        told.append(
            f"of this input no more than {most_inputs} can be judged: give a larger --input, or "
            "several, as shapes:1,shapes:2, to orchestrate rd"
        )
    return [
        f"Undecided is whether more is lost than --max-drop, {table[0].max_drop:g}: "
        f"{'; '.join(told)}."
    ]


def untrained(table: Sequence[Row]) -> list[str]:
    """That lossy codecs are timed and never recommended with seeded weights."""
    if all(row.lossless for row in table) or not seeded(table[0]):
        return []
    return [
        "The weights are seeded, not trained: times and sizes hold, but what codecs cost in "
        "accuracy is unknown, since small errors grow in an untrained network. Rows with lossy "
        "codecs are timed and never recommended; --weights FILE takes trained ones."
    ]
