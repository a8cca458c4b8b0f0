"""How rows are told in sentences: their names, times, intervals and losses, each in one way."""

import math
from collections.abc import Sequence

from orchestrator.ask.split_point import PRIVATE_ANCHOR, in_precision
from orchestrator.results.judgement.accuracy import (
    Fitness,
    fitness,
    over_inputs,
    seeded,
    why_unfit,
)
from orchestrator.results.rows import Row, known, known_interval
from splitbed.codecs import RAW

MAX_NAMED = 3
"""Of what may be many, so many are named."""
MAX_MORE_DIGITS = 3
"""As many more decimal places are told to keep the ends of an interval apart."""


def ms_words(ms: float) -> str:
    """As 42 ms, or 4.2 ms."""
    return f"{_figure(ms)} ms"


def _figure(ms: float, more: int = 0) -> str:
    return f"{ms:.{more + (0 if ms >= 10 else 1)}f}"


def times_words(factor: float) -> str:
    """As 1.33 times, 12.5 times, 1,250 times."""
    places = 2 if factor < 10 else 1 if factor < 100 else 0
    return f"{factor:,.{places}f} times"


def within(row: Row) -> str:
    """Its end-to-end time with its interval, as 42 ms (40 to 44, 96.9 %); or the range of so many.

    Of a row with a frame. It has more digits where the ends would read the same and are not.
    """
    interval = known_interval(row)
    if row.frames == 1:
        return f"{ms_words(known(row.e2e_ms))} ({row.interval_words})"
    ms = known(row.e2e_ms), interval.low, interval.high
    told = ([_figure(one, more) for one in ms] for more in range(MAX_MORE_DIGITS + 1))
    e2e, low, high = next((one for one in told if one[1] != one[2]), map(_figure, ms))
    return f"{e2e} ms ({low} to {high}, {row.interval_words})"


def place_words(row: Row) -> str:
    """Which row it is, as `stage2 as int8 at 20 Mbit/s, UE 4x slower`."""
    return f"{row.with_codec} at {row.conditions.words}"


def listed(words: Sequence[str], last: str) -> str:
    """As `a, b and c`; of more than MAX_NAMED, the first and how many more."""
    if len(words) > MAX_NAMED:
        words = [*words[:MAX_NAMED], f"{len(words) - MAX_NAMED} more"]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def named(row: Row) -> str:
    """A split with its codec and what that loses, an anchor with how its input was sent."""
    return anchor_words(row) if row.is_anchor else row.label + at_a_loss(row)


def anchor_words(row: Row) -> str:
    """An anchor by its name, with what it sends: its input, or a cut; and what that lost."""
    lost = f" ({lost_words(row)})" if lost_words(row) else ""
    if row.anchor == PRIVATE_ANCHOR:
        return f"the {row.split_name}, {row.split}{row.coded}{lost}"
    precise = in_precision(row.precision)
    if not row.sends_input:
        return f"the {row.split_name}{precise}{lost}"
    sent = f"{'' if row.codec == RAW else 'as '}{row.codec}"
    return f"the {row.split_name}{precise} with its input {sent}{lost}"


def at_a_loss(row: Row) -> str:
    """As `, at 0.003 less AP over 96 inputs`; empty for a row that loses nothing."""
    return f", at {lost_words(row)}" if lost_words(row) else ""


def lost_words(row: Row) -> str:
    """What a lossy row costs in accuracy, as far as that is known; empty for a lossless one."""
    if row.lossless:
        return ""
    if (drop := row.accuracy_drop) is None or seeded(row):
        return "a loss that is not known"
    if drop <= 0:
        lost = "no loss"
    else:
        lost = f"{drop:.3f}" if drop >= 5e-4 else "under 0.001"
        lost += f" less {row.accuracy_metric}"
    comma = "," if "," in lost and row.accuracy_frames else ""
    return f"{lost}{comma}{over_inputs(row.accuracy_frames)}"


def lossier_words(anchors: Sequence[Row]) -> list[str]:
    """Of network anchors that are not as accurate as a split: by how much, or why nobody knows.

    Those of seeded weights are told once for the whole run.
    """
    judged = [row for row in anchors if not seeded(row) and _is_known(row)]
    # anchors on several nodes lose the same
    lost = list(dict.fromkeys(f"{row.as_sent} ({known(row.accuracy_drop):.3f})" for row in judged))
    more = [f"as {listed(lost, 'or')} the input loses more accuracy"] if lost else []
    open_ = [row for row in anchors if not seeded(row) and not _is_known(row)]
    return more + list(
        dict.fromkeys(f"as {row.as_sent} the input {why_unfit(row)}" for row in open_)
    )


def _is_known(row: Row) -> bool:
    decided = row.max_drop == math.inf or fitness(row) in (Fitness.FIT, Fitness.TOO_LOSSY)
    return decided and row.accuracy_drop is not None
