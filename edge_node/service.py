"""The edge node's services: the model and its cuts, and part 2 for the frames that come in.

uplink ──> decode ──> part2 ──> result ──> downlink, then a report where there is a reference
"""

import hashlib
import time
from collections.abc import Collection, Iterator

import grpc

from splitbed.errors import NodeError
from splitbed.graphs.formats import FORMATS, format_named
from splitbed.graphs.parts import StoredModel, extract, open_stored
from splitbed.logs import log
from splitbed.messages import Received, receive
from splitbed.node.answering import answering
from splitbed.node.delivery import CutPart, Parcel, info_of, pack
from splitbed.node.host import LoadedPart, NodeHost
from splitbed.node.stream import Stream, streams
from splitbed.node.tcp import pin_cubic
from splitbed.runtime import RUNTIMES
from splitbed.runtime.session import PartSession
from splitbed.tasks import TASKS
from splitbed.telemetry import MODELS, tell_bytes, tell_stages
from splitbed.tensor_files import TensorFiles
from splitbed.tensors import Tensors
from splitbed.timeline import Timeline
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Packet, Report
from splitbed.wire import max_abs_diff, nbytes, stage_messages, whole_tensors


class ModelService(nodes_pb2_grpc.EdgeServicer):
    """The whole model: cut here, and run here on each input for what split outputs must equal."""

    def __init__(self, host: NodeHost) -> None:
        self._host = host
        self._stored: StoredModel | None = None
        self._task = self._runtime = ""
        self._parcels: dict[int, Parcel] = {}
        """By the layers before the cut; of those that are held, too."""
        self._whole: LoadedPart | None = None
        self._references = TensorFiles(host.folder / "references")
        host.forget.append(self.forget)

    def forget(self) -> None:
        """Forget the model and what it made of the inputs."""
        self._stored = None
        self._drop()
        self._close_whole()
        self._references.clear()
        MODELS.set(0)

    @answering
    def Deploy(
        self, request: Iterator[nodes_pb2.ModelPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.Deployed:
        """Store the model and check it before anything is run."""
        with self._host.turn:
            if not context.is_active():
                raise NodeError("it was given up before it began")
            return self._deploy(request)

    def _deploy(self, request: Iterator[nodes_pb2.ModelPiece]) -> nodes_pb2.Deployed:
        self._host.drop()
        self.forget()
        first = next(request, nodes_pb2.ModelPiece())
        if first.task not in TASKS or first.format not in FORMATS or first.runtime not in RUNTIMES:
            raise NodeError(
                f"refused a model of format {first.format!r} for task {first.task!r} and runtime "
                f"{first.runtime!r}: what other packages add must be installed on this node, too"
            )
        digest = self._receive(request, format_named(first.format).FILES)
        self._stored = open_stored(self._host.folder, first.format)
        self._task, self._runtime = first.task, first.runtime
        MODELS.set(1)
        log.info("model deployed", sha256=digest, layers=self._stored.graph.n)
        return nodes_pb2.Deployed(sha256=digest)

    def _receive(self, pieces: Iterator[nodes_pb2.ModelPiece], names: tuple[str, ...]) -> str:
        digest, size = hashlib.sha256(), 0
        files = [(self._host.folder / name).open("wb") for name in names]
        try:
            for piece in pieces:
                if (size := size + len(piece.data)) > self._host.limits.model_bytes:
                    most = self._host.limits.model_bytes
                    raise NodeError(f"refused a model of over {most} bytes: limits.model_bytes")
                if piece.file >= len(files):
                    raise NodeError(f"refused an unknown kind of model file: {piece.file}")
                files[piece.file].write(piece.data)
                digest.update(piece.data)
        finally:
            for file in files:
                file.close()
        return digest.hexdigest()

    @answering
    def Load(
        self, request: nodes_pb2.LoadRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.Loaded:
        """Cut, open the session on part 2, warm it up; have part 1 ready where it is asked."""
        with self._host.turn:
            if not context.is_active():
                raise NodeError("it was given up before it began")
            return self._load(request)

    def _load(self, request: nodes_pb2.LoadRequest) -> nodes_pb2.Loaded:
        self._close_whole()
        keep = {*request.session.keep} - {request.layers}
        self._host.drop(keep)  # first, so that two parts are not in memory at once
        self._drop(keep)
        start_ns = time.monotonic_ns()
        part1, part2 = self._cut(request.layers)
        loaded = self._host.load(part2, request.session, start_ns, lambda: _crossing(part1))
        if request.deliver:
            self._parcels[request.layers] = pack(part1, self._host.folder)
        part1.part.remove()
        part2.part.remove()
        loaded.part1_bytes = part1.part.nbytes
        return loaded

    def _cut(self, layers: int) -> tuple[CutPart, CutPart]:
        if self._stored is None:
            raise NodeError("the edge node has no model: deploy one first")
        model = info_of(self._stored.graph, self._task, self._runtime)
        part1, part2 = extract(self._stored, layers)
        return CutPart(part1, layers, model), CutPart(part2, layers, model)

    @answering
    def SetReference(
        self, request: Iterator[Packet], context: grpc.ServicerContext
    ) -> nodes_pb2.ReferenceReply:
        """Run the whole model on an input and keep its outputs.

        The session stays open for the inputs that follow, until a part is loaded.
        """
        with self._host.turn:
            whole = self._whole = self._whole or self._host.opened(self._cut(0)[1], threads=0)
            received = receive(packet.data for packet in request)
            outputs = whole.run(received.tensors(whole.cut.model.inputs))
            self._references.put(received.header.frame.input, outputs)
        result = whole.cut.model.result_of(outputs)
        return nodes_pb2.ReferenceReply(result=whole_tensors(result))

    def _close_whole(self) -> None:
        if self._whole is not None:
            self._host.close(self._whole)
            self._whole.cut.part.remove()
            self._whole = None

    def has_reference(self, input_: int) -> bool:
        """Whether it is known what the whole model makes of this input."""
        return input_ in self._references

    def difference(self, input_: int, outputs: Tensors) -> float:
        """Largest absolute difference from the reference of an input that has one."""
        return max_abs_diff(outputs, self._references[input_])

    def parcel(self, layers: int) -> Parcel:
        """Part 1 of the cut after `layers` layers; NodeError unless it was made ready."""
        if layers not in self._parcels:
            raise NodeError(f"part 1 of the cut after {layers} layers is not ready here")
        return self._parcels[layers]

    def _drop(self, keep: Collection[int] = ()) -> None:
        for layers in [*self._parcels]:
            if layers not in keep:
                self._parcels.pop(layers).remove()


def _crossing(cut: CutPart) -> Tensors | None:
    """What part 1 makes of made-up inputs; None where it computes nothing."""
    part = cut.part
    if part.path is None:
        return None
    ends = part.inputs, part.outputs
    with PartSession(part.path, *ends, part.passthrough, runtime=cut.model.runtime) as session:
        return session.run(session.made_up())


class DataService(nodes_pb2_grpc.DataServicer):
    """The data plane: part 1 to the UE, then one long-lived stream of frames from it."""

    def __init__(self, host: NodeHost, models: ModelService, port: int) -> None:
        self._host = host
        self._models = models
        self._port = port

    def add_to(self, server: grpc.Server) -> None:
        """Have a server answer with this."""
        nodes_pb2_grpc.add_DataServicer_to_server(self, server)
        server.add_generic_rpc_handlers((streams(self.serve),))

    @answering
    def DeliverPart(
        self, request: nodes_pb2.PartRequest, context: grpc.ServicerContext
    ) -> Iterator[PartPiece]:
        """Send part 1."""
        yield from self._models.parcel(request.layers).pieces()

    def serve(self, stream: Stream) -> None:
        """Answer each frame with its result and a report, each padding with an echo."""
        pin_cubic(self._port)
        for received in stream:
            match received.header.WhichOneof("body"):
                case "frame":
                    with self._host.in_flight.frame():
                        self._frame(received, stream)
                case "padding":
                    stream.answer_padding(received)
                case other:
                    raise NodeError(f"expected the header of a frame, got {other or 'nothing'}")

    def _frame(self, received: Received, stream: Stream) -> None:
        asked = received.header.frame
        part = self._host.part_of(asked.layers)
        codec, coder = part.coder_of(asked.codec)
        most_bytes = min(coder.most_bytes, self._host.limits.tensor_bytes)
        encoded = received.tensors(coder.encoded, most_bytes)
        timeline = Timeline()
        with timeline.stage("decode"):
            tensors = coder.decode(encoded)
        with timeline.stage("part2"):
            outputs = part.run(tensors)
        with timeline.stage("result"):
            result = part.cut.model.result_of(outputs)
        compares = self._models.has_reference(asked.input)
        answer = FrameHeader(
            frame=asked.frame,
            input=asked.input,
            stages=stage_messages(timeline),
            sent_ns=time.monotonic_ns(),
            report_follows=compares,
        )
        stream.send(Header(frame=answer), result)
        # the result is on its way: what follows is off the clock
        timeline.add("downlink", answer.sent_ns, time.monotonic_ns())
        tell_stages(timeline)
        tell_bytes(codec, nbytes(encoded), nbytes(result))
        if compares:
            difference = self._models.difference(asked.input, outputs)
            stream.send(Header(report=Report(max_abs_diff=difference)))
