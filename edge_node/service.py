"""The edge node's services: part 2 for the frames that come in, and the reference they are held to.

uplink ──> decode ──> part2 ──> result ──> downlink, then a report of the times
"""

import time
from collections.abc import Iterator

import grpc

from splitbed.errors import NodeError
from splitbed.host import LoadedPart, ModelHost, answering
from splitbed.tensors import Tensors
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.tensors_pb2 import EdgeReport, Packet, Padding, Stage
from splitbed.wire import Assembler, fill, max_abs_diff, packets, receive


class References(nodes_pb2_grpc.EdgeServicer):
    """What the whole model gives for each input, computed on this node."""

    def __init__(self, host: ModelHost) -> None:
        self._host = host
        self._outputs: dict[int, Tensors] = {}

    @answering
    def SetReference(
        self, request: Iterator[Packet], context: grpc.ServicerContext
    ) -> nodes_pb2.ReferenceReply:
        """Run the whole model on an input and keep its outputs."""
        whole = LoadedPart(self._host.stored, "edge", 0, threads=0)
        with whole.session:
            assembler = receive(request, whole.inputs)
            self._outputs[assembler.header.input] = whole.run(assembler.tensors)
        return nodes_pb2.ReferenceReply()

    def difference(self, input_: int, outputs: Tensors) -> float | None:
        """Largest absolute difference from the reference; None for an input without one."""
        reference = self._outputs.get(input_)
        return None if reference is None else max_abs_diff(outputs, reference)


class FrameService(nodes_pb2_grpc.DataServicer):
    """The data plane: one long-lived stream of frames from the UE."""

    def __init__(self, host: ModelHost, references: References) -> None:
        self._host = host
        self._references = references

    @answering
    def Frames(self, request: Iterator[Packet], context: grpc.ServicerContext) -> Iterator[Packet]:
        """Answer each frame with its result and a report, each padding with an echo."""
        for packet in request:
            match packet.WhichOneof("body"):
                case "header":
                    yield from self._frame(packet, request)
                case "padding":
                    if packet.padding.last:
                        yield Packet(padding=Padding(last=True))
                case other:
                    raise NodeError(f"expected the header of a frame, got {other or 'nothing'}")

    def _frame(self, first: Packet, stream: Iterator[Packet]) -> Iterator[Packet]:
        part = self._host.part
        if first.header.layers != part.layers:
            raise NodeError(
                f"the frame was cut after {first.header.layers} layers, "
                f"this node's part begins after {part.layers}"
            )
        assembler = fill(Assembler(first.header, part.inputs), stream)
        timeline = Timeline()
        with timeline.stage("decode"):
            tensors = assembler.tensors
        with timeline.stage("part2"):
            outputs = part.run(tensors)
        with timeline.stage("result"):
            result = self._host.result_of(outputs)
        sent_ns = time.monotonic_ns()
        yield from packets(result, frame=first.header.frame, input_=first.header.input)
        # the result is on its way: what follows is off the clock
        timeline.add("downlink", sent_ns, time.monotonic_ns())
        difference = self._references.difference(first.header.input, outputs)
        stages = [
            Stage(name=stage.name, start_ns=stage.start_ns, end_ns=stage.end_ns)
            for stage in timeline.stages
        ]
        yield Packet(report=EdgeReport(stages=stages, max_abs_diff=difference))
