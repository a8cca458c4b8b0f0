"""What a configuration takes end to end, by what a profile says of its parts: one formula for plans
and for the rows of a sweep.

    of every node, its pace * (parts + coding + results) + of every hop, wire and delay

Where what is sent is encoded meanwhile, coding is what is before its first piece, and pieces cross
once they are there (:mod:`splitbed.codecs.releases`).

Of several users it is that of the longest way: of its nodes and its hops.
A link is at its bound (:mod:`netem.wire`) with what a message costs besides.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from msgspec import structs

from netem.wire import USUAL_SEGMENT, Segment, wire_bytes
from orchestrator.ask.flow import FLOWS, UPLINK, Flow, Place, at_node, of_link
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.columns.flow import part_column
from orchestrator.results.profile import Profile
from orchestrator.results.rows import Row, known
from splitbed.codecs.releases import Release, across_ms
from splitbed.timeline import NS_PER_MS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UP_MS, DOWN_MS = 1.0, 0.9
"""What a message takes besides the wire, of gRPC, kernel and waking: 0.8 to 1.1 and 0.9 to 1.3 are
medians of sweeps on two cores that link and nodes share (`python -m tests.bench cells`)."""
FRAMING = 1.0005
"""Bytes that gRPC sends for one of a large message, at most: 1.0003 to 1.0005 by the interfaces'
counters, of 1.4 and 5.8 MB at 20 and 100 Mbit/s."""


@dataclass(frozen=True)
class Work:
    """What configurations take of the nodes and send, an item for each.

    ``parts_ms`` and ``others_ms``, which is coding and results, are by the node, at its own pace;
    those of the ``flow``'s users may be slowed. ``sent`` is by the stage of the hop, in bytes of
    messages, and no number where nothing crosses it; ``sent_bytes`` is what of it is input and
    intermediate data, encoded. ``released`` is by the hop, too: what its sender encodes meanwhile,
    at its own pace.
    """

    parts_ms: Mapping[str, Floats]
    others_ms: Mapping[str, Floats]
    sent: Mapping[str, Floats]
    sent_bytes: Floats
    flow: Flow = FLOWS[UPLINK]
    released: Mapping[str, Sequence[Sequence[Release]]] = field(default_factory=dict)

    def ways(self) -> Iterator["Work"]:
        """What is on the way to each user."""
        for way in self.flow.ways:
            nodes, hops = {node for node, _ in way}, self.flow.hops_of(way)
            parts_ms, others_ms = (
                {node: ms for node, ms in every.items() if node in nodes}
                for every in (self.parts_ms, self.others_ms)
            )
            sent = {hop: nbytes for hop, nbytes in self.sent.items() if hop in hops}
            yield replace(self, parts_ms=parts_ms, others_ms=others_ms, sent=sent)

    def slowed_ms(self, slowdown: Floats) -> dict[str, Floats]:
        """What parts take of each node, with the user's so many times slower."""
        return {
            node: parts_ms[:, None] * (slowdown if node in self.flow.users else 1.0)
            for node, parts_ms in self.parts_ms.items()
        }


@dataclass(frozen=True)
class Way:
    """One direction of links, an item for each, and the TCP segments that cross them."""

    rate_mbit: Floats
    delay_ms: Floats
    segment: Segment = USUAL_SEGMENT


def e2e_ms(work: Work, slowdown: Floats, links: Mapping[str, Way]) -> Floats:
    """Predicted times of shape (items of `work`, links); the users' nodes are so much slower."""

    def taken_ms(way: Work) -> Floats:
        taken = _quiet_ms(way, slowdown, links)
        for hop, sent in way.sent.items():
            message_ms = UP_MS if hop.startswith("uplink") else DOWN_MS
            taken = taken + np.where(np.isnan(sent), 0.0, message_ms)[:, None]
        return taken

    return _longest(map(taken_ms, work.ways()))


def on_wire_ms(work: Work, links: Mapping[str, Way]) -> Floats:
    """What of them links take at their bound, which is proved: no doubt is in it."""
    return _longest(_on_way_ms(way, links) for way in work.ways())


def _longest(ways_ms: Iterable[Floats]) -> Floats:
    return np.asarray(np.max([*ways_ms], axis=0))


def _quiet_ms(way: Work, slowdown: Floats, links: Mapping[str, Way]) -> Floats:
    """Where nothing but the work takes time."""
    taken = _on_way_ms(way, links)
    for node, parts_ms in way.parts_ms.items():
        pace = slowdown if node in way.flow.users else np.ones(1)
        taken = taken + pace * (parts_ms + way.others_ms[node])[:, None]
    for hop, released in way.released.items():
        if hop in way.sent:
            pace = slowdown if way.flow.ends(hop)[0] in way.flow.users else np.ones(1)
            taken = taken + held_ms(released, way.sent[hop], links[hop], pace)
    return taken


def held_ms(released: Sequence[Sequence[Release]], sent: Floats, link: Way, pace: Floats) -> Floats:
    """What a hop takes longer than its bytes on the wire, of shape (items, links).

    An item for each of `released` and `sent`, whose sender is at this pace.
    """
    found = np.zeros((len(sent), len(link.rate_mbit)))
    for place, releases in enumerate(released):
        if releases:
            across = across_ms(
                releases, sent[place], lambda n: _wire_ms(np.array([n]), link)[0], pace
            )
            found[place] = across - _wire_ms(sent[place : place + 1], link)[0]
    return found


