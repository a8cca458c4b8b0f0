"""Several inputs taken together: videos, seeds or folders, so many frames of each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import msgspec
import numpy as np

from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.results.facts import InputFacts
from orchestrator.testbed.inputs import ModelInput, open_inputs
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.model import SweptModel
from splitbed.errors import UsageError
from splitbed.metrics.resampling import MIN_PICTURES, Array, resamples

MIN_VIDEOS = 3
"""Of fewer, the figures with one left out say little."""


@dataclass(frozen=True)
class Pool:
    """A model with the inputs of all videos, in their order; ``frames`` are how many of each."""

    local: LocalModel
    frames: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The place of the first frame of each."""
        return (0, *accumulate(self.frames[:-1]))

    @property
    def by_video(self) -> bool:
        """Whether resamples leave out a video each, and are not of single pictures."""
        return len(self.frames) >= MIN_VIDEOS

    @cached_property
    def drawn(self) -> Array | None:
        """How often each resample has each frame; None where these are too few to say anything."""
        if self.by_video:
            return 1 - np.repeat(np.eye(len(self.frames)), self.frames, axis=1)
        count = sum(self.frames)
        if count < MIN_PICTURES:
            return None
        return resamples(count, is_sequence=self.local.model.is_sequence)

    @property
    def resamples_words(self) -> str:
        """What these resamples are, in words."""
        if self.by_video:
            return f"each of {len(self.frames)} videos left out"
        return f"95 % of resamples of {sum(self.frames)} pictures"


def sources(given: str | None) -> list[str | None]:
    """The inputs between commas; a path that exists is one, whatever it is called."""
    if given is None or Path(given).exists():
        return [given]
    named: list[str | None] = [one.strip() for one in given.split(",")]
    if not all(named) or len(set(named)) < len(named):
        raise UsageError(f"--input {given}: name each input once, with a comma between two")
    return named


@contextmanager
def pooled(config: SweepConfig) -> Iterator[Pool]:
    """The model of `config` with so many frames of each of its inputs; UsageError."""
    first, *more = sources(config.input)
    with local_model(config.model_copy(update={"input": first})) as local:
        model = local.model
        if not more:
            yield Pool(local, (len(model.inputs),))
            return
        videos = [_named(first, model.inputs)]
        others = _named(first, model.others)
        for source in more:
            measured, left = _inputs(config, model, source)
            videos.append(_named(source, measured))
            others += _named(source, left)
        together = tuple(one for video in videos for one in video)
        for one in together:
            one.check()
        told = tuple(InputFacts.from_plain(one.facts()) for one in together)
        facts = msgspec.structs.replace(model.facts, inputs=told)
        model = replace(model, inputs=together, others=tuple(others), facts=facts)
        everything = (*together, *others)
        yield Pool(replace(local, model=model, inputs=everything), tuple(map(len, videos)))


def _inputs(
    config: SweepConfig, model: SweptModel, source: str | None
) -> tuple[Sequence[ModelInput], Sequence[ModelInput]]:
    """Those of another source that are measured, and the others."""
    asked = config.model_copy(update={"input": source, "task": model.task, "calibration": None})
    given = open_inputs(asked, model.graph, model.recipe, None)
    measured = given.measured(config.least_runs)
    return measured, given.every[len(measured) :]


def _named(source: str | None, inputs: Sequence[ModelInput]) -> list[ModelInput]:
    """The inputs under names that no other source has."""
    return [
        replace(one, frame=replace(one.frame, name=f"{source}/{one.frame.name}"))
        for one in inputs
        if one.frame is not None
    ]
