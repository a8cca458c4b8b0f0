"""A link: two namespaces, and two egresses that sch_netem shapes, one for each direction."""

import ipaddress
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from netem import qdisc
from netem.namespace import Namespace
from netem.spec import LinkSpec, Shape
from splitbed.errors import LinkError, NodeError, UsageError


@dataclass(frozen=True)
class Rates:
    """With which rates a backend is trusted: there it carries what the rate allows, within 1 %.

    Below the least, a proof, which needs some 20 full frames each way, takes longer than it is
    worth. Native netem's most was not measured.
    """

    least_mbit: float = 0.05
    most_mbit: float = 1000.0
    holds: bool = True
    """Whether a change of the delay leaves what waits where it is, as an outage needs."""

    def allow(self, spec: LinkSpec) -> bool:
        """Whether both directions of ``spec`` are within them."""
        both = (spec.uplink.rate_mbit, spec.downlink.rate_mbit)
        return self.least_mbit <= min(both) and max(both) <= self.most_mbit

    def check(self, backend: str, spec: LinkSpec) -> None:
        """Raise UsageError where they do not allow ``spec``."""
        if self.allow(spec):
            return
        both = (spec.uplink.rate_mbit, spec.downlink.rate_mbit)
        if (least_mbit := min(both)) < self.least_mbit:
            raise UsageError(
                f"rate {least_mbit:g} Mbit/s is too slow to be proved in reasonable time: "
                f"backend {backend} begins at {self.least_mbit:g} Mbit/s"
            )
        raise UsageError(
            f"rate {max(both):g} Mbit/s is above the {self.most_mbit:g} Mbit/s "
            f"that backend {backend} does accurately"
        )


DEVICE = "data0"
"""Name of a link's interface in a namespace, where it has no other."""


class Egress(Protocol):
    """The shaped end of one direction."""

    def apply(self, shape: Shape) -> Shape:
        """Set ``shape`` in the kernel and return what the kernel then says."""

    def read(self) -> Shape:
        """What the kernel says."""


class ShapedLink(ABC):
    """Two shaped directions; ``backend`` names what shapes them, and ``rates`` what it can."""

    backend: str
    rates: Rates
    _spec: LinkSpec | None = None

    def shape(self, spec: LinkSpec) -> None:
        """Shape both directions and check each against the kernel.

        Both or neither: when one fails the earlier shape is put back and the error raised again, a
        LinkError or, of a link between machines, a NodeError.
        Raises UsageError for a rate that this backend cannot do accurately.
        """
        self.rates.check(self.backend, spec)
        try:
            self._apply(spec)
        except (LinkError, NodeError) as error:
            if self._spec is None:
                raise
            try:
                self._apply(self._spec)
            except (LinkError, NodeError) as second:
                raise type(error)(
                    f"{error}; putting the earlier shape back failed too: {second}"
                ) from None
            raise type(error)(f"{error}; the earlier shape was put back") from None
        self._spec = spec

    @abstractmethod
    def read_back(self) -> LinkSpec:
        """What the kernel says about both directions now. Raises LinkError when unshaped."""

    @abstractmethod
    def _apply(self, spec: LinkSpec) -> None:
        """Shape both directions, or raise."""


@dataclass(kw_only=True)
class Link(ShapedLink):
    """Two namespaces joined by a shaped link. Opened by :func:`netem.backends.open_link`.

    ``ue`` is the end nearer the user, ``edge`` the other, whatever their nodes are called.
    """

    backend: str
    rates: Rates = Rates()
    ue: Namespace
    edge: Namespace
    ue_address: str
    edge_address: str
    ue_device: str = DEVICE
    edge_device: str = DEVICE
    uplink: Egress
    downlink: Egress

    def read_back(self) -> LinkSpec:
        return LinkSpec(uplink=self.uplink.read(), downlink=self.downlink.read())

    def _apply(self, spec: LinkSpec) -> None:
        qdisc.compare(spec.uplink, self.uplink.apply(spec.uplink), "uplink")
        qdisc.compare(spec.downlink, self.downlink.apply(spec.downlink), "downlink")


@dataclass(frozen=True)
class Addresses:
    """The two ends' IPv4 addresses in ``subnet``."""

    ue: str
    edge: str
    prefix_bits: int

    @classmethod
    def of(cls, subnet: str) -> "Addresses":
        """The first two hosts of ``subnet`` (``10.77.0.0/24``). Raises UsageError."""
        try:
            network = ipaddress.IPv4Network(subnet)
            ue, edge = (str(network[index]) for index in (1, 2))
        except (ValueError, IndexError) as error:
            raise UsageError(f"subnet {subnet!r}: {error}") from None
        return cls(ue, edge, network.prefixlen)