def encoded_meanwhile(row: Row, nbytes: float, hop: str) -> tuple[Release, ...]:
    """What a row says of it, as one piece: it holds its hop as long, at the row's own link.

    `nbytes` crossed there.
    """
    if not row.overlapped_ms:
        return ()
    rate_mbit, _ = row.asked_of(hop)
    on_wire_ms = 8.0 * wire_bytes(round(nbytes)) / (rate_mbit * 1e3)
    saved_ms = row.overlapped_ms - known(row.held_ms)
    left = max(0.0, 1 - saved_ms / on_wire_ms) if on_wire_ms else 0.0
    return (Release(round(row.overlapped_ms * NS_PER_MS), round(left * nbytes)),)


def _on_way_ms(way: Work, links: Mapping[str, Way]) -> Floats:
    taken = np.zeros((len(way.sent_bytes), len(next(iter(links.values())).rate_mbit)))
    for hop, sent in way.sent.items():
        taken += _wire_ms(sent, links[hop]) + ~np.isnan(sent)[:, None] * links[hop].delay_ms
    return taken


def _wire_ms(sent: Floats, link: Way) -> Floats:
    """What each takes on the wire, nothing where it does not cross."""
    on_wire = [0 if math.isnan(one) else wire_bytes(round(one), *link.segment) for one in sent]
    return np.asarray(8.0 * np.array(on_wire)[:, None] / (link.rate_mbit * 1e3))


def with_prediction(
    row: Row, profile: Profile, segments: Sequence[Segment] = (USUAL_SEGMENT,)
) -> Row:
    """The row with what the profile says of each part, and of all with these.

    Its links have TCP `segments` of their own. Nothing is said of another model that is the device
    anchor, nor of parts in another precision.
    """
    if row.device_model or row.precision:
        return row
    flow, *cuts = FLOWS[row.flow], *accumulate(row.layers[:-1])
    placed_ms = profile.placed_ms(*cuts, flow=row.flow)
    if row.ue_slowdown is not None:
        for (node, part), ms in placed_ms.items():
            placed_ms[node, part] = ms * (row.ue_slowdown if node in flow.users else 1.0)
    numbers = range(1, flow.parts + 1)
    parts_ms = [sum(ms for (_, own), ms in placed_ms.items() if own == part) for part in numbers]
    further = {part_column(part, "predicted_ms"): parts_ms[part - 1] for part in numbers}
    row = structs.replace(
        row,
        part1_predicted_ms=parts_ms[0],
        part2_predicted_ms=parts_ms[1],
        of_flow=tuple((name, further.get(name, value)) for name, value in row.of_flow),
    )
    if not row.e2e_ms:
        return row
    work, links = _work(row, placed_ms), _links(row, segments)
    ways = [_quiet_ms(way, np.ones(1), links) for way in work.ways()]
    # of one user the bound is what was measured of all that is not predicted
    quiet_ms = known(row.bound_ms) - sum(map(known, row.of_parts("ms"))) + sum(parts_ms)
    quiet_ms = float(_longest(ways).item()) if flow.besides else quiet_ms
    predicted_ms = float(e2e_ms(work, np.ones(1), links).item())
    return structs.replace(
        row,
        e2e_predicted_ms=predicted_ms,
        e2e_over_quiet=row.e2e_ms / quiet_ms if quiet_ms else None,
        prediction_error_pct=100 * (predicted_ms / row.e2e_ms - 1),
    )


def _work(row: Row, placed_ms: Mapping[Place, float]) -> Work:
    """Parts that take so long, and the rest as measured, at the UE's pace."""
    flow, told = FLOWS[row.flow], dict(row.of_flow)
    parts_ms, others_ms = (dict.fromkeys(flow.nodes, 0.0) for _ in range(2))
    for (node, _), ms in placed_ms.items():
        parts_ms[node] += ms
    others_ms[flow.source] = known(row.encode_ms)
    if not flow.besides:  # wherever it is done, it is on the way
        others_ms[flow.source] += known(row.decode_ms) + known(row.result_ms)
    else:
        ends = flow.users if row.layers[-1] else (flow.source,)
        for user in flow.users:
            others_ms[user] += known(told[f"{at_node(user, 'decode')}_ms"])
        for node in ends:
            others_ms[node] += known(row.result_ms) / len(ends)
    sent = sent_of(row)
    # of a chain's hops the largest, or the first of those; what goes several ways holds each
    largest = [hop for hop, nbytes in sent.items() if nbytes == max(sent.values())]
    holding = largest if flow.besides else largest[:1]
    return Work(
        parts_ms={node: np.array([ms]) for node, ms in parts_ms.items()},
        others_ms={node: np.array([ms]) for node, ms in others_ms.items()},
        sent={hop: np.array([nbytes]) for hop, nbytes in sent.items()},
        sent_bytes=np.array([float(known(row.encoded_bytes))]),
        flow=flow,
        released={hop: [encoded_meanwhile(row, sent[hop], hop)] for hop in holding},
    )


def sent_of(row: Row) -> dict[str, float]:
    """What crossed on each hop, in bytes of messages."""
    found, layers, told = {}, sum(row.layers), dict(row.of_flow)
    for hop, cut in crossings_of(row.flow, row.split):
        results = cut == layers and not FLOWS[row.flow].codes_outputs
        nbytes = told.get(f"{hop}_bytes", row.result_bytes if results else row.encoded_bytes)
        found[hop] = known(nbytes) if results else FRAMING * known(nbytes)
    return found


def _links(row: Row, segments: Sequence[Segment]) -> dict[str, Way]:
    """What each hop of its flow takes."""
    asked = {hop: row.asked_of(hop) for hop in FLOWS[row.flow].hops}
    return {
        hop: Way(np.array([rate]), np.array([delay]), of_link(segments, hop))
        for hop, (rate, delay) in asked.items()
    }
