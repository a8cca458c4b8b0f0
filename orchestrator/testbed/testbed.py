"""A link, brought up, with a pair of nodes at its ends that have the model."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from netem.backends import AUTO, check_rates, choose, open_link
from netem.link import ShapedLink
from netem.spec import LinkSpec
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.pace import paces
from orchestrator.ask.topology import Machines, Namespaces, Topology, load_topology
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.machines import MachinesLink, check_machines, remote_nodes
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node_process import local_nodes
from orchestrator.testbed.pair import Pair
from orchestrator.testbed.scratch import remove_abandoned, scratch
from splitbed.errors import UsageError
from splitbed.node.processor import Processor


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop."""

    model: SweptModel
    link: ShapedLink
    pair: Pair
    interruption: Interruption


@dataclass(frozen=True)
class Site:
    """Where testbeds can be brought up: a topology that was checked, and what shapes links there.

    `backend` is None where the nodes of a topology of machines shape theirs themselves.
    """

    topology: Topology
    backend: str | None

    def check(self, links: Iterable[LinkSpec]) -> None:
        """Raise UsageError for a link that cannot be shaped here."""
        for spec in links:
            if self.backend is None:
                MachinesLink.rates.check("nodes-netem", spec)
            else:
                check_rates(self.backend, spec)

    def can_shape(self, spec: LinkSpec) -> bool:
        """Whether a link of these rates can be shaped here."""
        try:
            self.check([spec])
        except UsageError:
            return False
        return True


def checked_site(config: SweepConfig) -> Site:
    """Where `config` is to run, checked once and for all: its backend, its links, its paces.

    Raises UsageError for links that it cannot shape, MachineError where nothing here can.
    """
    topology = load_topology(config.topology)
    if isinstance(topology, Namespaces):
        wanted = config.link_backend
        site = Site(topology, choose(topology.link_backend if wanted == AUTO else wanted))
        if any(pace.limits for pace in paces(config)):
            Processor().close()
    else:
        check_machines(topology)
        if config.link_backend != AUTO:
            raise UsageError(
                f"--link-backend {config.link_backend} is for links made here: the nodes of "
                f"{topology.name} shape theirs themselves"
            )
        site = Site(topology, None)
    site.check(config.links)
    return site


@contextmanager
def testbed(site: Site, model: SweptModel, links: Sequence[LinkSpec]) -> Iterator[Testbed]:
    """Bring up a pair that has the model, the first of `links` shaped; take it down at the end.

    Raises SplitbedError for what is not possible.
    """
    remove_abandoned()
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        if isinstance(site.topology, Machines):
            ue, edge = remote_nodes(site.topology)
            secure = site.topology.tls is not None
            pair, interruption = _entered(stack, Pair(ue, edge, model, secure=secure))
            machines = MachinesLink(ue, edge, pair.ue, pair.edge)
            for spec in links:
                machines.check(spec)
            link: ShapedLink = machines
            link.shape(links[0])
        else:
            (folder := space.folder / "link").mkdir()
            link = made = stack.enter_context(
                open_link(site.backend or AUTO, folder, site.topology.subnet)
            )
            link.shape(links[0])
            nodes = local_nodes(made, space, site.topology.data_port)
            pair, interruption = _entered(stack, Pair(*nodes, model))
        yield Testbed(model, link, pair, interruption)


def _entered(stack: ExitStack, pair: Pair) -> tuple[Pair, Interruption]:
    interruption = Interruption()
    stack.enter_context(interruption.watched(pair.kill))
    return stack.enter_context(pair), interruption
