"""The UE node and the edge node of one run, at the two ends of a link."""

from collections.abc import Callable, Collection, Iterator
from typing import Literal, Self, TypeVar

import grpc

from netem.service import shape_message
from netem.spec import LinkSpec
from orchestrator.results.clock import ClockModel
from orchestrator.testbed.clocks import Clocks
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node import Node
from splitbed.errors import NodeError, RunError
from splitbed.graphs.formats import format_named
from splitbed.graphs.parts import extract
from splitbed.node.delivery import CutPart, pack
from splitbed.tensor_files import TensorFiles
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.wire import tensors_of

CONTROL_TIMEOUT_S = 120.0
PROFILE_TIMEOUT_S = 900.0
_PIECE_BYTES = 1 << 20


Side = Literal["ue", "edge"]
_Reply = TypeVar("_Reply")


class Pair:
    """Both nodes with the model on them, and what the orchestrator asks of them.

    Every method raises NodeError when a node died, hung or refused; `load` UsageError for a cut
    that cannot be made.
    """

    def __init__(self, ue: Node, edge: Node, model: SweptModel, *, secure: bool = True) -> None:
        self.secure = secure
        """Whether nobody else can read or meddle with what the nodes are told."""
        self._ue = ue
        self._edge = edge
        self._model = model
        self.ue: nodes_pb2.NodeDescription
        self.edge: nodes_pb2.NodeDescription
        self.references = TensorFiles(model.stored.folder / "references")
        """What the whole model makes of each input, on the edge."""
        self.clocks: Clocks | None = None
        """How far apart the nodes' clocks are; None where they share one."""

    def clock(self) -> ClockModel | None:
        """How far the edge's clock is from the UE's in this cell; None where they share one."""
        return self.clocks.model() if self.clocks else None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self) -> None:
        """End both nodes at once, whatever they are at."""
        for node in (self._ue, self._edge):
            node.kill()

    def close(self, *, last: bool = True) -> None:
        """End both nodes, the second one even when ending the first is interrupted."""
        try:
            self._ue.stop(last=last)
        finally:
            self._edge.stop(last=last)

    def restart(self) -> None:
        """End both nodes and bring them up again as they were, the model on them.

        Raises RunError for a node that came back as another: its cells would not compare.
        """
        before = [_same(node) for node in (self.ue, self.edge)]
        self.close(last=False)
        self._start()
        if before != [_same(node) for node in (self.ue, self.edge)]:
            raise RunError(
                "a node came back with other versions or on another processor: what it would "
                "measure does not compare with what was measured before; start a new sweep"
            )

    def _start(self) -> None:
        nodes = (self._edge, self._ue)
        for node in nodes:
            node.start()
        # the UE first: while another run measures it is the one that is never silent
        self.ue, self.edge = self._ue.started(), self._edge.started()
        if self.ue.clock != self.edge.clock:
            # what is known of their drift outlives a restart
            self.clocks = self.clocks or Clocks(self._ue.read_clock, self._edge.read_clock)
        with self._edge.asked("take the model"):
            stub = nodes_pb2_grpc.EdgeStub(self._edge.channel)
            stub.Deploy(_pieces(self._model), timeout=CONTROL_TIMEOUT_S)
        for place, one in enumerate(self._model.inputs):
            self._add_input(place, one.message())

    def _add_input(self, place: int, source: nodes_pb2.Input) -> None:
        with self._ue.asked(f"take the input {source.name}"):
            stub = nodes_pb2_grpc.UeStub(self._ue.channel)
            tensors = list(stub.AddInput(source, timeout=CONTROL_TIMEOUT_S))
        with self._edge.asked(f"run the whole model on {source.name}"):
            edge = nodes_pb2_grpc.EdgeStub(self._edge.channel)
            reply = edge.SetReference(iter(tensors), timeout=CONTROL_TIMEOUT_S)
        self.references.put(place, tensors_of(reply.result))

    def profile(
        self, side: Side, pieces: Iterator[nodes_pb2.ProfilePiece]
    ) -> nodes_pb2.ProfileReply:
        """Let a node run parts alone."""
        node = self._ue if side == "ue" else self._edge
        with node.asked("profile the model"):
            stub = nodes_pb2_grpc.NodeStub(node.channel)
            return stub.Profile(pieces, timeout=PROFILE_TIMEOUT_S)

    def load(
        self, layers: int, *, threads: tuple[int, int], warmup: int, keep: Collection[int] = ()
    ) -> tuple[nodes_pb2.Loaded, nodes_pb2.Loaded]:
        """Cut after `layers` layers; sessions open and warm on both nodes at the end.

        `threads` are those of UE and edge.  Part 1 goes to the UE beside the link, while the edge
        loads part 2.  The parts of the cuts in `keep` stay open beside them.
        """
        part1, part2 = extract(self._model.stored, layers)
        session = nodes_pb2.SessionOptions(threads=threads[1], warmup=warmup, keep=keep)
        loading = self._loading_edge(layers, session, deliver=False)
        parcel = pack(CutPart(part1, layers, self._model.info), self._model.stored.folder)
        try:
            with self._ue.asked("take part 1"):
                nodes_pb2_grpc.UeStub(self._ue.channel).TakePart(
                    parcel.pieces(), timeout=CONTROL_TIMEOUT_S
                )
            opened = self.open_part(threads[0], warmup, keep)
        except BaseException:
            loading.cancel()  # or it would end in the midst of what comes next
            raise
        finally:
            part1.remove()
            part2.remove()
        return opened, self._loaded_edge(layers, loading)

    def load_edge(
        self, layers: int, *, threads: int, warmup: int, keep: Collection[int] = ()
    ) -> nodes_pb2.Loaded:
        """Cut after `layers` layers; part 2 is open and warm, part 1 ready to be delivered."""
        session = nodes_pb2.SessionOptions(threads=threads, warmup=warmup, keep=keep)
        return self._loaded_edge(layers, self._loading_edge(layers, session, deliver=True))

    def _loading_edge(
        self, layers: int, session: nodes_pb2.SessionOptions, *, deliver: bool
    ) -> "grpc.Future[nodes_pb2.Loaded]":
        request = nodes_pb2.LoadRequest(layers=layers, session=session, deliver=deliver)
        stub = nodes_pb2_grpc.EdgeStub(self._edge.channel)
        return stub.Load.future(request, timeout=CONTROL_TIMEOUT_S)

    def _loaded_edge(
        self, layers: int, loading: "grpc.Future[nodes_pb2.Loaded]"
    ) -> nodes_pb2.Loaded:
        with self._edge.asked(f"load its part of the cut after {layers} layers"):
            return loading.result()

    def receive_part(self, layers: int, timeout_s: float) -> nodes_pb2.PartReceived:
        """Let the UE fetch part 1 from the edge over the link."""
        what = f"receive part 1 in {timeout_s:.0f} s"
        request = nodes_pb2.PartRequest(layers=layers)
        return self._ask_ue(lambda ue: ue.ReceivePart(request, timeout=timeout_s), what)

    def open_part(self, threads: int, warmup: int, keep: Collection[int] = ()) -> nodes_pb2.Loaded:
        """Open a session on the part that the UE has, and warm it up."""
        request = nodes_pb2.SessionOptions(threads=threads, warmup=warmup, keep=keep)
        return self._ask_ue(
            lambda ue: ue.OpenPart(request, timeout=CONTROL_TIMEOUT_S), "load part 1"
        )

    def use_part(self, layers: int, warmup: int) -> None:
        """Come back to a cut that is held, on both nodes, and warm its parts up again."""
        request = nodes_pb2.UsePartRequest(layers=layers, warmup=warmup)
        for node in (self._ue, self._edge):
            with node.asked(f"come back to its part of the cut after {layers} layers"):
                nodes_pb2_grpc.NodeStub(node.channel).UsePart(request, timeout=CONTROL_TIMEOUT_S)

    def use_codec(self, request: nodes_pb2.CodecRequest) -> None:
        """Let both nodes encode and decode with another codec, from the next frame on."""
        for node in (self._ue, self._edge):
            with node.asked(f"use the codec {request.codec}"):
                stub = nodes_pb2_grpc.NodeStub(node.channel)
                stub.UseCodec(request, timeout=CONTROL_TIMEOUT_S)

    def limit_ue(self, request: nodes_pb2.LimitRequest, slower: float) -> nodes_pb2.Limited:
        """Give the UE less of its processor. It may be `slower` times as slow then."""
        timeout_s = CONTROL_TIMEOUT_S * slower
        return self._ask_ue(
            lambda ue: ue.LimitProcessor(request, timeout=timeout_s), "limit its processor"
        )

    def warm_link(self, nbytes: int, timeout_s: float) -> None:
        """Send `nbytes` that mean nothing over the data connection."""
        request = nodes_pb2.WarmLinkRequest(bytes=nbytes)
        self._ask_ue(lambda ue: ue.WarmLink(request, timeout=timeout_s), "warm the link")

    def prove_link(self, spec: LinkSpec) -> nodes_pb2.LinkProof:
        """Measure the link's rates and round trip between the nodes."""
        request = nodes_pb2.ProveLinkRequest(
            probe_port=self.edge.probe_port,
            probe_token=self.edge.probe_token,
            uplink=shape_message(spec.uplink),
            downlink=shape_message(spec.downlink),
        )
        return self._ask_ue(
            lambda ue: ue.ProveLink(request, timeout=CONTROL_TIMEOUT_S), "prove the link"
        )

    def run_frame(
        self,
        frame: int,
        input_: int,
        timeout_s: float,
        layers: int | None = None,
        codec: str = "",
    ) -> nodes_pb2.FrameRecord:
        """Take one input through the pipeline.

        `layers` says which of the cuts that are held; None is the one that was loaded last.
        `codec` says which of that cut's; empty is the one that was used last.
        """
        request = nodes_pb2.FrameRequest(frame=frame, input=input_, layers=layers, codec=codec)
        what = f"run frame {frame} in {timeout_s:.0f} s"
        return self._ask_ue(lambda ue: ue.RunFrame(request, timeout=timeout_s), what)

    def _ask_ue(self, ask: Callable[[nodes_pb2_grpc.UeStub], _Reply], what: str) -> _Reply:
        try:
            with self._ue.asked(what):
                return ask(nodes_pb2_grpc.UeStub(self._ue.channel))
        except NodeError as error:
            # the UE can only say that its edge went away or is silent, not why
            if how := self._edge.ended():
                raise NodeError(f"the edge node died{how}: {error}") from None
            if self._ue.answers() and not self._edge.answers():
                raise NodeError(f"the edge node {self._edge.silent}: {error}") from None
            raise


def _same(node: nodes_pb2.NodeDescription) -> object:
    return node.version, node.cpu, node.cpus, node.shaper, dict(node.packages)


def _pieces(model: SweptModel) -> Iterator[nodes_pb2.ModelPiece]:
    form = model.graph.format
    yield nodes_pb2.ModelPiece(task=model.task, format=form, runtime=model.runtime)
    for index, name in enumerate(format_named(form).FILES):
        with (model.stored.folder / name).open("rb") as file:
            while data := file.read(_PIECE_BYTES):
                yield nodes_pb2.ModelPiece(file=index, data=data)
