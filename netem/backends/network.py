"""Several nodes and the links between them: what is asked of a backend, and what it makes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from netem.link import Addresses, Egress, Link
from netem.namespace import Namespace, join


@dataclass(frozen=True)
class Cable:
    """A link that is wanted: its two nodes, the nearer to the user first, and what each gets."""

    ue: str
    edge: str
    ue_device: str
    edge_device: str
    addresses: Addresses

    @property
    def ends(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Node and device of each end."""
        return (self.ue, self.ue_device), (self.edge, self.edge_device)

    def bring_up(self, nodes: Mapping[str, Namespace]) -> None:
        """Give both devices, which are there, their addresses. Raises LinkError."""
        (ue, edge), at = self.ends, self.addresses
        ends = [(nodes[ue[0]], ue[1], at.ue), (nodes[edge[0]], edge[1], at.edge)]
        join(ends, at.prefix_bits)

    def link(
        self, backend: str, nodes: Mapping[str, Namespace], uplink: Egress, downlink: Egress
    ) -> Link:
        """The link that was made of it."""
        return Link(
            backend=backend,
            ue=nodes[self.ue],
            edge=nodes[self.edge],
            ue_address=self.addresses.ue,
            edge_address=self.addresses.edge,
            ue_device=self.ue_device,
            edge_device=self.edge_device,
            uplink=uplink,
            downlink=downlink,
        )


@dataclass(frozen=True)
class Network:
    """Namespaces and the links between them, by name."""

    nodes: Mapping[str, Namespace]
    links: Mapping[str, Link]


def cables(wanted: Mapping[str, tuple[str, str, str]]) -> dict[str, Cable]:
    """By the links' names, each given as its two nodes and its subnet; UsageError for a subnet.

    The interfaces of a node are ``data0``, ``data1`` and so on, in the order of its links.
    """
    laid: Counter[str] = Counter()
    made = {}
    for name, (ue, edge, subnet) in wanted.items():
        devices = f"data{laid[ue]}", f"data{laid[edge]}"
        made[name] = Cable(ue, edge, *devices, Addresses.of(subnet))
        laid.update((ue, edge))
    return made
