"""Links, brought up, with nodes at their ends that have the model."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from netem.backends import AUTO, BACKENDS, choose, open_network
from netem.backends.cell import open_cell
from netem.link import ShapedLink
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines, Namespaces
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.machines import machine_links, remote_nodes
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.node import Node
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import Scratch, remove_abandoned, scratch
from orchestrator.testbed.site import Site


@dataclass(frozen=True)
class Joint:
    """A link and the nodes at its ends: what ``near``, which dials ``far``, sends is its uplink."""

    near: Node
    far: Node
    link: ShapedLink

    @property
    def ends(self) -> tuple[Node, Node]:
        """Both nodes."""
        return self.near, self.far


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop.

    `nodes` and `links` are by their names in the topology; `link` is the first of these.
    """

    model: SweptModel
    link: ShapedLink
    pair: Pair
    interruption: Interruption
    nodes: Mapping[str, Node] = field(default_factory=dict)
    links: Mapping[str, Joint] = field(default_factory=dict)

    def shape(self, links: Sequence[LinkSpec]) -> tuple[LinkSpec, ...]:
        """Shape each link so, in their order; what the kernel says of each. Raises LinkError."""
        for number, (_, spec) in enumerate(in_order(self.pair.links, links)):
            self.pair.proofs.shaped(number, spec)
        return shape_each([joint.link for joint in self.links.values()] or [self.link], links)


_Link = TypeVar("_Link")


def in_order(links: Sequence[_Link], specs: Sequence[LinkSpec]) -> list[tuple[_Link, LinkSpec]]:
    """Each link with what it is to be: where fewer are told, those that follow are as the last."""
    return [(link, specs[min(place, len(specs) - 1)]) for place, link in enumerate(links)]


def shape_each(links: Sequence[ShapedLink], specs: Sequence[LinkSpec]) -> tuple[LinkSpec, ...]:
    """Shape links; what the kernel says of each. Raises LinkError."""
    for link, spec in in_order(links, specs):
        link.shape(spec)
    return tuple(link.read_back() for link in links)


@contextmanager
def testbed(
    site: Site, model: SweptModel, links: Sequence[Sequence[LinkSpec]]
) -> Iterator[Testbed]:
    """Bring up nodes that have the model, their links as the first of `links`; take them down.

    Each of these are the links of a flow, in its order; those that follow the last are as that.

    Raises SplitbedError for what is not possible.
    """
    remove_abandoned()
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        if isinstance(site.topology, Machines):
            nodes: Mapping[str, Node] = remote_nodes(site.topology, site.nodes)
            secure = site.topology.tls is not None
            pair = Pair(nodes, model, site.flow, secure=secure)
            interruption = _entered(stack, pair)
            joints = remote_joints(site, nodes, links)
        elif site.shared:
            nodes, joints = stack.enter_context(local_cell(site, site.topology, space, links[0]))
            pair = Pair(nodes, model, site.flow, ues=[own.name for own in site.ues])
            interruption = _entered(stack, pair)
        else:
            joints = stack.enter_context(local_joints(site, site.topology, space, links[0]))
            nodes = {node.side: node for joint in joints.values() for node in joint.ends}
            pair = Pair(nodes, model, site.flow)
            interruption = _entered(stack, pair)
        first = next(iter(joints.values()))
        yield Testbed(model, first.link, pair, interruption, nodes, joints)


@contextmanager
def local_joints(
    site: Site, topology: Namespaces, space: Scratch, asked: Sequence[LinkSpec]
) -> Iterator[dict[str, Joint]]:
    """The links of a site on this machine, shaped; the nodes at their ends are not started."""
    (folder := space.folder / "link").mkdir()
    wanted = {name: (*ends, topology.subnets[name]) for name, ends in site.links.items()}
    with open_network(site.backend or AUTO, folder, wanted) as network:
        made = {ends: network.links[name] for name, ends in site.links.items()}
        nodes = local_nodes(
            made,
            space,
            topology.data_port,
            clients=site.clients,
            model_coders=site.model_coders,
            providers=site.providers,
        )
        shape_each([network.links[name] for name in site.links], asked)
        yield _joints(site, nodes, network.links)


@contextmanager
def local_cell(
    site: Site, topology: Namespaces, space: Scratch, asked: Sequence[LinkSpec]
) -> Iterator[tuple[Mapping[str, Node], dict[str, Joint]]]:
    """The nodes of a site that reach another through one link, which is shaped.

    What a UE has of its own on the way there is shaped, too. The nodes are not started.
    """
    (folder := space.folder / "link").mkdir()
    backend, ues = choose(site.backend or AUTO), [own.name for own in site.ues]
    first, edge = next(iter(site.links)), next(iter(site.links.values()))[1]
    if ues:
        nearest = {first: ues[0]}
        subnets = {edge: topology.subnets[first], **topology.accesses(ues)}
    else:
        nearest = {name: near for name, (near, _) in site.links.items()}
        accesses = {near: topology.subnets[name] for name, near in nearest.items()}
        subnets = {edge: topology.shared_subnet, **accesses}
    most_mbit = BACKENDS[backend].rates.most_mbit
    own = {one.name: link for one in site.ues if (link := one.access(most_mbit))}
    with open_cell(backend, folder, edge, subnets, own) as cell:
        ways = {(ue, edge): way for ue, way in cell.ways.items()}
        nodes = local_nodes(
            ways, space, topology.data_port, clients=site.clients, providers=site.providers
        )
        shape_each([cell.shared], asked)
        yield (
            nodes,
            {name: Joint(nodes[near], nodes[edge], cell.shared) for name, near in nearest.items()},
        )


def remote_joints(
    site: Site, nodes: Mapping[str, Node], asked: Sequence[Sequence[LinkSpec]]
) -> dict[str, Joint]:
    """The links between machines whose nodes were started, each as the first of `asked`.

    Raises LinkError for what these nodes cannot shape of any.
    """
    made = machine_links(
        {name: (nodes[near], nodes[far]) for name, (near, far) in site.links.items()}
    )
    links = [made[name] for name in site.links]
    for specs in asked:
        for link, spec in in_order(links, specs):
            link.check(spec)
    shape_each(links, asked[0])
    return _joints(site, nodes, made)


def _joints(
    site: Site, nodes: Mapping[str, Node], links: Mapping[str, ShapedLink]
) -> dict[str, Joint]:
    return {
        name: Joint(nodes[near], nodes[far], links[name])
        for name, (near, far) in site.links.items()
    }


def _entered(stack: ExitStack, pair: Pair) -> Interruption:
    interruption = Interruption()
    stack.enter_context(interruption.watched(pair.kill))
    stack.enter_context(pair)
    return interruption
