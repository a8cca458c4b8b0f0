"""The UE node's services: part 1, inputs, and the frames it sends to the edge.

The UE never holds more of the model than its part.

media ──> preprocess ──> part1 ──> encode ──> uplink …  edge …  downlink ──> record
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import grpc
import numpy as np

from netem.service import proved
from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import preprocess, random_inputs
from splitbed.messages import messages
from splitbed.node.answering import answering
from splitbed.node.delivery import CutPart, receive
from splitbed.node.host import NodeHost
from splitbed.node.processor import Processor
from splitbed.node.slowdown import Slowness, limited_slowness, steered, stretched
from splitbed.node.stream import Dialled
from splitbed.telemetry import MODELS, tell_bytes, tell_stages
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import TensorInfo, Tensors
from splitbed.timeline import NS_PER_MS, Timeline
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Packet, Report
from splitbed.wire import infos_of, nbytes, recipe_of, stage_messages, whole_tensors

MAX_INPUTS = 100_000
MAX_WARM_BYTES = 1 << 30
_PICTURE = "picture"


class UeService(nodes_pb2_grpc.UeServicer):
    """Runs one frame when told to, and says how long each stage took."""

    def __init__(self, host: NodeHost, edge: Dialled) -> None:
        self._host = host
        self._edge = edge
        self._inputs = TensorFiles(host.folder / "inputs")
        self._prepare: list[Callable[[Tensors], Tensors]] = []
        """What preprocessing makes of each."""
        self._received: CutPart | None = None
        self._processor: Processor | None = None
        self._stretch = 1.0
        host.forget.append(self.forget)

    @answering
    def ReceivePart(
        self, request: nodes_pb2.PartRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.PartReceived:
        """Fetch part 1 from the edge, over the link."""
        with self._given_up(context):
            return self._receive(self._edge.part(request.layers))

    @answering
    def TakePart(
        self, request: Iterator[PartPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.PartReceived:
        """Take part 1 from the orchestrator."""
        return self._receive(request)

    def _receive(self, pieces: Iterator[PartPiece]) -> nodes_pb2.PartReceived:
        self._received = None
        start_ns = time.monotonic_ns()
        cut = receive(pieces, self._host.folder, self._host.limits.model_bytes)
        end_ns = time.monotonic_ns()
        MODELS.set(1)
        self._received = cut
        return nodes_pb2.PartReceived(
            bytes=cut.part.nbytes, receive_ms=(end_ns - start_ns) / NS_PER_MS
        )

    @answering
    def OpenPart(
        self, request: nodes_pb2.SessionOptions, context: grpc.ServicerContext
    ) -> nodes_pb2.Loaded:
        """Open a session on the part that came last and warm it up."""
        if self._received is None:
            raise NodeError("the ue node has no part: let it receive one first")
        return self._host.load(self._received, request, time.monotonic_ns())

    @answering
    def LimitProcessor(
        self, request: nodes_pb2.LimitRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Limited:
        """Slow this node, and measure what that does to part 1: by waiting, or by a quota."""
        part, limited = self._host.part, nodes_pb2.Limited()
        fed = part.session.made_up()
        measures = request.measure and part.session.computes
        self._full_speed()
        slowness: Slowness | None = None
        if request.cpus:
            self._processor = self._processor or Processor()
            if measures:
                limit = self._processor
                slowness = limited_slowness(lambda: part.run(fed), limit, request.cpus)
            self._processor.set(request.cpus)
            limited.cpus = self._processor.cpus or 0.0
        elif request.slowdown > 1:
            times = request.slowdown
            if measures:
                times, slowness = steered(lambda: part.run(fed), times)
            limited.stretch = self._stretch = times
        if slowness is not None:
            limited.full_ms, limited.limited_ms = slowness.full_ms, slowness.limited_ms
        return limited

    def _full_speed(self) -> None:
        self._stretch = 1.0
        if self._processor is not None:
            self._processor.set(None)

    def _slowed(self, threads: float = float("inf")) -> AbstractContextManager[None]:
        """What makes a stage that computes with so many threads as slow as was asked."""
        if self._stretch > 1:
            return stretched(self._stretch)
        return nullcontext() if self._processor is None else self._processor.repaid(threads)

    def forget(self) -> None:
        """Forget inputs and part, give up what is in flight, give the processor back."""
        self._edge.cancel()
        self._prepare.clear()
        self._inputs.clear()
        self._received = None
        MODELS.set(0)
        if self._processor is not None:
            self._processor.close()
            self._processor = None
        self._stretch = 1.0

    @contextmanager
    def _given_up(self, context: grpc.ServicerContext) -> Iterator[None]:
        """Leave nothing on the wire when the orchestrator gives up what happens inside."""
        done = threading.Event()
        if not context.add_callback(lambda: None if done.is_set() else self._edge.cancel()):
            raise NodeError("it was given up before anything was sent")
        try:
            yield
        finally:
            if context.is_active():  # else the callback has to find it undone
                done.set()

    @answering
    def AddInput(self, request: nodes_pb2.Input, context: grpc.ServicerContext) -> Iterator[Packet]:
        """Add an input; the answer is what preprocessing makes of it."""
        if (number := len(self._prepare)) >= MAX_INPUTS:
            raise NodeError(f"refused another input: {MAX_INPUTS} are here already")
        given, prepare = _source(request, infos_of(request.tensors, open_sizes=False))
        tensors = prepare(given)
        self._inputs.put(number, given)
        self._prepare.append(prepare)
        for message in messages(Header(frame=FrameHeader(input=number)), tensors):
            yield Packet(data=message)

    @answering
    def WarmLink(
        self, request: nodes_pb2.WarmLinkRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.WarmLinkReply:
        """Open the congestion window with bytes that mean nothing."""
        if request.bytes > MAX_WARM_BYTES:
            raise NodeError(f"refused to warm the link with {request.bytes} bytes")
        with self._edge.stream() as stream:
            stream.warm(request.bytes)
        return nodes_pb2.WarmLinkReply()

    @answering
    def ProveLink(
        self, request: nodes_pb2.ProveLinkRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.LinkProof:
        """Measure rate and round trip of the link, and say what TCP has been through."""
        self._edge.rate_mbit = request.uplink.rate_mbit
        return proved(self._edge.address, request)

    @answering
    def RunFrame(
        self, request: nodes_pb2.FrameRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.FrameRecord:
        """Take one input through the whole pipeline."""
        with self._host.in_flight.frame():
            return self._run_frame(request, context)

    def _run_frame(
        self, request: nodes_pb2.FrameRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.FrameRecord:
        if request.input >= len(self._prepare):
            raise NodeError(f"there is no input {request.input}: {len(self._prepare)} were added")
        part = self._host.part_of(request.layers if request.HasField("layers") else None)
        timeline = Timeline()
        # slowed, too: what a quota stalls here would else be a debt of the stage that counts first
        with timeline.stage("preprocess"), self._slowed():
            tensors = self._prepare[request.input](self._inputs[request.input])
        if part.session.computes:
            with timeline.stage("part1"), self._slowed():
                crossing = part.run(tensors)
        else:
            crossing, now_ns = tensors, time.monotonic_ns()
            timeline.add("part1", now_ns, now_ns)
        if part.cut.is_whole:
            with timeline.stage("result"), self._slowed(threads=1):
                result = part.cut.model.result_of(crossing)
            tell_stages(timeline)
            return _record(request.frame, timeline, {}, result)
        codec, coder = part.coder_of(request.codec)
        # codecs have one thread: a limit for the threads of part 1 would hardly slow them
        with timeline.stage("encode"), self._slowed(threads=1):
            if not part.session.computes:  # no part 1: what takes time or stalls is the encoder's
                crossing = part.run(tensors)
            encoded = coder.encode(crossing)
        header = FrameHeader(
            frame=request.frame, input=request.input, layers=part.cut.layers, codec=codec
        )
        with self._given_up(context):
            result, report = self._exchange(header, encoded, part.cut.model.results, timeline)
        record = _record(request.frame, timeline, crossing, result)
        record.encoded_bytes = nbytes(encoded)
        if report is not None:
            record.max_abs_diff = report.max_abs_diff
        tell_bytes(codec, record.encoded_bytes, record.result_bytes)
        return record

    def _exchange(
        self,
        header: FrameHeader,
        encoded: Tensors,
        expected: Sequence[TensorInfo],
        timeline: Timeline,
    ) -> tuple[Tensors, Report | None]:
        """Send a frame, wait for its result, which must be `expected`, and for what follows it."""
        with self._edge.stream() as stream:
            sent_ns = time.monotonic_ns()
            stream.send(Header(frame=header), encoded)
            received = stream.receive_frame(header.frame)
            result = received.tensors(expected)
            received_ns = time.monotonic_ns()
            answer = received.header.frame
            report = stream.receive("report").header.report if answer.report_follows else None
        tell_stages(timeline)
        _add_crossing(timeline, sent_ns, answer, received_ns)
        return result, report


def _source(
    request: nodes_pb2.Input, infos: tuple[TensorInfo, ...]
) -> tuple[Tensors, Callable[[Tensors], Tensors]]:
    """What is kept of an input, and how a frame is made of it."""
    if request.WhichOneof("source") == "random":
        return random_inputs(infos, request.random.seed), lambda made_up: made_up
    if len(infos) != 1:
        raise UsageError(f"a picture is one input, the model takes {len(infos)}")
    name, called, recipe = infos[0].name, request.name, recipe_of(request.picture.recipe)
    return (
        {_PICTURE: np.frombuffer(request.picture.data, np.uint8)},
        lambda kept: {name: preprocess(kept[_PICTURE].tobytes(), recipe, called)},
    )


def _add_crossing(timeline: Timeline, sent_ns: int, answer: FrameHeader, received_ns: int) -> None:
    """Add what the frame was at since it was sent; NodeError where the edge does not say."""
    if [stage.name for stage in answer.stages] != ["decode", "part2", "result"]:
        names = ", ".join(stage.name for stage in answer.stages)
        raise NodeError(f"the edge says of stages {names or 'none'}, not decode, part2, result")
    timeline.add("uplink", sent_ns, answer.stages[0].start_ns)
    for stage in answer.stages:
        timeline.add(stage.name, stage.start_ns, stage.end_ns)
    timeline.add("downlink", answer.sent_ns, received_ns)


def _record(
    frame: int, timeline: Timeline, crossing: Tensors, result: Tensors
) -> nodes_pb2.FrameRecord:
    return nodes_pb2.FrameRecord(
        frame=frame,
        stages=stage_messages(timeline),
        intermediate_tensors=len(crossing),
        intermediate_bytes=nbytes(crossing),
        result_bytes=nbytes(result),
        results={name: array.shape[0] if array.ndim else 1 for name, array in result.items()},
        result=whole_tensors(result),
    )
