"""Where testbeds can be brought up: checked once, before anything is made."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from netem.backends import AUTO, BACKENDS, check_links, check_rates, choose
from netem.spec import LinkSpec
from orchestrator.ask.crowd import Crowd, crowds
from orchestrator.ask.flow import FLOWS, UPLINK, Link
from orchestrator.ask.pace import paces
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import Namespaces, Topology
from orchestrator.testbed.local import LocalModel, local_model
from orchestrator.testbed.machines import MachinesLink, check_machines
from orchestrator.testbed.nodes.node_process import expect_nodes
from splitbed.errors import UsageError
from splitbed.node.processor import Processor
from splitbed.runtime import check_provider
from splitbed.runtime.provider import provider_of


@dataclass(frozen=True)
class Site:
    """Where testbeds can be brought up: a topology that was checked, and what shapes links there.

    `backend` is None where the nodes of a topology of machines shape theirs themselves. What the
    `flow` does not need of the topology stays as it is.
    """

    topology: Topology
    backend: str | None
    flow: str = UPLINK
    clients: int = 0
    """Requests of clients that its UE has under way at once; 0: it answers none."""
    model_coders: tuple[str, ...] = ()
    """Classes that its UE decodes models with."""
    providers: Mapping[str, str] = field(default_factory=dict)
    """What computes the parts of UEs and of edges, as their command lines have it, where asked."""
    ues: Crowd = ()
    """Those that share its link, where several do: as many as in the largest cell."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """Those that take part."""
        return FLOWS[self.flow].nodes

    @property
    def shared(self) -> bool:
        """Whether several nodes reach another through one link: its UEs, or all that dial it."""
        return bool(self.ues) or (isinstance(self.topology, Namespaces) and self.topology.shared)

    @property
    def links(self) -> dict[str, Link]:
        """Between which of them each link is, by its name in the topology; as the flow has them."""
        names = {place.ends: name for name, place in self.topology.links.items()}
        return {names[ends]: ends for ends in FLOWS[self.flow].links}

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


def checked_site(config: SweepConfig, *, several: bool = False) -> Site:
    """Where `config` is to run, checked once and for all: its backend, its links, its paces.

    Raises UsageError for links that it cannot shape, and for several UEs unless these can be
    measured; MachineError where nothing here can.
    """
    topology, ues = config.place, crowds(config)[-1]
    if not several:
        check_one_ue(config)
    if isinstance(topology, Namespaces):
        wanted = config.link_backend
        backend = choose(topology.link_backend if wanted == AUTO else wanted)
        providers = _providers(config)
        site = Site(topology, backend, config.flow, providers=providers, ues=ues)
        links = 1 if site.shared else len(site.links)
        check_links(backend, links + sum(own.shaped for own in ues))
        most_mbit = BACKENDS[backend].rates.most_mbit
        site.check(link for own in ues if (link := own.access(most_mbit)))
        own = [own.pace for own in ues if own.pace]
        if any(pace.limits for pace in [*paces(config), *own]):
            Processor().close()
    else:
        check_machines(topology, FLOWS[config.flow].nodes)
        if config.link_backend != AUTO:
            raise UsageError(
                f"--link-backend {config.link_backend} is for links made here: the nodes of "
                f"{topology.name} shape theirs themselves"
            )
        if asked := _providers(config):
            kind, words = next(iter(asked.items()))
            raise UsageError(
                f"--{kind}-provider {words} is for nodes that are started here: give those of "
                f"{topology.name} `provider:` in their own files"
            )
        site = Site(topology, None, config.flow)
    site.check(link for links in config.flow_links for link in links)
    return site


def _providers(config: SweepConfig) -> dict[str, str]:
    """By the kind of node; UsageError for one that no runtime here has."""
    asked = {"ue": config.ue_provider, "edge": config.edge_provider}
    told = {kind: words for kind, words in asked.items() if words}
    for words in told.values():
        check_provider(provider_of(words))
    return told


def check_one_ue(config: SweepConfig) -> None:
    """Raise UsageError where several UEs are asked for."""
    if not crowds(config)[-1]:
        return
    if max(config.ues or (1,)) > 1:
        told, repair = f"--ues {','.join(map(str, config.ues or ()))}", "leave it"
    else:
        told, repair = f"the UEs of the topology {config.place.name}", "give another --topology"
    raise UsageError(f"{told}: sweep and capacity alone measure several UEs: {repair}")


@dataclass(frozen=True)
class Prepared:
    """What a run needs before its testbed: where it is, and the model and its inputs, opened."""

    site: Site
    local: LocalModel


@contextmanager
def prepared(config: SweepConfig, *, several: bool = False) -> Iterator[Prepared]:
    """Check and open, each once for all that a run does with them, of `several` UEs, too.

    Raises SplitbedError.
    """
    site = checked_site(config, several=several)
    with local_model(config) as local:
        if isinstance(site.topology, Namespaces):
            expect_nodes()  # while links are brought up
        yield Prepared(site, local)
