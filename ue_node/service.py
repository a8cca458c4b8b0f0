"""What only the UE node has: a processor that can be slowed."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import grpc

from splitbed.errors import NodeError
from splitbed.node.answering import answering
from splitbed.node.config import LEAST_CPUS, MOST_CPUS, MOST_SLOWDOWN
from splitbed.node.host import NodeHost
from splitbed.node.processor import Processor
from splitbed.node.slowdown import Slowness, limited_slowness, steered, stretched
from splitbed.node.stations.station import at_full_speed
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.workers.wanted import check_wanted


class UeService(nodes_pb2_grpc.UeServicer):
    """Computes as slowly as it is told to."""

    def __init__(self, host: NodeHost) -> None:
        self._host = host
        self._processor: Processor | None = None
        self._stretch = 1.0
        host.forget.append(self.forget)

    @answering
    def LimitProcessor(
        self, request: nodes_pb2.LimitRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Limited:
        """Slow this node, and measure what that does to its part: by waiting, or by a quota."""
        cpus_can_be = request.cpus == 0 or LEAST_CPUS <= request.cpus <= MOST_CPUS
        if not 0 <= request.slowdown <= MOST_SLOWDOWN or not cpus_can_be:
            raise NodeError(
                f"refused to be {request.slowdown:g} times slower, or to have {request.cpus:g} "
                f"CPUs: up to {MOST_SLOWDOWN:g} times can be, and {LEAST_CPUS:g} to {MOST_CPUS:g} "
                "CPUs; with fewer a node would not even answer"
            )
        with self._host.turn(context):
            return self._limit(request)

    def _limit(self, request: nodes_pb2.LimitRequest) -> nodes_pb2.Limited:
        limited = nodes_pb2.Limited()
        run = self._run() if request.measure else None
        self._full_speed()
        slowness: Slowness | None = None
        if request.cpus:
            self._processor = self._processor or Processor()
            if run is not None:
                slowness = limited_slowness(run, self._processor, request.cpus)
            self._processor.set(request.cpus)
            limited.cpus = self._processor.cpus or 0.0
        elif request.slowdown > 1:
            times = request.slowdown
            if run is not None:
                times, slowness = steered(run, times)
            limited.stretch = self._stretch = times
        if slowness is not None:
            limited.full_ms, limited.limited_ms = slowness.full_ms, slowness.limited_ms
        return limited

    def _run(self) -> Callable[[], object] | None:
        """A run of the part that was opened last; None where nothing is computed here."""
        part = self._host.held.last
        if part is None or not part.session.computes:
            return None
        made_up = part.session.made_up()

        def run() -> None:
            check_wanted()
            part.run(made_up)

        return run

    def _full_speed(self) -> None:
        self._stretch = 1.0
        if self._processor is not None:
            self._processor.set(None)

    def slowed(self, threads: float) -> AbstractContextManager[None]:
        """What makes a stage that computes with so many threads as slow as was asked."""
        if self._stretch > 1:
            return stretched(self._stretch)
        if self._processor is None:
            return at_full_speed(threads)
        return self._processor.repaid(threads)

    def forget(self) -> None:
        """Give the processor back."""
        if self._processor is not None:
            self._processor.close()
            self._processor = None
        self._stretch = 1.0
