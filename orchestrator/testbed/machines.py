"""Nodes that run as services on machines of their own, and the links between them."""

from collections import Counter
from collections.abc import Iterable, Mapping

from netem import qdisc
from netem.link import Rates, ShapedLink
from netem.service import shape_message, shape_of
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines
from orchestrator.testbed.nodes.node import Node, RemoteNode
from splitbed.errors import LinkError
from splitbed.security.addresses import checked_address
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc

_TIMEOUT_S = 30.0


def check_machines(machines: Machines, nodes: Iterable[str]) -> None:
    """Refuse to talk to nodes that others reach, unless by TLS or by leave; UsageError."""
    if machines.tls is None and not machines.insecure:
        for node in nodes:
            checked_address(machines.nodes[node].control, allowed=False, doing="ask")


def remote_nodes(machines: Machines, nodes: Iterable[str]) -> dict[str, RemoteNode]:
    """These nodes, not asked anything yet; UsageError for unusable certificates."""
    return {node: RemoteNode(node, machines.nodes[node], machines) for node in nodes}


def machine_links(ends: Mapping[str, tuple[Node, Node]]) -> dict[str, "MachinesLink"]:
    """The links between nodes that have started, by name; LinkError for one that none can shape."""
    links = Counter(node.side for both in ends.values() for node in both)
    for near, far in ends.values():
        for node, peer in ((near, far), (far, near)):
            if links[node.side] > 1 and any(not one.towards for one in node.says.shapes):
                raise LinkError(
                    f"the {node.side} node has {links[node.side]} links and one shaper for all: "
                    "give each its own in its configuration, `shaper: [{dev: …, towards: "
                    f"{peer.side}}}, …]`"
                )
    return {name: MachinesLink(*both) for name, both in ends.items()}


class MachinesLink(ShapedLink):
    """The nodes at its ends shape it: each what it sends; or one both ways, where the other cannot.

    Raises LinkError where some direction is shaped by neither.
    """

    rates = Rates()

    def __init__(self, near: Node, far: Node) -> None:
        self._near, self._far = near, far
        sides = {node: _side(node, peer) for node, peer in ((near, far), (far, near))}
        for node, peer in ((near, far), (far, near)):
            other = sides[peer]
            if sides[node] is None and not (other and other.ingress):
                raise LinkError(
                    f"nothing shapes what the {node.side} node sends: give it `shaper: {{dev: …}}` "
                    f"in its configuration, or the {peer.side} node `shaper: {{dev: …, ingress: "
                    "true}`"
                )
        self._shaping = [node for node, side in sides.items() if side]
        kinds = sorted({node.says.shaper for node in self._shaping})
        self.backend = f"nodes-{'+'.join(kinds)}"
        self.rates = Rates(holds="tbf" not in kinds)

    def check(self, spec: LinkSpec) -> None:
        """Raise LinkError for what these nodes cannot shape, before anything is measured."""
        shapes = (spec.uplink, spec.downlink)
        if "tbf" in self.backend and any(s.delay_ms or s.loss_pct for s in shapes):
            raise LinkError(
                f"cannot shape a link of {spec.words}: a node's kernel has no sch_netem, so that "
                "only rates can be shaped; repair: modprobe sch_netem there, or ask for no delay, "
                "jitter and loss"
            )

    def read_back(self) -> LinkSpec:
        read = {}
        for node in self._shaping:
            request = nodes_pb2.ReadShapeRequest(towards=self._peer(node).side)
            with node.asked("read the link's shape"):
                read[node] = _stub(node).Read(request, timeout=_TIMEOUT_S)
        return self._spec_of(read)

    def _apply(self, spec: LinkSpec) -> None:
        taken = {}
        for node in self._shaping:
            up, down = shape_message(spec.uplink), shape_message(spec.downlink)
            egress, ingress = (up, down) if node is self._near else (down, up)
            request = nodes_pb2.ShapeRequest(egress=egress, towards=self._peer(node).side)
            if len(self._shaping) == 1:
                request.ingress.CopyFrom(ingress)
            with node.asked("shape the link"):
                taken[node] = _stub(node).Shape(request, timeout=_TIMEOUT_S)
        now = self._spec_of(taken)
        qdisc.compare(spec.uplink, now.uplink, "uplink")
        qdisc.compare(spec.downlink, now.downlink, "downlink")

    def _peer(self, node: Node) -> Node:
        return self._far if node is self._near else self._near

    def _spec_of(self, shaped: Mapping[Node, nodes_pb2.Shaped]) -> LinkSpec:
        near, far = shaped.get(self._near), shaped.get(self._far)
        up = near.egress if near else shaped[self._far].ingress
        down = far.egress if far else shaped[self._near].ingress
        return LinkSpec(uplink=shape_of(up), downlink=shape_of(down))


def _side(node: Node, peer: Node) -> nodes_pb2.ShapedSide | None:
    return next((one for one in node.says.shapes if one.towards in ("", peer.side)), None)


def _stub(node: Node) -> nodes_pb2_grpc.ShaperStub:
    return nodes_pb2_grpc.ShaperStub(node.channel)
