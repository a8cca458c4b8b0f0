"""Frames of several UEs at once, each UE's in a thread of its own, written down in one.

ue-1: frame, frame … ──┐
ue-2: frame, frame … ──┼──> as they come ──> journal, watchers
ue-3: frame, frame … ──┘    until each UE has enough
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Thread

from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.frames import Frames, Taken, UntilEnough
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.measure.watcher import Watcher
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.testbed import Testbed
from splitbed.errors import NodeError


@dataclass(frozen=True)
class CrowdFrames:
    """Takes frames of cells with several UEs, all under the same limits."""

    bed: Testbed
    parts: Parts
    limits: TimeLimits

    def take(self, cell: Cell, every: int, most: int, attempt: str) -> Iterator[Taken]:
        """Frames of each UE, one at a time, until each has enough (:class:`UntilEnough`).

        One that has goes on until all have, so that the link is shared to the end. One that fails
        does not stop the others. Raises NodeError then, and KeyboardInterrupt.
        """
        each = cell.configuration.each
        going = {one.ue for one in each}
        frame_s = self.limits.frame_s(cell)
        frames = Frames(
            self.bed, self.parts, replace(self.limits, frame_timeout_s=frame_s), Watcher()
        )
        streams = {
            one.ue: frames.take(
                _WithOthers(replace(cell, configuration=one), every, most, going),
                attempt,
                lambda _: None,
            )
            for one in each
        }
        return merged(streams, going)


class _WithOthers(UntilEnough):
    """One UE's frames until they are enough, and as long as others' are not."""

    def __init__(self, cell: Cell, every: int, most: int, going: set[str]) -> None:
        super().__init__(cell, every, most)
        self._own, self._going = cell, going

    def next(self) -> Cell | None:
        ue = self._own.configuration.ue
        if ue in self._going and super().next() is None:
            self._going.discard(ue)
        return self._own if self._going else None


def merged(streams: Mapping[str, Iterator[Taken]], going: set[str]) -> Iterator[Taken]:
    """What the streams of several UEs give, as it comes, each read in a thread of its own.

    Raises NodeError once all have ended, where one of a UE failed, which is `going` no more then.
    """
    came: SimpleQueue[tuple[str, Taken | BaseException | None]] = SimpleQueue()

    def read(ue: str, stream: Iterator[Taken]) -> None:
        try:
            for taken in stream:
                came.put((ue, taken))
            came.put((ue, None))
        except BaseException as error:
            going.discard(ue)
            came.put((ue, error))

    for one in streams.items():
        Thread(target=read, args=one, daemon=True).start()
    failed: dict[str, NodeError] = {}
    for _ in streams:
        while True:
            ue, what = came.get()
            if isinstance(what, Taken):
                yield what
                continue
            if isinstance(what, NodeError):
                failed[ue] = what
            elif what is not None:
                raise what
            break
    if failed:
        ues: dict[str, list[str]] = {}
        for ue in (one for one in streams if one in failed):
            ues.setdefault(str(failed[ue]), []).append(ue)
        why = "; ".join(f"{', '.join(of)}: {error}" for error, of in ues.items())
        others = len(streams) - len(failed)
        raise NodeError(f"{why}; the other {others} went on to the end" if others else why)
