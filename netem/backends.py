"""The backends that can make a link, and the choice among them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

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
from netem.link import Addresses, Link
from netem.linkbox import open_linkbox
from netem.native import open_native
from splitbed.errors import MachineError, UsageError

__all__ = ["AUTO", "BACKENDS", "Backend", "choose", "diagnose", "open_link"]

AUTO = "auto"


@dataclass(frozen=True)
class Backend:
    """``needs`` says what the machine must have; ``open`` takes a run folder and the addresses."""

    needs: tuple[Callable[[], Finding], ...]
    open: Callable[[Path, Addresses], AbstractContextManager[Link]]

    def lacks(self) -> list[Finding]:
        """What is missing on this machine."""
        return [finding for need in self.needs if not (finding := need()).ok]


@contextmanager
def _open_mininet(run_dir: Path, addresses: Addresses) -> Iterator[Link]:
    from netem.mininet import open_mininet

    with open_mininet(run_dir, addresses) as link:
        yield link


_ANY = (privilege, ip, tc, cubic_in_kernel)

BACKENDS: dict[str, Backend] = {
    "native": Backend((*_ANY, netem_in_kernel), open_native),
    "linkbox": Backend((*_ANY, link_box, tun, ethtool, insmod), open_linkbox),
    "mininet": Backend((*_ANY, mininet), _open_mininet),  # without sch_netem: rates only
}


def choose(name: str = AUTO) -> str:
    """The backend to use: ``name`` when this machine can, or for "auto" the best that it can.

    Raises UsageError for an unknown name, MachineError with what to install when it cannot.
    """
    if name != AUTO and name not in BACKENDS:
        raise UsageError(
            f"unknown link backend {name!r}; choose from {', '.join((AUTO, *BACKENDS))}"
        )
    candidates = ("native", "linkbox") if name == AUTO else (name,)
    lacking: list[str] = []
    for candidate in candidates:
        missing = BACKENDS[candidate].lacks()
        if not missing:
            return candidate
        lacking += [f"  {candidate}: {f.name}: {f.detail}; repair: {f.repair}" for f in missing]
    which = "no link backend works" if name == AUTO else f"the link backend {name} does not work"
    raise MachineError("\n".join([f"{which} on this machine", *lacking]))


@contextmanager
def open_link(name: str, run_dir: Path, subnet: str = "10.77.0.0/24") -> Iterator[Link]:
    """A link by the backend that :func:`choose` picks, unshaped until :meth:`Link.shape`.

    What the backend keeps on disk goes below ``run_dir`` and is removed. Raises UsageError,
    MachineError, LinkError.
    """
    addresses = Addresses.of(subnet)
    with BACKENDS[choose(name)].open(run_dir, addresses) as link:
        yield link
