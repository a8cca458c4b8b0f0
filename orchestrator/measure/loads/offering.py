"""Frames that a load offers to a pair: drawn here, begun at the node of their source when due.

load, seed ──> schedule ──> the node ──> what became of each frame ──> its record, late or in time
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from msgspec import UNSET, structs

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.load import Load
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.frames import Taken, frame_record, stages_of
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import Outcome
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError
from splitbed.timeline import NS_PER_MS, Timeline
from splitbed.v1 import nodes_pb2


@dataclass(frozen=True)
class Offering:
    """Offers the loads of cells whose parts are loaded, and the nodes assigned; all of one `seed`.

    One load after another, where only the load differs: an assignment is all that is new.
    """

    bed: Testbed
    parts: Parts
    limits: TimeLimits
    seed: int = 0

    def offered(
        self, cell: Cell, asked: Configuration, attempt: str, start_ns: int = 0
    ) -> Iterator[Taken]:
        """What became of each of the cell's frames, as it is known; in any thread.

        The first moment is `start_ns` on the clock of the source, 0 is at once. Frames that nobody
        can tell of any more have failed. Raises NodeError then, and where a node died.
        """
        cell = replace(cell, configuration=asked)
        due_ns = asked.load.due_ns(cell.frames, self.seed, self._ue(asked))
        inputs = range(min(len(self.bed.model.inputs), cell.frames))
        request = nodes_pb2.OfferRequest(
            assignment=self.parts.assignment(asked),
            inputs=inputs,
            due_ns=due_ns,
            frames=0 if due_ns else cell.frames,
            start_ns=start_ns,
        )
        untold = dict.fromkeys(range(cell.frames))
        zero_ns, failed = start_ns, ""
        try:
            for outcome in self.bed.pair.ways.offer(
                request, self._still_s(cell, asked.load, due_ns)
            ):
                if (place := outcome.frame - request.first) not in untold:
                    raise NodeError(
                        f"{asked.ue} told of a frame {place} that it had not to tell of"
                    )
                outcome.frame = place
                taken = self._taken(cell, asked, attempt, outcome)
                del untold[place]
                zero_ns = outcome.due_ns - due_ns[place] if due_ns else outcome.due_ns
                failed = outcome.reason if outcome.outcome == "error" else failed
                yield taken
            if untold:
                raise NodeError(f"{asked.ue} told nothing of {len(untold)} frames")
        except NodeError as error:
            for place in untold:
                at_ns = zero_ns + (due_ns[place] if due_ns else 0)
                lost = nodes_pb2.Outcome(
                    frame=place,
                    input=inputs[place % len(inputs)],
                    outcome="error",
                    due_ns=at_ns,
                    done_ns=at_ns,
                    reason=str(error),
                )
                yield self._taken(cell, asked, attempt, lost)
            raise
        if failed:
            self.bed.pair.check_alive(failed, self.bed.pair.ways.source_of(request.assignment))

    def _ue(self, asked: Configuration) -> str:
        """Which it is, where there are several."""
        return asked.ue if self.bed.pair.ues else ""

    def _still_s(self, cell: Cell, load: Load, due_ns: Sequence[int]) -> float:
        """How long nothing may move: while no frame is due, and as long as those under way take."""
        pause_ns = max((after - before for before, after in pairwise([0, *due_ns])), default=0)
        return self.limits.frame_s(cell, load.in_flight - 1) + pause_ns / 1e9

    def _taken(
        self, cell: Cell, asked: Configuration, attempt: str, told: nodes_pb2.Outcome
    ) -> Taken:
        """As a frame that was asked for alone, with what its load makes of it."""
        seen = stages_of(told.record)
        stages = self.bed.pair.node_clocks().on_one(seen) if seen else []
        done_ns = told.done_ns
        if seen:  # one that ended elsewhere its source has heard of since
            ahead_ns = seen[0].start_ns - stages[0].start_ns
            done_ns = max(stage.end_ns for stage in stages) + ahead_ns
        offered: dict[str, Any] = {
            "ue": self._ue(asked),
            "frame": told.frame,
            "outcome": _outcome(told, done_ns, asked.load),
            "due_ns": told.due_ns,
            "start_ns": told.start_ns or UNSET,
            "done_ns": done_ns,
            "heard_ns": told.done_ns if told.done_ns != done_ns else UNSET,
            "reason": told.reason or UNSET,
        }
        if not seen:
            lost = FrameRecord(attempt=attempt, input=told.input, stages=(), **offered)
            return Taken(cell, lost, [], 0.0)
        e2e_ms = Timeline(stages).e2e_ms
        bare = frame_record(told.record, attempt, told.input, seen, e2e_ms)
        record = structs.replace(bare, **offered)
        return Taken(cell, record, stages, e2e_ms, told.record.result)


def _outcome(told: nodes_pb2.Outcome, done_ns: int, load: Load) -> Outcome:
    """As its node tells it, which does not know what is late."""
    took_ms = (done_ns - told.due_ns) / NS_PER_MS
    match told.outcome:
        case "ok" if load.deadline_ms is not None and took_ms > load.deadline_ms:
            return "late"
        case "ok" | "dropped_source" | "dropped_edge" | "error":
            return told.outcome
    raise NodeError(f"the node of the source calls what became of a frame {told.outcome!r}")
