"""Frames that a load offers elsewhere and that end here: taken as they come, and told.

the node that this one dials ──> its stream, served as one that was opened here ──> records
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

from splitbed.errors import NodeError
from splitbed.node.source.telling import Telling
from splitbed.node.stations.passing import Passing
from splitbed.v1 import nodes_pb2


class Taking:
    """What a TakeRequest asks, done once; NodeError for what cannot be."""

    def __init__(self, passing: Passing, request: nodes_pb2.TakeRequest) -> None:
        self._passing = passing
        self._assignment = passing.frames.assignment(request.assignment)
        self._telling = Telling[nodes_pb2.FrameRecord]()
        last = len(self._assignment.itinerary) - 1
        if not self._assignment.tells_end or last not in self._assignment.own:
            raise NodeError(
                f"refused to take frames: those of assignment {request.assignment} come one at a "
                "time, or do not end here"
            )

    def give_up(self) -> None:
        """End it soon, from any thread."""
        self._telling.stopped.set()
        self._passing.cancel(self._assignment.number)

    def records(self) -> Iterator[nodes_pb2.FrameRecords]:
        """What was done with each frame that ends here, of some together, until it is given up.

        Nobody else has the stream meanwhile. Raises NodeError where that ends.
        """
        number, sender = self._assignment.number, self._assignment.before(max(self._assignment.own))
        far = self._passing.neighbours.dialled(self._assignment.node, sender)
        with (
            ThreadPoolExecutor(1, "taking") as thread,
            far.stream() as stream,
            self._passing.taking(number, self._take),
        ):
            try:
                serving = thread.submit(copy_context().run, self._passing.serve, stream)
                for told in self._until(serving):
                    yield nodes_pb2.FrameRecords(records=told)
                serving.result()
                raise NodeError(f"the {sender} ended the stream")
            finally:
                self._telling.stopped.set()
                far.cancel()

    def _until(self, serving: "Future[None]") -> Iterator[list[nodes_pb2.FrameRecord]]:
        """What there is until that has ended: its sender may have heard of all that came before."""
        while True:
            ended = serving.done()
            if told := self._telling.told():
                yield told
            elif ended:
                return

    def _take(self, record: nodes_pb2.FrameRecord) -> None:
        if not self._telling.tell(record):
            raise NodeError("it was given up: nobody takes the frames that end here any more")
