"""Frames, taken one after another through a pair; a policy says of which configuration each is.

policy: which? ──> run the frame ──> record, on one clock ──> journal, watchers ──> policy: told
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import UNSET
from msgspec.structs import replace

from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import Footprint, FrameRecord, Hop
from orchestrator.results.statistics.enough_frames import is_enough
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.codecs.releases import Release
from splitbed.errors import LateError
from splitbed.meters.cpu import REST
from splitbed.tensors import Tensors
from splitbed.timeline import Stage, Timeline, is_hop
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Stage as StageMessage
from splitbed.v1.tensors_pb2 import Tensor
from splitbed.wire import tensors_of


@dataclass(frozen=True)
class Taken:
    """A frame that went through: its line of the journal, its stages on one clock, its result.

    `e2e_ms` is from the start of the first counted stage to the end of the last. Of one that was
    offered and did not come through, the line alone.
    """

    cell: Cell
    record: FrameRecord
    stages: Sequence[Stage]
    e2e_ms: float
    outputs: Sequence[Tensor] = ()
    """The result as it was told: few frames are asked for it."""

    @property
    def result(self) -> Tensors:
        """What the model made of it; NodeError for what is none."""
        return tensors_of(self.outputs)

    @property
    def uplink_ms(self) -> float:
        """What it was on its way up; 0 for one that crosses no link."""
        return Timeline(list(self.stages)).ms("uplink")


class Choosing(Protocol):
    """Says which cell the next frame is of."""

    def next(self) -> Cell | None:
        """The cell; None when there have been enough frames."""

    def tell(self, taken: Taken) -> None:
        """What became of the frame."""


class UntilEnough:
    """One cell until its frames are enough, looked at after `every` so many; at most `most`."""

    def __init__(self, cell: Cell, every: int, most: int) -> None:
        self._cell, self._every, self._most = cell, every, most
        self._e2e_ms: list[float] = []

    def next(self) -> Cell | None:
        count = len(self._e2e_ms)
        if count >= self._most:
            return None
        looking = count > 0 and count % self._every == 0
        return None if looking and is_enough(self._e2e_ms) else self._cell

    def tell(self, taken: Taken) -> None:
        self._e2e_ms.append(taken.e2e_ms)


class Frames:
    """Takes frames through a testbed, all under the same limits, and on one clock."""

    def __init__(self, bed: Testbed, parts: Parts, limits: TimeLimits, watcher: Watcher) -> None:
        self._bed, self._parts, self._limits, self._watcher = bed, parts, limits, watcher

    def take(
        self, choosing: Choosing, attempt: str, journal: Callable[[Taken], None]
    ) -> Iterator[Taken]:
        """Frames of the cells that are chosen, each in the journal before it is given.

        Their parts are loaded, and the nodes assigned. Raises NodeError, and KeyboardInterrupt
        between frames.
        """
        number = 0
        while (cell := self._next(choosing)) is not None:
            taken = self._one(cell, number, attempt)
            journal(taken)
            self._watcher.frame(taken.record, taken.stages)
            self._bed.interruption.check()
            choosing.tell(taken)
            yield taken
            number += 1

    def _next(self, choosing: Choosing) -> Cell | None:
        if clocks := self._bed.pair.clocks:
            clocks.read_if_due()
        self._bed.pair.meters.read_if_due()
        return choosing.next()

    def _one(self, cell: Cell, number: int, attempt: str) -> Taken:
        pair = self._bed.pair
        place = number % len(self._bed.model.inputs)
        timeout_s = self._limits.frame_s(cell)
        assignment = self._parts.assignment(cell.configuration)
        try:
            said = pair.ways.run_frame(number, place, timeout_s, assignment)
        except LateError as error:
            raise LateError(f"{error}; --frame-timeout-s allows more") from None
        seen = stages_of(said)
        stages = pair.node_clocks().on_one(seen)
        e2e_ms = Timeline(stages).e2e_ms
        record = frame_record(said, attempt, place, seen, e2e_ms)
        if pair.ues:
            record = replace(record, ue=cell.configuration.ue)
        return Taken(cell, record, stages, e2e_ms, said.result)


def stages_of(said: nodes_pb2.FrameRecord) -> list[Stage]:
    """Those of a frame, each on the clock of its node."""
    return [Stage(one.name, one.start_ns, one.end_ns) for one in said.stages]


def frame_record(
    said: nodes_pb2.FrameRecord, attempt: str, place: int, stages: Sequence[Stage], e2e_ms: float
) -> FrameRecord:
    """What was said of a frame of the input at `place`, as the journal has it."""
    both = zip(stages, said.stages, strict=True)
    return FrameRecord(
        attempt=attempt,
        input=place,
        frame=said.frame,
        e2e_ms=e2e_ms,
        stages=tuple(stages),
        intermediate_tensors=said.intermediate_tensors,
        intermediate_bytes=said.intermediate_bytes,
        encoded_bytes=said.encoded_bytes,
        result_bytes=said.result_bytes,
        results=dict(said.results),
        hops=tuple(Hop(stage.name, one.bytes) for stage, one in both if is_hop(stage.name)),
        max_abs_diff=finite(said.max_abs_diff) if said.HasField("max_abs_diff") else None,
        together={one.name: one.together for one in said.stages if one.together} or UNSET,
        releases={one.name: _releases(one) for one in said.stages if one.releases} or UNSET,
        cpu_ns=_cpu_ns(said) or UNSET,
        footprints=_footprints(said) or UNSET,
    )


def _releases(stage: StageMessage) -> tuple[Release, ...]:
    return tuple(Release(one.ns, one.bytes) for one in stage.releases)


def _cpu_ns(said: nodes_pb2.FrameRecord) -> dict[str, dict[str, int]]:
    """By node and stage, or `rest`; of stages that the frame went through."""
    names, found = {REST, *(one.name for one in said.stages)}, dict[str, dict[str, int]]()
    for one in said.cpu:
        if one.stage in names:
            of_node = found.setdefault(one.node, {})
            of_node[one.stage] = of_node.get(one.stage, 0) + one.ns
    return found


def _footprints(said: nodes_pb2.FrameRecord) -> dict[str, Footprint]:
    """By node; of one that a frame left several times, the memory is that of the last."""
    found = dict[str, Footprint]()
    for one in said.footprints:
        before = found.get(one.node, Footprint(0, 0, None))
        found[one.node] = Footprint(
            before.voluntary_switches + one.voluntary_switches,
            before.involuntary_switches + one.involuntary_switches,
            one.rss_bytes if one.HasField("rss_bytes") else None,
        )
    return found


def finite(difference: float) -> float:
    """A difference as a journal holds it.

    JSON has no infinity, nor what is no number; either is as far off as can be.
    """
    return difference if math.isfinite(difference) else sys.float_info.max
