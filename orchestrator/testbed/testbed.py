"""A link, brought up, with a pair of nodes at its ends that have the model."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from netem.backends import AUTO, open_link
from netem.link import ShapedLink
from netem.spec import LinkSpec
from orchestrator.ask.topology import Machines
from orchestrator.testbed.interruption import Interruption
from orchestrator.testbed.machines import MachinesLink, remote_nodes
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.node_process import local_nodes
from orchestrator.testbed.pair import Pair
from orchestrator.testbed.scratch import remove_abandoned, scratch
from orchestrator.testbed.site import Site


@dataclass(frozen=True)
class Testbed:
    """What a measurement needs; `interruption` says when it is to stop."""

    model: SweptModel
    link: ShapedLink
    pair: Pair
    interruption: Interruption


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
