"""Links, brought up, with nodes at their ends that have the model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from netem.backends import AUTO, open_network
from netem.link import ShapedLink
from netem.service import shape_message
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines, Namespaces
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.machines import machine_links, remote_nodes
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node import Node
from orchestrator.testbed.node_process import local_nodes
from orchestrator.testbed.pair import Pair
from orchestrator.testbed.scratch import Scratch, remove_abandoned, scratch
from orchestrator.testbed.site import Site
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc

_PROOF_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Joint:
    """A link and the nodes at its ends: what ``near``, which dials ``far``, sends is its uplink.

    With a shape of its own, ``fixed``, it is that whatever a cell asks for.
    """

    near: Node
    far: Node
    link: ShapedLink
    fixed: LinkSpec | None = None

    @property
    def ends(self) -> tuple[Node, Node]:
        """Both nodes."""
        return self.near, self.far

    def shape(self, asked: LinkSpec) -> LinkSpec:
        """Shape it, where a cell asks for this, and say what it is to be; raises LinkError."""
        spec = self.fixed or asked
        self.link.shape(spec)
        return spec

    def prove(self, spec: LinkSpec) -> nodes_pb2.LinkProof:
        """Measure its rates and round trip between the nodes. Raises NodeError."""
        request = nodes_pb2.ProveLinkRequest(
            probe_port=self.far.says.probe_port,
            probe_token=self.far.says.probe_token,
            uplink=shape_message(spec.uplink),
            downlink=shape_message(spec.downlink),
            peer=self.far.side,
        )
        with self.near.asked(f"prove the link to the {self.far.side} node"):
            stub = nodes_pb2_grpc.LinksStub(self.near.channel)
            return stub.Prove(request, timeout=_PROOF_TIMEOUT_S)


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop.

    `nodes` and `links` are by their names in the topology; `link` is the first of these that has no
    shape of its own.
    """

    model: SweptModel
    link: ShapedLink
    pair: Pair
    interruption: Interruption
    nodes: Mapping[str, Node] = field(default_factory=dict)
    links: Mapping[str, Joint] = field(default_factory=dict)


@contextmanager
def testbed(site: Site, model: SweptModel, links: Sequence[LinkSpec]) -> Iterator[Testbed]:
    """Bring up nodes that have the model, the first of `links` shaped; take them down at the end.

    Raises SplitbedError for what is not possible.
    """
    remove_abandoned()
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        if isinstance(site.topology, Machines):
            nodes: Mapping[str, Node] = remote_nodes(site.topology, site.nodes)
            secure = site.topology.tls is not None
            pair = Pair(nodes["ue"], nodes["edge"], model, site.flow, secure=secure)
            interruption = _entered(stack, pair)
            joints = remote_joints(site, nodes, links)
        else:
            joints = stack.enter_context(local_joints(site, site.topology, space, links[0]))
            nodes = {node.side: node for joint in joints.values() for node in joint.ends}
            pair = Pair(nodes["ue"], nodes["edge"], model, site.flow)
            interruption = _entered(stack, pair)
        link = next(joint.link for joint in joints.values() if not joint.fixed)
        yield Testbed(model, link, pair, interruption, nodes, joints)


@contextmanager
def local_joints(
    site: Site, topology: Namespaces, space: Scratch, asked: LinkSpec
) -> Iterator[dict[str, Joint]]:
    """The links of a site on this machine, shaped; the nodes at their ends are not started."""
    (folder := space.folder / "link").mkdir()
    wanted = {name: (*place.ends, topology.subnets[name]) for name, place in site.links.items()}
    with open_network(site.backend or AUTO, folder, wanted) as network:
        ends = {place.ends: network.links[name] for name, place in site.links.items()}
        nodes = local_nodes(ends, space, topology.data_port)
        joints = _joints(site, nodes, network.links)
        for joint in joints.values():
            joint.shape(asked)
        yield joints


def remote_joints(
    site: Site, nodes: Mapping[str, Node], asked: Sequence[LinkSpec]
) -> dict[str, Joint]:
    """The links between machines whose nodes were started, each as the first of `asked`.

    Raises LinkError for what these nodes cannot shape of any.
    """
    places = {name: place.ends for name, place in site.links.items()}
    made = machine_links({name: (nodes[near], nodes[far]) for name, (near, far) in places.items()})
    joints = _joints(site, nodes, made)
    for name, joint in joints.items():
        for spec in asked:
            made[name].check(joint.fixed or spec)
    for joint in joints.values():
        joint.shape(asked[0])
    return joints


def _joints(
    site: Site, nodes: Mapping[str, Node], links: Mapping[str, ShapedLink]
) -> dict[str, Joint]:
    return {
        name: Joint(nodes[near], nodes[far], links[name], place.shape)
        for name, place in site.links.items()
        for near, far in [place.ends]
    }


def _entered(stack: ExitStack, pair: Pair) -> Interruption:
    interruption = Interruption()
    stack.enter_context(interruption.watched(pair.kill))
    stack.enter_context(pair)
    return interruption
