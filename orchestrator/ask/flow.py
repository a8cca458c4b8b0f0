"""Flows: which node does what with a frame, in order, and what crosses between them (clause 3).

    uplink         ue: source, part 1    ─▲─  edge: part 2, result  ─▼─  ue
    downlink       ue: source            ─▲─  edge: part 1          ─▼─  ue: part 2, result
    remote-source  edge: source, part 1  ─▼─  ue: part 2, result
    multi-head     edge: source, part 1  ─▼─  ue-1, ue-2: each its head of part 2, result
    chain          ue: source, part 1    ─▲─  edge: part 2    ─▲─  cloud: part 3, result  ─▼▼─  ue
    call           ue-a: source          ─▲─  network: part 1        ─▼─  ue-b: part 2, result

A flow is one entry of :data:`FLOWS`: its anchors, hops, columns and predictions follow from it.
One of several users goes a way to each: of what these have in common all is done once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeVar

from netem.spec import LinkSpec, Shape
from orchestrator.ask.split_point import (
    DEVICE_ANCHOR,
    NETWORK_ANCHOR,
    PRIVATE_ANCHOR,
    Anchor,
    layers_of,
)
from orchestrator.ask.topology import kind_of
from splitbed.errors import UsageError, did_you_mean
from splitbed.timeline import hop_over, is_hop, way_and_link

UPLINK = "uplink"
"""The flow of whoever asks for none."""

_Told = TypeVar("_Told")

Place = tuple[str, int]
"""A node, and the number of the part that it runs; 0: none."""
Way = tuple[Place, ...]
"""The places that a frame comes to, from the source to a user: where a result is wanted."""
Link = tuple[str, str]
"""The node nearer the user, which dials, and the one farther away."""


@dataclass(frozen=True)
class Flow:
    """The way that a frame goes, with others ``besides`` where there are more users.

    These begin at the same place, and go on from there over links of their own. ``links`` join the
    nodes. What goes to the farther node of a link is its uplink. Where it ``codes_outputs``, those
    of a whole model cross encoded, and become results where it ends.
    """

    words: str
    way: Way
    links: tuple[Link, ...] = (("ue", "edge"),)
    codes_outputs: bool = False
    besides: tuple[Way, ...] = ()

    @property
    def ways(self) -> tuple[Way, ...]:
        """One to each user."""
        return self.way, *self.besides

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Every node that it needs."""
        return tuple(dict.fromkeys(node for way in self.ways for node, _ in way))

    @cached_property
    def hops(self) -> tuple[str, ...]:
        """The stage of each hop, in order, way by way."""
        return tuple(hop for way in self.ways for hop in self.hops_of(way))

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """Both of each link, as hops are called: no frame may go one of them."""
        both = ((near, far) for link in self.links for near, far in (link, link[::-1]))
        return tuple(self.hop(*ends) for ends in both)

    def hops_of(self, way: Way) -> tuple[str, ...]:
        """Those of one way."""
        return tuple(self.hop(one, other) for (one, _), (other, _) in pairwise(way))

    def hop(self, sender: str, receiver: str) -> str:
        """The stage of a hop: uplink, downlink; uplink2 over the second link."""
        for number, link in enumerate(self.links):
            if {sender, receiver} == {*link}:
                return hop_over("uplink" if receiver == link[1] else "downlink", number)
        raise AssertionError(f"no link joins {sender} and {receiver}")

    def ends(self, hop: str) -> tuple[str, str]:
        """The node that sends on a hop, and the one that receives."""
        way, number = way_and_link(hop)
        near, far = self.links[number]
        return (near, far) if way == "uplink" else (far, near)

    @cached_property
    def holder(self) -> str:
        """The node that has the whole model and cuts it."""
        return next(name for name in self.nodes if kind_of(name) == "edge")

    @cached_property
    def fetchers(self) -> tuple[str, ...]:
        """The nodes that dial it: they can fetch parts from it over a link."""
        return tuple(near for near, far in self.links if far == self.holder)

    @property
    def paired(self) -> bool:
        """Whether it needs the UE and the edge alone."""
        return {*self.nodes} == {"ue", "edge"}

    @cached_property
    def parts(self) -> int:
        """How many its model is cut into."""
        return max(part for _, part in self.way)

    def all_in(self, part: int, n: int) -> tuple[int, ...]:
        """The cuts that leave all of `n` layers in one part."""
        return (0,) * (part - 1) + (n,) * (self.parts - part)

    @property
    def source(self) -> str:
        """The node where frames begin."""
        return self.way[0][0]

    @property
    def last(self) -> frozenset[str]:
        """The nodes that run the last part, or a head of it."""
        return frozenset(node for way in self.ways for node, part in way if part == self.parts)

    @property
    def user(self) -> str:
        """The node where the result is wanted; of several users, the first."""
        return self.way[-1][0]

    @property
    def users(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(way[-1][0] for way in self.ways)

    def node_of(self, part: int) -> str:
        """Who runs the part of this number."""
        return next(node for node, number in self.way if number == part)


FLOWS: dict[str, Flow] = {
    UPLINK: Flow(
        "the UE has the source and runs part 1, the edge part 2",
        (("ue", 1), ("edge", 2), ("ue", 0)),
    ),
    "downlink": Flow(
        "the UE has the source and sends it up, the edge runs part 1, the UE part 2",
        (("ue", 0), ("edge", 1), ("ue", 2)),
    ),
    "remote-source": Flow(
        "the edge has the source and runs part 1, the UE part 2",
        (("edge", 1), ("ue", 2)),
    ),
    "multi-head": Flow(
        "the edge has the source and runs part 1, each of two UEs its own head of part 2",
        (("edge", 1), ("ue-1", 2)),
        (("ue-1", "edge"), ("ue-2", "edge")),
        besides=((("edge", 1), ("ue-2", 2)),),
    ),
    "chain": Flow(
        "the UE has the source and runs part 1, the edge part 2, the cloud part 3",
        (("ue", 1), ("edge", 2), ("cloud", 3), ("edge", 0), ("ue", 0)),
        (("ue", "edge"), ("edge", "cloud")),
    ),
    "call": Flow(
        "UE-A has the source, the network runs part 1 and encodes, UE-B decodes and runs part 2",
        (("ue-a", 0), ("network", 1), ("ue-b", 2)),
        (("ue-a", "network"), ("ue-b", "network")),
        codes_outputs=True,
    ),
}


def flow_named(name: str) -> Flow:
    """Raises UsageError for a name that means none."""
    if name not in FLOWS:
        meant = did_you_mean(name, FLOWS)
        raise UsageError(f"no flow is called {name!r}{meant} choose {', '.join(FLOWS)}")
    return FLOWS[name]


def check_flow(name: str, nodes: Collection[str], links: Collection[Link], topology: str) -> None:
    """Raise UsageError for a flow that needs a node or a link that this topology does not have."""
    flow = flow_named(name)
    missing = [f"a node {node}" for node in flow.nodes if node not in nodes]
    missing += [
        f"a link from {near} to {far}" for near, far in flow.links if (near, far) not in links
    ]
    if missing:
        raise UsageError(
            f"--flow {name} needs {' and '.join(missing)}, which the topology {topology} does not "
            "have: give a --topology that has, or another flow"
        )


def of_link(told: Sequence[_Told], hop: str) -> _Told:
    """Of what is told of each link of a flow, in their order, that of the link of a hop.

    Where fewer are told, those that follow are as the last.
    """
    _, number = way_and_link(hop)
    return told[min(number, len(told) - 1)]


def shape_of(links: Sequence[LinkSpec], hop: str) -> Shape:
    """What a hop takes, of the links of its flow in their order: a direction of one of them."""
    way, _ = way_and_link(hop)
    link = of_link(links, hop)
    return link.uplink if way == "uplink" else link.downlink


def delivery_hop(name: str) -> str:
    """What the user's node fetches its part over: the way down its own link."""
    flow = FLOWS[name]
    near, far = next(ends for ends in flow.links if ends[0] == flow.user)
    return flow.hop(far, near)


def anchor_of(name: str, split: str, label: str = "") -> Anchor | None:
    """Which anchor a split k:n-k under this label is in a flow: one node does it all.

    Or it is the one that leaves as many layers on the UE as privacy asks for (clause 10.3.5).
    """
    layers, flow = layers_of(split), FLOWS[name]
    at = {node for node, part in flow.way if part and layers[part - 1]}
    if len(at) == 1:
        return DEVICE_ANCHOR if at == {flow.user} else NETWORK_ANCHOR
    return PRIVATE_ANCHOR if label == PRIVATE_ANCHOR else None


def anchors_of(name: str, n: int) -> dict[str, tuple[int, ...]]:
    """The cuts where one node does it all, by what that is called, the device anchor last.

    Of several nodes of the network each has an anchor, the one farthest away first.
    """
    flow, found = FLOWS[name], {}
    network = [part for part in range(flow.parts, 0, -1) if flow.node_of(part) != flow.user]
    for part in network:
        one = "" if len(network) == 1 else f" ({flow.node_of(part)})"
        found[f"{NETWORK_ANCHOR}{one}"] = flow.all_in(part, n)
    device = next(part for node, part in flow.way if part and node == flow.user)
    return found | {DEVICE_ANCHOR: flow.all_in(device, n)}


def at_node(node: str, stage: str) -> str:
    """A stage on one of the nodes that have it, as a column is called: `ue_a_encode`."""
    return f"{node}_{stage}".replace("-", "_")


def nodes_of(name: str, stages: Sequence[str]) -> list[str]:
    """Where each stage of a frame was done; a hop is told by the node that sends."""
    return [first for first, _ in ends_of(name, stages)]


def ends_of(name: str, stages: Sequence[str]) -> list[tuple[str, str]]:
    """On which node each stage of a frame started, and on which it ended."""
    flow = FLOWS[name]
    at, found = flow.source, []
    for stage in stages:
        found.append(flow.ends(stage) if is_hop(stage) else (at, at))
        at = found[-1][1]
    return found


def branches(name: str, stages: Sequence[str]) -> list[list[int]]:
    """The places of the stages on the way to each user; in `stages` one way follows another.

    What the source does is on all, and told once.
    """
    flow = FLOWS[name]
    if len(flow.ways) == 1:
        return [[*range(len(stages))]]
    shared = next((place for place, stage in enumerate(stages) if is_hop(stage)), len(stages))
    at, found = flow.source, [list[int]()]
    for place, stage in enumerate(stages):
        if is_hop(stage):
            sender, receiver = flow.ends(stage)
            if sender != at:
                found.append([*range(shared)])
            at = receiver
        found[-1].append(place)
    return found
