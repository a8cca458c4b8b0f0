"""The nodes of one run, at the ends of its links."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Self, TypeVar

from orchestrator.ask.crowd import UE
from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.ask.topology import kind_of
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.testbed.loading.given import give_input, give_model, give_reference
from orchestrator.testbed.loading.patience import Patience
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.clocks import Clocks
from orchestrator.testbed.nodes.meters import Meters
from orchestrator.testbed.nodes.node import ANSWER_S, Node
from orchestrator.testbed.nodes.proofs import Proofs
from orchestrator.testbed.nodes.ways import Ways
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
        source = self._those(self._flow.source)[0]
        self.ways = Ways(self.nodes, self.ask, model.info, source, crowd=bool(ues))
        self.references = TensorFiles(model.stored.folder / "references")
        """What the whole model makes of each input, on the edge."""
        self.proofs = Proofs(self.nodes, self.links, self.ask)
        self.meters = Meters(self.nodes)
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

    def check_alive(self, error: str, source: str) -> None:
        """NodeError with what went wrong where a node has died that frames of this one meet."""
        for name, node in self.nodes.items():
            if name in self.ues and name != source:
                continue
            if how := node.ended():
                raise NodeError(f"the {name} node died{how}: {error}")

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


def _same(node: nodes_pb2.NodeDescription) -> object:
    return node.version, node.cpu, node.cpus, node.shaper, dict(node.packages)
