"""Whether a row may be recommended, by what it loses of the whole model's accuracy.

Nothing is recommended of which it is not sure that it loses no more than `--max-drop` of the task's
metric: the upper end of the loss's 95 % interval has to be within it.
"""

import math
from enum import StrEnum

from orchestrator.results.judgement.validity import MAX_ABS_DIFF
from orchestrator.results.rows import Row, known
from splitbed.metrics.resampling import MIN_PICTURES

ROUNDING = 1e-9
"""Of decimal numbers in binary: 0.8 - 0.79 is no more than 0.01."""


class Fitness(StrEnum):
    """What accuracy says of a row: only one that is fit may be recommended."""

    FIT = "fit"
    TOO_LOSSY = "too lossy"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


def fitness(row: Row) -> Fitness:
    """What accuracy says of the row; one that loses nothing is fit, whatever was judged."""
    if row.lossless or row.max_drop == math.inf:
        return Fitness.FIT
    if seeded(row) or row.accuracy_drop is None or _differs(row):
        return Fitness.UNKNOWN
    return fitness_of(
        row.accuracy_drop, row.accuracy_drop_low, row.accuracy_drop_high, row.max_drop
    )


def fitness_of(drop: float, low: float | None, high: float | None, max_drop: float) -> Fitness:
    """What a loss says; one without an interval that is within the limit is undecided."""
    limit = max_drop + ROUNDING
    if high is not None and high <= limit:
        return Fitness.FIT
    return Fitness.TOO_LOSSY if (drop if low is None else low) > limit else Fitness.UNDECIDED


def _differs(row: Row) -> bool:
    """Whether frames over the link gave other results than those that were judged."""
    return row.accuracy_link_diff is not None and row.accuracy_link_diff > MAX_ABS_DIFF


def is_fit(row: Row) -> bool:
    """Whether it may be recommended."""
    return fitness(row) is Fitness.FIT


def seeded(row: Row) -> bool:
    """Whether its weights are seeded: then nobody knows what a codec would cost trained ones."""
    return drawn(row.weights)


def drawn(weights: str) -> bool:
    """Whether weights, as run.json tells them, are seeded ones."""
    return weights.startswith("seeded")


def why_unfit(row: Row) -> str:
    """What keeps it from being recommended, as `loses 0.400 (AP over 10 inputs)`.

    What would decide one that is undecided, :func:`what_decides` says.
    """
    match fitness(row):
        case Fitness.FIT:
            return ""
        case Fitness.UNKNOWN if _differs(row):
            diff = known(row.accuracy_link_diff)
            return f"gave results over the link that differ by {diff:.2g} from those judged"
        case Fitness.UNKNOWN:
            return "loses nobody knows how much" if seeded(row) else "was not judged"
        case Fitness.UNDECIDED:
            return "is undecided"
    return f"loses {_lost(row)}"


def what_decides(row: Row, most: int | None = None) -> str:
    """Of an undecided row, as `loses 0.01 (AP over 9 inputs): about 9 more would decide`.

    ``most`` is how many inputs there are to judge, where that is known.
    """
    return f"loses {_lost(row)}: {_what_would_decide(row, most)}"


def out_of_inputs(row: Row, most: int | None) -> bool:
    """Whether an undecided row needs more inputs than the `most` that there are."""
    if most is None or (count := row.accuracy_frames) is None:
        return False
    if row.accuracy_drop_high is None:
        return count < MIN_PICTURES and most < MIN_PICTURES
    return count + (frames_missing(row) or 0) > most


def _lost(row: Row) -> str:
    ends = row.accuracy_drop_low, row.accuracy_drop_high
    return f"{drop_words(known(row.accuracy_drop), *ends)} ({_judged(row)})"


def drop_words(drop: float, low: float | None, high: float | None) -> str:
    """As 0.0551 [0.000 to 0.078]; without an interval the drop alone."""
    to = "" if low is None or high is None else f" [{low:.3f} to {high:.3f}]"
    return f"{drop:.3g}{to}"


def over_inputs(count: int | None) -> str:
    """Over how many inputs accuracy was judged; empty for runs that did not say."""
    return "" if count is None else f" over {count} input{'' if count == 1 else 's'}"


def _what_would_decide(row: Row, most: int | None) -> str:
    count = row.accuracy_frames
    if row.accuracy_drop_high is None:
        few = count is not None and count < MIN_PICTURES
        return f"{MIN_PICTURES} pictures or more have an interval" if few else "it has no interval"
    if (more := frames_missing(row)) is None:
        return "it is too close for more inputs to tell"
    by = "" if out_of_inputs(row, most) else " (--accuracy-frames)"
    return f"about {more} more input{'' if more == 1 else 's'}{by} would decide"


def frames_missing(row: Row) -> int | None:
    """About how many more inputs decide whether the loss is within the limit.

    The interval is taken to shrink as the root of the number of inputs, around the loss that was
    seen, until its end no longer holds the limit. None where that takes a million or more.
    """
    away = row.max_drop - known(row.accuracy_drop)
    end = known(row.accuracy_drop_high if away > 0 else row.accuracy_drop_low)
    reach = abs(end - known(row.accuracy_drop))
    if abs(away) * 1e3 <= reach:
        return None
    return math.ceil(known(row.accuracy_frames) * ((reach / away) ** 2 - 1))


def _judged(row: Row) -> str:
    """By which metric over how many inputs; runs of the first versions did not say how many."""
    over, metric = over_inputs(row.accuracy_frames), row.accuracy_metric
    if not over:
        return metric or ""
    comma = "," if "," in (metric or "") else ""
    return f"{metric}{comma}{over}"
