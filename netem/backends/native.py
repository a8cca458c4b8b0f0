"""Backend "native": a veth pair, and this kernel's own sch_netem at the egress of each end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netem import qdisc
from netem.link import DEVICE, Addresses, Link
from netem.namespace import Namespace, add_veth, join, new_namespace
from netem.spec import Shape


@dataclass(frozen=True)
class NamespaceEgress:
    """The netem at the root of an interface of a namespace."""

    namespace: Namespace
    device: str

    def apply(self, shape: Shape) -> Shape:
        return qdisc.parse(self._tc(qdisc.batch(self.device, shape)))

    def read(self) -> Shape:
        return qdisc.parse(self._tc(qdisc.show(self.device)))

    def _tc(self, lines: str) -> str:
        return self.namespace.run(["tc", "-j", "-batch", "-"], given=lines)


@contextmanager
def open_native(run_dir: Path, addresses: Addresses) -> Iterator[Link]:
    """A veth pair between two new namespaces. Raises LinkError."""
    del run_dir  # this backend keeps nothing on disk
    with new_namespace() as ue, new_namespace(ue) as edge:
        add_veth(ue, DEVICE, edge, DEVICE)
        for end in (ue, edge):
            # netem must see what the wire would carry: with TCP's super-packets a loss of 1 %
            # drops 0.5 % of the segments, whatever ethtool says about tso and gso.
            end.run(["ip", "link", "set", DEVICE, "gso_max_segs", "1"])
        join([(ue, addresses.ue), (edge, addresses.edge)], DEVICE, addresses.prefix_bits)
        yield Link(
            backend="native",
            ue=ue,
            edge=edge,
            ue_address=addresses.ue,
            edge_address=addresses.edge,
            uplink=NamespaceEgress(ue, DEVICE),
            downlink=NamespaceEgress(edge, DEVICE),
        )
