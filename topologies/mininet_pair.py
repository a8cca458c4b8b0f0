"""A UE and an edge joined by a shaped link, for Mininet's own command:

    mn --custom topologies/mininet_pair.py --topo splitbed,rate=20,delay=10,loss=1

Rates in Mbit/s, delays one-way in ms, loss in percent; the same both ways. Needs nothing but
Mininet. Mininet only prints what the kernel refuses (a delay without sch_netem, for one) and goes
on: look at `ue tc qdisc`, or use `netem prove --backend mininet`, which checks.
"""

from mininet.link import TCLink
from mininet.topo import Topo


class Pair(Topo):  # type: ignore[misc]  # Mininet has no types
    """Hosts ``ue`` and ``edge``."""

    def build(self, rate: float = 20, delay: float = 0, jitter: float = 0, loss: float = 0) -> None:
        netem = {"delay": f"{delay}ms", "jitter": f"{jitter}ms", "loss": loss}
        shape = {"bw": rate} | (netem if delay or loss else {})
        self.addLink(self.addHost("ue"), self.addHost("edge"), cls=TCLink, **shape)


topos = {"splitbed": Pair}
