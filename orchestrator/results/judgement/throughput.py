"""Which cut is best for frames a second, beside the one that is fastest for a single frame.

With several frames under way a pair does as many a second as its slowest stage. Of a closed load
with several in flight what came is measured. Of frames that went one after another there is a
prediction: as if every stage had a processor of its own, preprocessing
too, and a link were taken for what its data takes there besides its delay, which is in no other
frame's way.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.ask.flow import UPLINK
from orchestrator.results.columns.flow import stages_of
from orchestrator.results.judgement.choice import Choice
from orchestrator.results.judgement.words import listed
from orchestrator.results.rows import Row
from splitbed.timeline import PREPROCESS, is_hop

CLEARLY = 1.05
"""What is so many times as much is worth a sentence."""


@dataclass(frozen=True)
class Throughput:
    """Frames a second of a row: as its `slowest` stage predicts them, measured where none is."""

    row: Row
    fps: float
    slowest: str

    @property
    def words(self) -> str:
        """As `stage2: 48.2, predicted (uplink)`."""
        how = f"predicted ({self.slowest})" if self.slowest else "measured"
        return f"{self.row.label}: {self.fps:.3g}, {how}"

    @property
    def figure(self) -> str:
        """As `48.2 (uplink)`, or `48.2`."""
        return f"{self.fps:.3g}" + (f" ({self.slowest})" if self.slowest else "")


def throughput_of(row: Row) -> Throughput | None:
    """That of a row; None where its stages do not tell, as of several UEs or an open load.

    Other flows than uplink have stages that several nodes do, of which a row has the sum.
    """
    if row.load.startswith("closed") and row.delivered_fps:
        return Throughput(row, row.delivered_fps, "")
    if row.flow != UPLINK or row.e2e_ms is None or row.ues > 1 or row.load:
        return None
    stages = {name: _kept_ms(row, name) for name in (PREPROCESS, *stages_of(row.flow))}
    told = {name: ms for name, ms in stages.items() if ms is not None}
    if len(told) < len(stages) or not any(told.values()):
        return None
    slowest = max(told, key=told.__getitem__)
    return Throughput(row, 1e3 / told[slowest], _stage_words(slowest))


def _kept_ms(row: Row, stage: str) -> float | None:
    """How long a frame keeps a stage; None where that is not known."""
    if not is_hop(stage):
        ms = row.value(f"{stage}_ms")
        # the codec is not the next frame's before all of this one is encoded
        besides_ms = (row.overlapped_ms or 0.0) if stage == "encode" else 0.0
        return ms + besides_ms if isinstance(ms, float) else None
    if (ms := row.hop_ms(stage)) is None:
        return None
    # what is not encoded yet holds up the link of a frame alone: of several it is encoded ahead
    held_ms = row.held_ms or 0.0 if stage == UPLINK else 0.0
    return max(ms - row.asked_of(stage)[1] - held_ms, 0.0)


def _stage_words(stage: str) -> str:
    return stage.replace("part", "part ") if stage.startswith("part") else stage


def most_frames(choice: Choice) -> Throughput | None:
    """The most of any row that may be chosen under these conditions."""
    fit = [choice.best, *(rival.row for rival in choice.rivals)] if choice.best else []
    found = [told for row in fit if row and (told := throughput_of(row))]
    return max(found, key=lambda one: one.fps, default=None)


def frames_advice(chosen: Sequence[Choice]) -> list[str]:
    """Where another is clearly better for frames a second than the one to choose for a frame."""
    told = {True: list[str](), False: list[str]()}
    for choice in chosen:
        if (most := most_frames(choice)) and (words := _apart(choice, most)):
            told[bool(most.slowest)].append(words)
    heads = {
        True: "For frames a second, predicted by the slowest stage with several under way and a "
        "processor for every stage",
        False: "For frames a second, measured",
    }
    return [f"{heads[how]}: {listed(said, 'and')}." for how, said in told.items() if said]


def _apart(choice: Choice, most: Throughput) -> str:
    best = choice.best
    own = throughput_of(best) if best else None
    if own is None or best is None or most.fps < CLEARLY * own.fps:
        return ""
    return (
        f"at {choice.conditions.words} best is {most.row.label}, {most.figure}, "
        f"against {own.figure} of {best.label}, which takes a single frame least"
    )
