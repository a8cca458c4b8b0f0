"""The nodes of one run, at the ends of its links."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, count
from typing import Self, TypeVar

import grpc

from orchestrator.ask.crowd import UE
from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.ask.load.edge_work import ALONE, EdgeWork
from orchestrator.ask.topology import kind_of
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.testbed.clocks import Clocks
from orchestrator.testbed.loading.assignments import check_tables, together
from orchestrator.testbed.loading.given import give_input, give_model, give_reference
from orchestrator.testbed.loading.patience import Patience
from orchestrator.testbed.loading.sharing import at_node
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node import ANSWER_S, Node
from orchestrator.testbed.proofs import Proofs
from splitbed.errors import NodeError, RunError
from splitbed.tensor_files import TensorFiles
from splitbed.timeline import hop_over
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc

_Reply = TypeVar("_Reply")
_AT_ONCE = 8
"""Nodes that are started together."""


class Pair:
    """The nodes of a flow with the model on them, and what the orchestrator asks of them.

    As a rule two: the user's, and the one that holds the whole model and cuts it; or this one and
    several `ues`, each of which is the user of frames of its own.
    Inputs go where a `flow` has its source, and what they are compared with where it ends.
    Every method raises NodeError when a node died, hung or refused.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        model: SweptModel,
        flow: str = UPLINK,
        *,
        secure: bool = True,
        ues: Sequence[str] = (),
    ) -> None:
        self.secure = secure
        """Whether nobody else can read or meddle with what the nodes are told."""
        self.flow = flow
        self._flow = FLOWS[flow]
        self.ues = tuple(ues)
        """Those that share the link, where there are several."""
        self.nodes = {one: nodes[one] for name in self._flow.nodes for one in self._those(name)}
        self.holder = self._flow.holder
        """The node that has the whole model and cuts it."""
        self.links = [(one, far) for near, far in self._flow.links for one in self._those(near)]
        """Between which nodes its links are: who dials, and who is dialled; of several UEs each."""
        self.fetchers = tuple(near for near, far in self.links if far == self.holder)
        """The nodes that dial it: they can fetch parts from it over a link."""
        [self.user, *_] = self._those(self._flow.user)
        """The node where results are wanted, and that can be slowed; of several the first."""
        self._model = model
        self._ways: dict[int, Sequence[nodes_pb2.Assignment]] = {}
        """Those that frames go, one to each user, by the number of the first."""
        self._numbers = count(1)
        """Of frames: nodes know them by numbers that only rise, whoever counts anew."""
        self.references = TensorFiles(model.stored.folder / "references")
        """What the whole model makes of each input, on the edge."""
        self.proofs = Proofs(self.nodes, self.links, self.ask)
        self.clocks: Clocks | None = None
        """How far apart the nodes' clocks are; None where all share one."""

    def _those(self, name: str) -> Sequence[str]:
        """The nodes that a node of the flow stands for."""
        return self.ues if self.ues and name == UE else [name]

    @property
    def ue(self) -> nodes_pb2.NodeDescription:
        """What the user's node says of itself."""
        return self.nodes[self.user].says

    @property
    def edge(self) -> nodes_pb2.NodeDescription:
        """What the one says of itself that holds the model."""
        return self.nodes[self.holder].says

    def node_clocks(self) -> NodeClocks:
        """How far each clock is from the user's in this cell, as far as it was read."""
        models = self.clocks.models() if self.clocks else {}
        read = {self.nodes[name].says.clock: model for name, model in models.items()}
        said = {name: node.says.clock for name, node in self.nodes.items()}
        return NodeClocks(self.flow, {name: read[one] for name, one in said.items() if one in read})

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
        """End all nodes at once, whatever they are at."""
        for node in self.nodes.values():
            node.kill()

    def close(self, *, last: bool = True) -> None:
        """End all nodes, each even when ending another is interrupted; who dials ends first."""
        with ExitStack() as stack:
            for node in self._by_reach():
                stack.callback(node.stop, last=last)

    def restart(self) -> None:
        """End all nodes and bring them up again as they were, the model on them.

        Raises RunError for a node that came back as another: its cells would not compare.
        """
        before = [_same(node.says) for node in self.nodes.values()]
        self.proofs.forget()
        self.close(last=False)
        self._start()
        if before != [_same(node.says) for node in self.nodes.values()]:
            raise RunError(
                "a node came back with other versions or on another processor: what it would "
                "measure does not compare with what was measured before; start a new sweep"
            )

    def _start(self) -> None:
        nodes = self._by_reach()
        # so many at once as start within a node's time, whatever they share their processors with
        for some in (nodes[first : first + _AT_ONCE] for first in range(0, len(nodes), _AT_ONCE)):
            for node in some:
                node.start()
            # the UE first: while another run measures it is the one that is never silent
            for node in reversed(some):
                node.started()
        self._compare_clocks()
        give_model(self._holder, self._model)
        sources = [self.nodes[name] for name in self._those(self._flow.source)]
        judges = [one for name in self._flow.last - {self.holder} for one in self._those(name)]
        for place, one in enumerate(self._model.inputs):
            result = give_input(sources, self._holder, one.message())
            self.references.put(place, result)
            for judge in judges:
                give_reference(self._holder, self.nodes[judge], place, one.name)

    @property
    def _holder(self) -> Node:
        return self.nodes[self.holder]

    def _by_reach(self) -> list[Node]:
        """Those that are dialled before those that dial."""
        return sorted(self.nodes.values(), key=lambda node: kind_of(node.side) == "ue")

    def _compare_clocks(self) -> None:
        asks = {node.says.clock: node for node in self.nodes.values()}
        asks.pop(self.nodes[self.user].says.clock)
        if asks:  # what is known of their drift outlives a restart
            nodes = self.nodes[self.user], *asks.values()
            self.clocks = self.clocks or Clocks({node.side: node.read_clock for node in nodes})

    def profile(
        self, name: str, pieces: Iterator[nodes_pb2.ProfilePiece]
    ) -> nodes_pb2.ProfileReply:
        """Let a node run parts alone."""
        node = self.nodes[name]
        with node.asked("profile the model"):
            waiting, stub = Patience(node), rpc.NodeStub(node.channel)
            return waiting.answer(stub.Profile.future(waiting.through(pieces)))

    def assign(
        self,
        ways: Sequence[nodes_pb2.Assignment],
        keep: Collection[int],
        work: EdgeWork = ALONE,
    ) -> float | None:
        """Tell every node what it does with frames on the `ways` that they go, codecs as new.

        These are known by the number of the first, and so are those to `keep`. Nodes of the network
        share their `work` among frames that meet there; gives how far parts that are run on frames
        together are off from each alone, None where none is.
        """
        self._ways = {first: others for first, others in self._ways.items() if first in keep}
        self._ways[ways[0].number] = ways
        numbers = [one.number for one in chain(*self._ways.values())]
        offs: list[float] = []
        for one in ways:
            one.keep.extend(numbers)
            answers = self._assign(one, work)
            offs += [answer.together_off for answer in answers if answer.HasField("together_off")]
        return max(offs, default=None)

    def _assign(
        self, assignment: nodes_pb2.Assignment, work: EdgeWork
    ) -> Iterator[nodes_pb2.Assigned]:
        codecs = ", ".join(one.gives for one in assignment.stations if one.gives)
        for name in dict.fromkeys(station.node for station in assignment.stations):
            told = at_node(assignment, name, work, crowd=bool(self.ues))
            with self.nodes[name].asked(f"use {codecs or 'no codec'}"):
                stub = rpc.StationsStub(self.nodes[name].channel)
                answer: nodes_pb2.Assigned = stub.Assign(told, timeout=ANSWER_S)
            check_tables(told, answer)
            yield answer

    def limit_ue(
        self, request: nodes_pb2.LimitRequest, slower: float, ues: Sequence[str] = ()
    ) -> nodes_pb2.Limited:
        """Give the UE less of its processor. It may be `slower` times as slow then.

        Of several, all or these `ues`, what was found to make the first one so slow is given to
        the others.
        """
        first, *others = ues or self.ues or self._flow.users
        limited = self._limit(first, request, slower)
        found = nodes_pb2.LimitRequest(cpus=limited.cpus, slowdown=limited.stretch)
        for other in others:
            self._limit(other, found if request.measure else request, slower)
        return limited

    def _limit(
        self, name: str, request: nodes_pb2.LimitRequest, slower: float
    ) -> nodes_pb2.Limited:
        timeout_s = ANSWER_S * slower
        return self.ask(
            name,
            lambda ue: rpc.UeStub(ue.channel).LimitProcessor(request, timeout=timeout_s),
            f"limit its processor in {timeout_s:.0f} s",
        )

    def warm_link(
        self, nbytes: Mapping[str, int], timeout_s: float, ues: Sequence[str] = ()
    ) -> None:
        """Send so many bytes that mean nothing each way, as hops are called: uplink, downlink2.

        Of several UEs, one after another, all or these `ues` do.
        """
        for number, (near, far) in enumerate(self._flow.links):
            up, down = (nbytes.get(hop_over(way, number), 0) for way in ("uplink", "downlink"))
            if up or down:
                request = nodes_pb2.WarmLinkRequest(bytes=up, back=down, peer=far)
                for one in ues or self._those(near):
                    self._warm(one, request, timeout_s)

    def _warm(self, near: str, request: nodes_pb2.WarmLinkRequest, timeout_s: float) -> None:
        self.ask(
            near,
            lambda node: rpc.StationsStub(node.channel).WarmLink(request, timeout=timeout_s),
            f"warm the link in {timeout_s:.0f} s",
        )

    def source_of(self, assignment: int) -> str:
        """The node where frames of an assignment begin."""
        ways = self._ways.get(assignment)
        return ways[0].stations[0].node if ways else self._those(self._flow.source)[0]

    def run_alone(self, frame: int, input_: int, assignment: int) -> nodes_pb2.FrameRecord:
        """As :meth:`run_frame`, of one station, which has the time that it takes."""
        number = next(self._numbers)
        request = nodes_pb2.FrameRequest(frame=number, input=input_, assignment=assignment)

        def run(node: Node) -> nodes_pb2.FrameRecord:
            return Patience(node).answer(rpc.StationsStub(node.channel).RunFrame.future(request))

        record = self.ask(self.source_of(assignment), run, f"run frame {frame}")
        record.frame = frame
        return record

    def run_next(self, input_: int, timeout_s: float, assignment: int) -> nodes_pb2.FrameRecord:
        """Take one input through as the frame that is next, from several threads at once.

        Of an assignment whose frames end where they begin; one that has these has no others.
        """
        request = nodes_pb2.FrameRequest(input=input_, assignment=assignment)
        return self.ask(
            self.source_of(assignment),
            lambda node: rpc.StationsStub(node.channel).RunFrame(request, timeout=timeout_s),
            f"run a frame in {timeout_s:.0f} s",
        )

    def run_frame(
        self, frame: int, input_: int, timeout_s: float, assignment: int
    ) -> nodes_pb2.FrameRecord:
        """Take one input through the stations of an assignment, as the caller's `frame`.

        May be called from several threads, each with an assignment of its own.
        """
        number, source = next(self._numbers), self.source_of(assignment)
        ways, what = self._ways.get(assignment, ()), f"run frame {frame} in {timeout_s:.0f} s"
        request = nodes_pb2.FrameRequest(
            frame=number,
            input=input_,
            assignment=assignment,
            others=[one.number for one in ways[1:]],
        )
        with ExitStack() as stack:
            waiting = [
                (one, stack.enter_context(self._awaited(one, number, timeout_s)))
                for one in ways
                if one.stations[-1].node != source
            ]
            began = self.ask(
                source,
                lambda node: rpc.StationsStub(node.channel).RunFrame(request, timeout=timeout_s),
                what,
            )
            told = [
                (one, self.ask(one.stations[-1].node, _answer(it), what)) for one, it in waiting
            ]
        record = together(told, self._model.info) if told else began
        record.frame = frame
        return record

    def offer(
        self, request: nodes_pb2.OfferRequest, still_s: float
    ) -> Generator[nodes_pb2.Outcome, None, None]:
        """Have frames begin as they are due, numbered anew; what became of each, as it is known.

        Given up where nothing moves for `still_s`. May be called from several threads, each with an
        assignment of its own.
        """
        request.first = next(self._numbers)
        for _ in request.due_ns or range(request.frames):
            next(self._numbers)  # those of its frames
        source = self.nodes[self.source_of(request.assignment)]
        told = Patience(source, still_s).each(rpc.StationsStub(source.channel).Offer(request))
        try:
            while some := self.ask(source.side, lambda _: next(told, None), "run a load"):
                yield from some.outcomes
        finally:
            told.close()

    def check_alive(self, error: str, source: str) -> None:
        """NodeError with what went wrong where a node has died that frames of this one meet."""
        for name, node in self.nodes.items():
            if name in self.ues and name != source:
                continue
            if how := node.ended():
                raise NodeError(f"the {name} node died{how}: {error}")

    @contextmanager
    def _awaited(
        self, way: nodes_pb2.Assignment, frame: int, timeout_s: float
    ) -> "Iterator[grpc.Future[nodes_pb2.FrameRecord]]":
        request = nodes_pb2.AwaitRequest(frame=frame, assignment=way.number)
        stub = rpc.StationsStub(self.nodes[way.stations[-1].node].channel)
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
                if other == name or {other, name} <= {*self.ues}:  # UEs do not wait for one another
                    continue
                if how := node.ended():
                    raise NodeError(f"the {other} node died{how}: {error}") from None
                if self.nodes[name].answers() and not node.answers():
                    raise NodeError(f"the {other} node {node.silent}: {error}") from None
            raise


def _answer(future: "grpc.Future[_Reply]") -> Callable[[Node], _Reply]:
    """What was asked of a node already."""
    return lambda _: future.result()


def _same(node: nodes_pb2.NodeDescription) -> object:
    return node.version, node.cpu, node.cpus, node.shaper, dict(node.packages)
