"""A link backend: the best of Splitbed's, whose two ends are a satellite apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netem.backends import BACKENDS, choose
from netem.doctor import Finding
from netem.link import Addresses, Egress, Link, Rates
from netem.spec import Shape

ORBIT_MS = 25.0


def _farther(shape: Shape, by_ms: float) -> Shape:
    return Shape(**{**dict(shape), "delay_ms": shape.delay_ms + by_ms})


@dataclass(frozen=True)
class _Far:
    """An egress that is shaped as asked, and then some way off."""

    egress: Egress

    def apply(self, shape: Shape) -> Shape:
        return _farther(self.egress.apply(_farther(shape, ORBIT_MS)), -ORBIT_MS)

    def read(self) -> Shape:
        return _farther(self.egress.read(), -ORBIT_MS)


class _Backend:
    rates = Rates(most_mbit=100.0)

    def lacks(self) -> list[Finding]:
        return BACKENDS[choose()].lacks()

    @contextmanager
    def open(self, run_dir: Path, addresses: Addresses) -> Iterator[Link]:
        with BACKENDS[choose()].open(run_dir, addresses) as link:
            up, down = _Far(link.uplink), _Far(link.downlink)
            yield replace(link, backend="far", uplink=up, downlink=down)


BACKEND = _Backend()
