"""Which finer number of a codec may do, where a split loses a little more than it may."""

from collections.abc import Sequence

from orchestrator.results.judgement.accuracy import drop_words, is_fit, seeded
from orchestrator.results.judgement.choice import Choice
from orchestrator.results.rows import Row, known
from splitbed.codecs import codec_named
from splitbed.codecs.stage import Dial
from splitbed.errors import SplitbedError

MOST_OVER = 2.0
"""Times `--max-drop`: of what loses more, the next step of a ladder is not near."""


def finer_advice(table: Sequence[Row], chosen: Sequence[Choice]) -> list[str]:
    """Of splits that miss `--max-drop` by a little where no split is chosen: what to measure."""
    without = [choice.conditions for choice in chosen if choice.split is None]
    near = [row for row in table if row.conditions in without and _is_near(row)]
    # links and paces change no accuracy
    found = {row.label: (row, finer) for row in near if (finer := finer_step(row.codec))}
    if not found:
        return []
    told = [
        f"{label} loses {drop_words(known(row.accuracy_drop), None, None)}, and {finer} is finer"
        for label, (row, finer) in found.items()
    ]
    limit = f"{table[0].max_drop:g}"
    return [
        f"A little more than --max-drop, {limit}, is lost: {'; '.join(told)}. --target-drop "
        f"{limit} finds the coarsest number of a codec given without one that loses no more."
    ]


def finer_step(name: str) -> str | None:
    """The codec with its number a step of its ladder finer; None where there is none."""
    try:
        codec = codec_named(name)
    except SplitbedError:  # of a package that is not here, or of no codec at all
        return None
    words = [*codec.words]
    for place, stage in enumerate(codec.stages):
        if isinstance(dial := getattr(stage.kind, "dial", None), Dial):
            now = dial.usual if stage.parameter is None else stage.parameter
            if dial.finer_up:
                step = min((one for one in dial.ladder if one > now), default=None)
            else:
                step = max((one for one in dial.ladder if one < now), default=None)
            words[place] = stage.at(step)
            return None if step is None else "+".join(words)
    return None


def _is_near(row: Row) -> bool:
    drop = row.accuracy_drop
    if (
        row.is_anchor
        or row.precision
        or not row.valid
        or drop is None
        or is_fit(row)
        or seeded(row)
    ):
        return False
    return row.max_drop < drop <= MOST_OVER * row.max_drop
