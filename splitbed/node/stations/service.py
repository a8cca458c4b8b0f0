"""The control plane of a node's stations: inputs, assignments, frames."""

from collections.abc import Iterator
from functools import partial

import grpc

from splitbed.errors import NodeError
from splitbed.messages import packed, receive
from splitbed.node.answering import answering, given_up
from splitbed.node.source.offering import Offering
from splitbed.node.stations.passing import Passing
from splitbed.node.stations.taking import Taking
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.tensors_pb2 import Packet

MAX_WARM_BYTES = 1 << 30


class StationsService(nodes_pb2_grpc.StationsServicer):
    """Does what the orchestrator asks of the frames that go through this node."""

    def __init__(self, passing: Passing) -> None:
        self._passing = passing

    @answering
    def AddInput(self, request: nodes_pb2.Input, context: grpc.ServicerContext) -> Iterator[Packet]:
        """Add an input; the answer is what preprocessing makes of it."""
        number, tensors = self._passing.frames.source.add(request)
        yield from packed(number, tensors)

    @answering
    def KeepReference(
        self, request: Iterator[Packet], context: grpc.ServicerContext
    ) -> nodes_pb2.ReferenceKept:
        """Keep what the whole model made of an input, elsewhere."""
        received, frames = receive(packet.data for packet in request), self._passing.frames
        outputs = received.tensors(most_bytes=frames.limits.tensor_bytes)
        frames.references.keep(received.header.frame.input, outputs)
        return nodes_pb2.ReferenceKept()

    @answering
    def Assign(
        self, request: nodes_pb2.Assignment, context: grpc.ServicerContext
    ) -> nodes_pb2.Assigned:
        """Take an assignment beside those that are kept."""
        assignment = self._passing.frames.assign(request)
        if assignment.sender is not None:
            with given_up(context, partial(self._passing.cancel, assignment.number)):
                self._passing.neighbours.greet(assignment.sender, assignment.node)
        return nodes_pb2.Assigned(together_off=assignment.together_off, tables=assignment.digests)

    @answering
    def RunFrame(
        self, request: nodes_pb2.FrameRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.FrameRecord:
        """Begin a frame; its record, where its result is wanted here, too."""
        ways = request.assignment, *request.others
        with given_up(context, partial(self._passing.cancel, *ways)):
            return self._passing.run(request)

    @answering
    def Offer(
        self, request: nodes_pb2.OfferRequest, context: grpc.ServicerContext
    ) -> Iterator[nodes_pb2.Outcomes]:
        """Begin frames as they are due; what became of each, as it is known."""
        offering = Offering(self._passing, request)
        with given_up(context, offering.give_up):
            yield from offering.outcomes()

    @answering
    def AwaitFrame(
        self, request: nodes_pb2.AwaitRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.FrameRecord:
        """Wait for a frame whose result is wanted here."""
        with given_up(context, partial(self._passing.cancel, request.assignment)):
            return self._passing.wait(request)

    @answering
    def TakeFrames(
        self, request: nodes_pb2.TakeRequest, context: grpc.ServicerContext
    ) -> Iterator[nodes_pb2.FrameRecords]:
        """Take the frames of an offer that end here; what was done with each, as they end."""
        taking = Taking(self._passing, request)
        with given_up(context, taking.give_up):
            yield from taking.records()

    @answering
    def WarmLink(
        self, request: nodes_pb2.WarmLinkRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.WarmLinkReply:
        """Open congestion windows with bytes that mean nothing."""
        if (most := max(request.bytes, request.back)) > MAX_WARM_BYTES:
            raise NodeError(f"refused to warm the link with {most} bytes")
        with given_up(context, self._passing.cancel):
            self._passing.neighbours.warm(request)
        return nodes_pb2.WarmLinkReply()
