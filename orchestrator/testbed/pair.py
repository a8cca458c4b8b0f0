"""The UE node and the edge node of one run, at the two ends of a link."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, Self, TypeVar

import grpc

from netem.service import shape_message
from netem.spec import LinkSpec
from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.results.clock import ClockModel
from orchestrator.testbed.clocks import Clocks
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node import Node
from splitbed.errors import NodeError, RunError
from splitbed.graphs.formats import format_named
from splitbed.tensor_files import TensorFiles
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from splitbed.wire import tensors_of

CONTROL_TIMEOUT_S = 120.0
PROFILE_TIMEOUT_S = 900.0
_PIECE_BYTES = 1 << 20


Side = Literal["ue", "edge"]
_Reply = TypeVar("_Reply")


class Pair:
    """Both nodes with the model on them, and what the orchestrator asks of them.

    Inputs go where a `flow` has its source, and what they are compared with where it ends.
    Every method raises NodeError when a node died, hung or refused.
    """

    def __init__(
        self,
        ue: Node,
        edge: Node,
        model: SweptModel,
        flow: str = UPLINK,
        *,
        secure: bool = True,
    ) -> None:
        self.secure = secure
        """Whether nobody else can read or meddle with what the nodes are told."""
        self.nodes: dict[str, Node] = {"ue": ue, "edge": edge}
        self._ue = ue
        self._edge = edge
        self._model = model
        self._flow = FLOWS[flow]
        self._ends: dict[int, tuple[str, str]] = {}
        """Where frames of each assignment begin, and where their result is wanted."""
        self._frames = 0
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
            stub = rpc.EdgeStub(self._edge.channel)
            stub.Deploy(_pieces(self._model), timeout=CONTROL_TIMEOUT_S)
        for place, one in enumerate(self._model.inputs):
            self._add_input(place, one.message())

    def _add_input(self, place: int, source: nodes_pb2.Input) -> None:
        at = self.nodes[self._flow.source]
        with at.asked(f"take the input {source.name}"):
            stub = rpc.StationsStub(at.channel)
            tensors = list(stub.AddInput(source, timeout=CONTROL_TIMEOUT_S))
        with self._edge.asked(f"run the whole model on {source.name}"):
            edge = rpc.EdgeStub(self._edge.channel)
            reply = edge.SetReference(iter(tensors), timeout=CONTROL_TIMEOUT_S)
        self.references.put(place, tensors_of(reply.result))
        if (judge := self.nodes[self._flow.last]) is not self._edge:
            self._let_compare(judge, place, source.name)

    def _let_compare(self, judge: Node, place: int, name: str) -> None:
        """Have the node of the last part know what the whole model makes of an input."""
        with self._edge.asked(f"tell what the whole model makes of {name}"):
            request = nodes_pb2.ReadReferenceRequest(input=place)
            edge = rpc.EdgeStub(self._edge.channel)
            outputs = list(edge.ReadReference(request, timeout=CONTROL_TIMEOUT_S))
        with judge.asked(f"keep what the whole model makes of {name}"):
            stub = rpc.StationsStub(judge.channel)
            stub.KeepReference(iter(outputs), timeout=CONTROL_TIMEOUT_S)

    def profile(
        self, side: Side, pieces: Iterator[nodes_pb2.ProfilePiece]
    ) -> nodes_pb2.ProfileReply:
        """Let a node run parts alone."""
        node = self.nodes[side]
        with node.asked("profile the model"):
            stub = rpc.NodeStub(node.channel)
            return stub.Profile(pieces, timeout=PROFILE_TIMEOUT_S)

    def assign(self, assignment: nodes_pb2.Assignment) -> None:
        """Tell every node of an itinerary what it does with frames of it, with codecs as new."""
        kept = {*assignment.keep}
        self._ends = {number: ends for number, ends in self._ends.items() if number in kept}
        ends = assignment.stations[0].node, assignment.stations[-1].node
        self._ends[assignment.number] = ends
        codecs = ", ".join(one.gives for one in assignment.stations if one.gives)
        for name in dict.fromkeys(station.node for station in assignment.stations):
            assignment.node = name
            with self.nodes[name].asked(f"use {codecs or 'no codec'}"):
                stub = rpc.StationsStub(self.nodes[name].channel)
                stub.Assign(assignment, timeout=CONTROL_TIMEOUT_S)

    def limit_ue(self, request: nodes_pb2.LimitRequest, slower: float) -> nodes_pb2.Limited:
        """Give the UE less of its processor. It may be `slower` times as slow then."""
        timeout_s = CONTROL_TIMEOUT_S * slower
        return self.ask(
            "ue",
            lambda ue: rpc.UeStub(ue.channel).LimitProcessor(request, timeout=timeout_s),
            "limit its processor",
        )

    def warm_link(self, nbytes: int, timeout_s: float, back: int = 0) -> None:
        """Send `nbytes` that mean nothing over the data connection, and so many `back`."""
        request = nodes_pb2.WarmLinkRequest(bytes=nbytes, back=back)
        self.ask(
            "ue",
            lambda ue: rpc.UeStub(ue.channel).WarmLink(request, timeout=timeout_s),
            "warm the link",
        )

    def prove_link(self, spec: LinkSpec) -> nodes_pb2.LinkProof:
        """Measure the link's rates and round trip between the nodes."""
        request = nodes_pb2.ProveLinkRequest(
            probe_port=self.edge.probe_port,
            probe_token=self.edge.probe_token,
            uplink=shape_message(spec.uplink),
            downlink=shape_message(spec.downlink),
        )
        return self.ask(
            "ue",
            lambda ue: rpc.UeStub(ue.channel).ProveLink(request, timeout=CONTROL_TIMEOUT_S),
            "prove the link",
        )

    def run_frame(
        self, frame: int, input_: int, timeout_s: float, assignment: int
    ) -> nodes_pb2.FrameRecord:
        """Take one input through the stations of an assignment, as the caller's `frame`."""
        self._frames += 1  # nodes know frames by numbers that only rise, whoever counts anew
        request = nodes_pb2.FrameRequest(frame=self._frames, input=input_, assignment=assignment)
        what = f"run frame {frame} in {timeout_s:.0f} s"
        source, sink = self._ends.get(assignment, ("ue", "ue"))

        def run(node: Node) -> nodes_pb2.FrameRecord:
            return rpc.StationsStub(node.channel).RunFrame(request, timeout=timeout_s)

        if source == sink:
            record = self.ask(source, run, what)
        else:
            with self._awaited(sink, assignment, timeout_s) as waiting:
                self.ask(source, run, what)
                record = self.ask(sink, lambda _: waiting.result(), what)
        record.frame = frame
        return record

    @contextmanager
    def _awaited(
        self, sink: str, assignment: int, timeout_s: float
    ) -> "Iterator[grpc.Future[nodes_pb2.FrameRecord]]":
        request = nodes_pb2.AwaitRequest(frame=self._frames, assignment=assignment)
        stub = rpc.StationsStub(self.nodes[sink].channel)
        waiting = stub.AwaitFrame.future(request, timeout=timeout_s)
        try:
            yield waiting
        finally:
            waiting.cancel()  # or it would wait for a frame that never comes

    def ask(self, name: str, ask: Callable[[Node], _Reply], what: str) -> _Reply:
        """What a node answers to a call, which may have it wait for another node."""
        try:
            with self.nodes[name].asked(what):
                return ask(self.nodes[name])
        except NodeError as error:
            # a node can only say that its peer went away or is silent, not why
            for other, node in self.nodes.items():
                if other == name:
                    continue
                if how := node.ended():
                    raise NodeError(f"the {other} node died{how}: {error}") from None
                if self.nodes[name].answers() and not node.answers():
                    raise NodeError(f"the {other} node {node.silent}: {error}") from None
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
