"""What options carry, and how long frames take under a load, as a plan predicts it.

    frames a second   1 / the slowest stage, or what keeps processors busy that nodes share
    response          frames that are due, through all stages one after another, simulated

Ends are those of the plan's doubt, and what the proof of a link lets its rate be. Nodes on one
machine share its processors by how many threads their parts have; at the fast end every stage finds
a processor of its own. Preprocessing is not in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from orchestrator.plan.grid import Floats
from orchestrator.plan.load.queueing import Passed, Source, passed
from orchestrator.plan.load.stages import Stages, stages_of
from orchestrator.plan.prediction import Plan
from orchestrator.results.prediction import DOWN_MS
from orchestrator.results.statistics.offered import MAX_LOST

Bools = npt.NDArray[np.bool_]
Ways = Sequence[Stages]
"""The stages on the way to each user."""


@dataclass(frozen=True)
class Carried:
    """Frames a second that each option carries at each point; of shape (options, points)."""

    stages: Ways
    fast: Ways
    slow: Ways

    @cached_property
    def fps(self) -> Floats:
        """As predicted."""
        return _fps(self.stages)

    @cached_property
    def high_fps(self) -> Floats:
        """No more than this; infinite where nothing is known to take any time."""
        return _fps(self.fast)

    @cached_property
    def low_fps(self) -> Floats:
        """No less: what a message costs may be in the next one's way."""
        return _fps(self.slow, DOWN_MS)

    def ends_fps(self, option: int, point: int) -> tuple[float, float, float | None]:
        """As predicted, no less and no more; None where there is no most."""
        middle, low, high = (
            float(one[option, point]) for one in (self.fps, self.low_fps, self.high_fps)
        )
        return middle, low, None if math.isinf(high) else high

    @cached_property
    def best(self) -> npt.NDArray[np.intp]:
        """At each point, the option that carries most."""
        return np.asarray(self.fps.argmax(axis=0))

    def slowest(self, option: int, point: int) -> str:
        """What is slowest, in words."""
        way = max(self.stages, key=lambda one: float(one.slowest_ms[option, point]))
        return way.slowest(option, point)


def carried(plan: Plan) -> Carried:
    """What its options carry."""
    found = stages_of(plan.predictor, plan.options, plan.grid)
    long = plan.predictor.long_parts(plan.work, plan.grid)
    doubt = plan.predictor.doubt
    low = np.where(long, doubt.long.low, doubt.short.low)
    high = np.where(long, doubt.long.high, doubt.short.high)
    return Carried(
        found,
        [one.fast(low) for one in found],
        [one.slow(high) for one in found],
    )


def _fps(ways: Ways, message_ms: float = 0.0) -> Floats:
    """Of the way that carries least."""
    slowest_ms = np.max([way.slowest_ms for way in ways], axis=0)
    with np.errstate(divide="ignore"):
        return np.asarray(1e3 / (slowest_ms + message_ms))


@dataclass(frozen=True)
class Response:
    """Of the frames that are not dropped: the median and the 99th percentile; (options, points).

    ``sustained`` is whether frames come no faster than they leave, and no more of them are dropped
    than of a load that was measured may be; else the queue grows for as long as they come, and
    times tell how long that was.
    """

    median_ms: Floats
    p99_ms: Floats
    dropped: Floats
    sustained: Bools


def response(ways: Ways, due_ms: Floats, source: Source) -> Response:
    """Of frames that are due then. Of several users, the longest way's."""
    shape = ways[0].besides.shape
    runs = [_passed(way, due_ms, source) for way in ways]
    taken_ms = np.max([run.done - due_ms for run in runs], axis=0)
    median_ms, p99_ms = np.nanquantile(taken_ms, (0.5, 0.99), axis=-1)
    dropped = np.max([run.dropped for run in runs], axis=0)
    return Response(
        median_ms.reshape(shape),
        p99_ms.reshape(shape),
        dropped.reshape(shape),
        _sustained(ways, due_ms, source) & (dropped <= MAX_LOST).reshape(shape),
    )


def _passed(way: Stages, due_ms: Floats, source: Source) -> Passed:
    apart = None if way.busy is None else way.busy.ravel()
    ms, heard = [ms.ravel() for ms in way.ms], way.heard.ravel()
    early = [ms.ravel() for ms in way.early]
    return passed(due_ms, ms, way.besides.ravel(), source, apart, heard, early)


def _sustained(ways: Ways, due_ms: Floats, source: Source) -> Bools:
    """Whether they come no faster than they leave."""
    every_ms = (due_ms[-1] - due_ms[0]) / max(len(due_ms) - 1, 1)
    slowest_ms = np.max([way.slowest_ms for way in ways], axis=0)
    alone_ms = np.max([way.alone_ms + way.heard for way in ways], axis=0)
    return np.asarray(np.maximum(slowest_ms, alone_ms / source.in_flight) < every_ms)
