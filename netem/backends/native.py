"""Backend "native": a veth pair a link, and this kernel's own sch_netem at each end's egress."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netem import qdisc
from netem.backends.network import Cable, Network
from netem.link import Link
from netem.namespace import Namespace, add_veth, new_namespaces, single_segments
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
def open_native(run_dir: Path, cables: Mapping[str, Cable]) -> Iterator[Network]:
    """New namespaces, a veth pair for each cable. Raises LinkError."""
    del run_dir  # this backend keeps nothing on disk
    with new_namespaces(node for cable in cables.values() for node, _ in cable.ends) as nodes:
        yield Network(nodes, {name: _joined(cable, nodes) for name, cable in cables.items()})


def _joined(cable: Cable, nodes: Mapping[str, Namespace]) -> Link:
    ends = [(nodes[node], device) for node, device in cable.ends]
    add_veth(*ends[0], *ends[1])
    for end, device in ends:
        single_segments(end, device)
    cable.bring_up(nodes)
    return cable.link("native", nodes, *(NamespaceEgress(*end) for end in ends))
