"""Backend "mininet": Mininet hosts joined by its TCLinks (HTB for the rate, netem below it).

Mininet prints what tc refuses and goes on without it, so every shape is read back from the kernel.
Without sch_netem it shapes rates only, and anything else is an error here.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mininet.link import TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet

from netem import qdisc
from netem.backends.network import Cable, Network
from netem.link import Link
from netem.namespace import Namespace, prepare, single_segments
from netem.spec import Shape
from splitbed.errors import LinkError

_QUEUE_PACKETS = 1000  # HTB's own queue, when there is no netem below it
_UNITS = {"": 1e-6, "K": 1e-3, "M": 1.0, "G": 1e3}


@dataclass(frozen=True)
class MininetEgress:
    """One interface of a TCLink."""

    interface: Any
    namespace: Namespace
    device: str

    def apply(self, shape: Shape) -> Shape:
        self.interface.config(**tc_parameters(shape))
        return self.read()

    def read(self) -> Shape:
        # HTB's classes have no JSON in iproute2 6.1.
        return parse(
            self.namespace.run(["tc", "class", "show", "dev", self.device]),
            self.namespace.run(["tc", "-j", "qdisc", "show", "dev", self.device]),
        )


def tc_parameters(shape: Shape) -> dict[str, float | int | str]:
    """What TCIntf.config takes for ``shape``; no netem where HTB alone will do."""
    parameters: dict[str, float | int | str] = {"bw": shape.rate_mbit}
    if shape.delay_ms or shape.loss_pct or shape.queue_packets != _QUEUE_PACKETS:
        parameters |= {
            "delay": f"{shape.delay_ms:.6f}ms",
            "jitter": f"{shape.jitter_ms:.6f}ms",
            "loss": shape.loss_pct,
            "max_queue_size": shape.queue_packets,
        }
    return parameters


def parse(classes: str, qdiscs: str) -> Shape:
    """The shape in what ``tc class show`` and ``tc -j qdisc show`` print. Raises LinkError."""
    rate = re.search(r"class htb 5:1 .*\brate ([\d.]+)([KMG]?)bit", classes)
    if not rate:
        raise LinkError(f"no netem qdisc and no rate of Mininet's: tc printed {classes.strip()!r}")
    rate_mbit = float(rate[1]) * _UNITS[rate[2]]
    return qdisc.parse_below(rate_mbit, _QUEUE_PACKETS, qdiscs)


@contextmanager
def open_mininet(run_dir: Path, cables: Mapping[str, Cable]) -> Iterator[Network]:
    """The hosts of a Mininet, called as the nodes are. Raises LinkError."""
    del run_dir  # Mininet keeps nothing on disk
    setLogLevel("critical")  # what matters is read back
    Mininet.inited = True  # or it would raise this machine's own limits for good
    with ExitStack() as stack:
        net = Mininet(controller=None, link=TCLink, build=False)
        stack.callback(net.stop)
        names = dict.fromkeys(node for cable in cables.values() for node, _ in cable.ends)
        hosts = {name: net.addHost(name, ip=None) for name in names}
        nodes = {name: _namespace_of(host.pid, stack) for name, host in hosts.items()}
        for namespace in nodes.values():
            prepare(namespace)
        yield Network(
            nodes, {name: _joined(net, hosts, nodes, cable) for name, cable in cables.items()}
        )


def _joined(
    net: Any, hosts: Mapping[str, Any], nodes: Mapping[str, Namespace], cable: Cable
) -> Link:
    (ue, ue_device), (edge, edge_device) = cable.ends
    link = net.addLink(hosts[ue], hosts[edge], intfName1=ue_device, intfName2=edge_device)
    for node, device in cable.ends:
        single_segments(nodes[node], device)
    cable.bring_up(nodes)
    return cable.link(
        "mininet",
        nodes,
        uplink=MininetEgress(link.intf1, nodes[ue], ue_device),
        downlink=MininetEgress(link.intf2, nodes[edge], edge_device),
    )


def _namespace_of(pid: int, stack: ExitStack) -> Namespace:
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return Namespace(fd)
