"""Two nodes that run as services on machines of their own, and the link between them."""

from collections.abc import Mapping

from netem import qdisc
from netem.link import Rates, ShapedLink
from netem.service import shape_message, shape_of
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines
from orchestrator.testbed.node import Node, RemoteNode
from splitbed.errors import LinkError
from splitbed.security.addresses import checked_address
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc

_TIMEOUT_S = 30.0


def check_machines(machines: Machines) -> None:
    """Refuse to talk to nodes that others reach, unless by TLS or by leave; UsageError."""
    if machines.tls is None and not machines.insecure:
        for place in (machines.ue, machines.edge):
            checked_address(place.control, allowed=False, doing="ask")


def remote_nodes(machines: Machines) -> tuple[RemoteNode, RemoteNode]:
    """UE and edge of a topology, not asked anything yet; UsageError for unusable certificates."""
    return (
        RemoteNode("ue", machines.ue, machines),
        RemoteNode("edge", machines.edge, machines),
    )


class MachinesLink(ShapedLink):
    """The nodes shape it: each what it sends; or one both ways, where the other cannot.

    Raises LinkError where some direction is shaped by neither.
    """

    rates = Rates()

    def __init__(
        self,
        ue: Node,
        edge: Node,
        ue_says: nodes_pb2.NodeDescription,
        edge_says: nodes_pb2.NodeDescription,
    ) -> None:
        self._ends = {"ue": ue, "edge": edge}
        self._says = {"ue": ue_says, "edge": edge_says}
        for side, other in (("ue", "edge"), ("edge", "ue")):
            if not self._says[side].shaper and not self._says[other].shapes_ingress:
                raise LinkError(
                    f"nothing shapes what the {side} node sends: give it `shaper: {{dev: …}}` in "
                    f"its configuration, or the {other} node `shaper: {{dev: …, ingress: true}}`"
                )
        kinds = sorted({said.shaper for said in self._says.values()} - {""})
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
        for side in self._shaping:
            with self._ends[side].asked("read the link's shape"):
                read[side] = self._stub(side).Read(nodes_pb2.ReadShapeRequest(), timeout=_TIMEOUT_S)
        return self._spec_of(read)

    def _apply(self, spec: LinkSpec) -> None:
        taken = {}
        for side in self._shaping:
            up, down = shape_message(spec.uplink), shape_message(spec.downlink)
            egress, ingress = (up, down) if side == "ue" else (down, up)
            request = nodes_pb2.ShapeRequest(egress=egress)
            if len(self._shaping) == 1:
                request.ingress.CopyFrom(ingress)
            with self._ends[side].asked("shape the link"):
                taken[side] = self._stub(side).Shape(request, timeout=_TIMEOUT_S)
        now = self._spec_of(taken)
        qdisc.compare(spec.uplink, now.uplink, "uplink")
        qdisc.compare(spec.downlink, now.downlink, "downlink")

    @property
    def _shaping(self) -> list[str]:
        return [side for side, said in self._says.items() if said.shaper]

    def _stub(self, side: str) -> nodes_pb2_grpc.ShaperStub:
        return nodes_pb2_grpc.ShaperStub(self._ends[side].channel)

    def _spec_of(self, shaped: Mapping[str, nodes_pb2.Shaped]) -> LinkSpec:
        if len(shaped) == 2:
            up, down = shaped["ue"].egress, shaped["edge"].egress
        elif "ue" in shaped:
            up, down = shaped["ue"].egress, shaped["ue"].ingress
        else:
            up, down = shaped["edge"].ingress, shaped["edge"].egress
        return LinkSpec(uplink=shape_of(up), downlink=shape_of(down))
