"""What a frame takes of each stage in turn, by option and point of a grid, as a plan predicts it.

A node's stages are those of :mod:`orchestrator.plan.prediction`; a hop is taken as long as its
bytes are on the wire, and its delay is what nobody else waits for. Preprocessing is in no profile,
and so in no stage.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from netem.probe.proof import RATE_TOLERANCE
from netem.wire import wire_bytes
from orchestrator.plan.facts import Option
from orchestrator.plan.grid import Floats, PlanGrid
from orchestrator.plan.prediction import Predictor
from orchestrator.results.prediction import DOWN_MS, FRAMING, UP_MS, Way, held_ms
from splitbed.codecs.releases import Release, encoding_ms

_KINDS = ("decode", "part", "result", "encode")
"""What a node does with a frame, in order."""


@dataclass(frozen=True)
class Stages:
    """On the way to one user: times in ms, each of shape (options, points).

    ``besides`` is what a frame takes that is in nobody's way: delays, and what messages cost.
    ``early`` is how much earlier a link is begun where it is encoded for meanwhile.
    ``busy`` is how long a frame keeps all processors busy that nodes share; None: they share none.
    """

    names: tuple[str, ...]
    ms: tuple[Floats, ...]
    on_link: tuple[bool, ...]
    besides: Floats
    early: tuple[Floats, ...]
    busy: Floats | None
    heard: Floats
    """From when it is done until its source knows: nothing where it ends there."""

    def fast(self, nodes: Floats) -> "Stages":
        """With the nodes' stages so many times as long, and nothing shared.

        `nodes` is shaped as the stages; a link is as fast as its proof lets it be.
        """
        return self._scaled(nodes, 1 / (1 + RATE_TOLERANCE), None)

    def slow(self, nodes: Floats) -> "Stages":
        """With the nodes' stages so many times as long; a link is as slow as its proof lets it."""
        busy = None if self.busy is None else self.busy * nodes
        return self._scaled(nodes, 1 / (1 - RATE_TOLERANCE), busy)

    def _scaled(self, nodes: Floats, links: float, busy: Floats | None) -> "Stages":
        ms = tuple(
            one * (links if link else nodes)
            for one, link in zip(self.ms, self.on_link, strict=True)
        )
        return replace(self, ms=ms, busy=busy)

    @property
    def alone_ms(self) -> Floats:
        """What a frame takes that meets nobody."""
        return np.asarray(np.sum(self.ms, axis=0) - np.sum(self.early, axis=0) + self.besides)

    @property
    def slowest_ms(self) -> Floats:
        """The longest stage, or what keeps the processors busy where that is longer."""
        every = [*self.ms, *([] if self.busy is None else [self.busy])]
        return np.asarray(np.max(every, axis=0))

    def slowest(self, option: int, point: int) -> str:
        """Its name."""
        own = {name: ms[option, point] for name, ms in zip(self.names, self.ms, strict=True)}
        if self.busy is not None:
            own["processors"] = self.busy[option, point]
        return max(own, key=own.__getitem__)


def stages_of(predictor: Predictor, options: Sequence[Option], grid: PlanGrid) -> list[Stages]:
    """Of the way to each user."""
    ways = range(len(predictor.flow.ways))
    return [_way(predictor, options, grid, number) for number in ways]


def _way(predictor: Predictor, options: Sequence[Option], grid: PlanGrid, number: int) -> Stages:
    flow, (slowdown, _, _) = predictor.flow, grid.points()
    shared = predictor.shared
    nodes = [node for node, _ in flow.ways[number]]
    own_ms, sent, released = _of_options(predictor, options, number, len(nodes))
    names: list[str] = []
    ms: list[Floats] = []
    on_link: list[bool] = []
    early: list[Floats] = []
    besides = np.zeros((len(options), grid.size))
    busy, back = np.zeros_like(besides), np.zeros_like(besides)
    links = predictor.links(grid)
    for place, node in enumerate(nodes):
        slower = slowdown if node in flow.users else np.ones_like(slowdown)
        for kind in _KINDS:
            taken = own_ms[place, kind][:, None]
            if taken.any():
                names.append(f"{kind} on {node}")
                ms.append(taken * slower)
                on_link.append(False)
                early.append(np.zeros_like(besides))
                # a node that is slowed waits, and leaves the processors to others
                busy += taken * (shared.share(node, kind) if shared else 0.0)
        if place < len(nodes) - 1 and not np.isnan(sent[place]).all():
            hop = flow.hop(node, nodes[place + 1])
            wire_ms, beside_ms = _on_hop(sent[place], links[hop], hop)
            names.append(hop)
            ms.append(wire_ms)
            on_link.append(True)
            meanwhile = np.array([encoding_ms(one) for one in released[place]])[:, None] * slower
            early.append(meanwhile - held_ms(released[place], sent[place], links[hop], slower))
            besides += beside_ms
            opposite = links[flow.hop(nodes[place + 1], node)]
            back += np.where(np.isnan(sent[place])[:, None], 0.0, opposite.delay_ms)
    if nodes[-1] == flow.source:
        back = np.zeros_like(back)
    busy_ms = busy if shared else None
    return Stages(tuple(names), tuple(ms), tuple(on_link), besides, tuple(early), busy_ms, back)


def _of_options(
    predictor: Predictor, options: Sequence[Option], number: int, places: int
) -> tuple[dict[tuple[int, str], Floats], list[Floats], list[list[tuple[Release, ...]]]]:
    """What each takes of every stage of a place on the way, and the bytes that leave it.

    And of those what is encoded meanwhile.
    """
    own_ms = {(place, kind): np.zeros(len(options)) for place in range(places) for kind in _KINDS}
    sent = [np.full(len(options), np.nan) for _ in range(places)]
    released: list[list[tuple[Release, ...]]] = [[()] * len(options) for _ in range(places)]
    for row, option in enumerate(options):
        for place, station in enumerate(option.configuration.itineraries[number]):
            node = predictor.profile.node(station.node)
            own_ms[place, "part"][row] = node.part_ms(station.first, station.last)
            if station.result and not station.outputs:
                own_ms[place, "result"][row] = predictor.facts.result_ms
        for place, one in enumerate(option.ways[number]):
            if one.coded is None:
                sent[place][row] = predictor.facts.result_bytes
                continue
            sent[place][row] = one.coded.nbytes * FRAMING
            if one.encoder:
                own_ms[place, "encode"][row] = one.coded.encode_ms + encoding_ms(one.releases)
                released[place][row] = one.releases
            if one.decoder:
                own_ms[place + 1, "decode"][row] = one.coded.decode_ms
    return own_ms, sent, released


def _on_hop(sent: Floats, link: Way, hop: str) -> tuple[Floats, Floats]:
    """What its bytes take on the wire, and what a frame takes there besides."""
    crosses = ~np.isnan(sent)
    on_wire = [
        wire_bytes(round(nbytes), *link.segment) if there else 0
        for nbytes, there in zip(sent.tolist(), crosses.tolist(), strict=True)
    ]
    message_ms = UP_MS if hop.startswith("uplink") else DOWN_MS
    wire_ms = 8.0 * np.array(on_wire, np.float64)[:, None] / (link.rate_mbit * 1e3)
    return wire_ms, crosses[:, None] * (link.delay_ms + message_ms)
