"""The backends that can make a link, by name, and the choice among them.

A user's package adds one through the entry-point group ``splitbed.link_backends``: an object with
what :class:`Backend` has.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from netem.backends.linkbox import open_linkbox
from netem.backends.native import open_native
from netem.backends.network import Cable, Network, cables
from netem.doctor import (
    Finding,
    cubic_in_kernel,
    diagnose,
    ethtool,
    insmod,
    ip,
    link_box,
    mininet,
    netem_in_kernel,
    privilege,
    tc,
    tun,
)
from netem.link import DEVICE, Addresses, Link, Rates
from netem.spec import LinkSpec
from splitbed.errors import MachineError, UsageError
from splitbed.extensions import Extensible

__all__ = [
    "AUTO",
    "BACKENDS",
    "GROUP",
    "Backend",
    "Network",
    "check_links",
    "check_rates",
    "choose",
    "diagnose",
    "open_link",
    "open_network",
]

AUTO = "auto"
GROUP = "splitbed.link_backends"
_LINK = "link"  # of the two nodes that have one

# Measured on two shared cores: TCP got 0.99 to 1.00 of the rate at 150 Mbit/s and 0.73 to 1.00 at
# 200, where the box's one CPU is full.
_LINKBOX = Rates(most_mbit=150.0)
# It makes its qdiscs anew for each change; without sch_netem it shapes rates only.
_MININET = Rates(holds=False)


class Backend(Protocol):
    """Makes links."""

    @property
    def rates(self) -> Rates:
        """What rates its links are trusted with."""

    def lacks(self) -> list[Finding]:
        """What this machine lacks for it, each with its repair."""

    def open(self, run_dir: Path, addresses: Addresses) -> AbstractContextManager[Link]:
        """A link between two new namespaces, unshaped; what it keeps on disk goes below `run_dir`.

        Raises LinkError, MachineError.
        """


@runtime_checkable
class NetworkBackend(Backend, Protocol):
    """One that can join more than two nodes, by as many links as there are cables."""

    def open_network(
        self, run_dir: Path, wanted: Mapping[str, Cable], /
    ) -> AbstractContextManager[Network]:
        """All of them at once, otherwise as :meth:`open`."""


@dataclass(frozen=True)
class _Ours:
    needs: tuple[Callable[[], Finding], ...]
    open_network: Callable[[Path, Mapping[str, Cable]], AbstractContextManager[Network]]
    rates: Rates

    def lacks(self) -> list[Finding]:
        if not (root := privilege()).ok:
            return [root]  # what else is tried in a namespace fails without it
        return [finding for need in self.needs if not (finding := need()).ok]

    @contextmanager
    def open(self, run_dir: Path, addresses: Addresses) -> Iterator[Link]:
        cable = Cable("ue", "edge", DEVICE, DEVICE, addresses)
        with self.open_network(run_dir, {_LINK: cable}) as network:
            yield network.links[_LINK]


@contextmanager
def _open_mininet(run_dir: Path, wanted: Mapping[str, Cable]) -> Iterator[Network]:
    from netem.backends.mininet import open_mininet

    with open_mininet(run_dir, wanted) as network:
        yield network


_ANY = (ip, tc, cubic_in_kernel)

BACKENDS: Extensible[Backend] = Extensible(
    GROUP,
    "link backend",
    {
        "native": _Ours((*_ANY, netem_in_kernel), open_native, Rates()),
        "linkbox": _Ours((*_ANY, link_box, tun, ethtool, insmod), open_linkbox, _LINKBOX),
        "mininet": _Ours((*_ANY, mininet), _open_mininet, _MININET),
    },
    kind="Backend of netem.backends",
    needs=("rates", "lacks", "open"),
    reserved=(AUTO,),
)


def choose(name: str = AUTO) -> str:
    """The backend to use: ``name`` when this machine can, or for "auto" the best of ours.

    Raises UsageError for an unknown name, MachineError with what to install when it cannot.
    """
    candidates = ("native", "linkbox") if name == AUTO else (name,)
    lacking: list[str] = []
    for candidate in candidates:
        missing = BACKENDS.named(candidate, or_else=f", or {AUTO}").lacks()
        if not missing:
            return candidate
        lacking += [f"  {candidate}: {f.name}: {f.detail}; repair: {f.repair}" for f in missing]
    which = "no link backend works" if name == AUTO else f"the link backend {name} does not work"
    raise MachineError("\n".join([f"{which} on this machine", *lacking]))


def check_rates(name: str, spec: LinkSpec) -> None:
    """Raise UsageError when that backend cannot do the rates of ``spec`` accurately."""
    try:
        BACKENDS.named(name).rates.check(name, spec)
    except UsageError as error:
        able = [other for other, backend in BACKENDS.own.items() if backend.rates.allow(spec)]
        advice = f"backend {' or '.join(able)} could" if able else "no backend could"
        raise UsageError(f"{error}; {advice}") from None


@contextmanager
def open_link(name: str, run_dir: Path, subnet: str = "10.77.0.0/24") -> Iterator[Link]:
    """A link by the backend that :func:`choose` picks, unshaped until :meth:`Link.shape`.

    What the backend keeps on disk goes below ``run_dir`` and is removed. This process stays what it
    is, whatever threads it has and whoever runs it. Raises UsageError, MachineError, LinkError.
    """
    addresses = Addresses.of(subnet)
    backend = BACKENDS[choose(name)]
    with backend.open(run_dir, addresses) as link:
        link.rates = backend.rates
        yield link


def check_links(name: str, links: int) -> None:
    """Raise UsageError when that backend cannot make so many links at once."""
    if links > 1 and not isinstance(BACKENDS.named(name), NetworkBackend):
        able = [other for other, one in BACKENDS.own.items() if isinstance(one, NetworkBackend)]
        raise UsageError(
            f"the link backend {name} makes one link, {links} are wanted: choose {', '.join(able)}"
        )


@contextmanager
def open_network(
    name: str, run_dir: Path, wanted: Mapping[str, tuple[str, str, str]]
) -> Iterator[Network]:
    """Nodes and links, each link given by name: its two nodes, the nearer to the user first, and
    its subnet. Otherwise as :func:`open_link`.
    """
    laid, name = cables(wanted), choose(name)
    check_links(name, len(laid))
    backend = BACKENDS[name]
    with ExitStack() as stack:
        if isinstance(backend, NetworkBackend):
            network = stack.enter_context(backend.open_network(run_dir, laid))
        else:
            [(called, cable)] = laid.items()
            link = stack.enter_context(backend.open(run_dir, cable.addresses))
            network = Network({cable.ue: link.ue, cable.edge: link.edge}, {called: link})
        for link in network.links.values():
            link.rates = backend.rates
        yield network
