"""What a configuration takes end to end, by what a profile says of its parts: one formula for plans
and for the rows of a sweep.

    of every node, its pace * (parts + coding + results) + of every hop, wire and delay

A link is at its bound (:mod:`netem.wire`) with what a message costs besides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.columns.flow import part_column
from orchestrator.results.profile import Profile
from orchestrator.results.rows import Row, known

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UP_MS, DOWN_MS = 1.0, 0.9
"""What a message takes besides the wire, of gRPC, kernel and waking: measured in sweeps here."""
FRAMING = 1.0005
"""Bytes that gRPC sends for one of a large message, at most."""


@dataclass(frozen=True)
class Work:
    """What configurations take of the nodes and send, an item for each.

    ``parts_ms`` and ``others_ms``, which is coding and results, are by the node, at its own pace;
    ``user`` is the one that may be slowed. ``sent`` is by the stage of the hop, in bytes of
    messages, and no number where nothing crosses it; ``sent_bytes`` is what of it is input and
    intermediate data, encoded.
    """

    parts_ms: Mapping[str, Floats]
    others_ms: Mapping[str, Floats]
    sent: Mapping[str, Floats]
    sent_bytes: Floats
    user: str = "ue"

    def slowed_ms(self, slowdown: Floats) -> dict[str, Floats]:
        """What parts take of each node, with the user's so many times slower."""
        return {
            node: parts_ms[:, None] * (slowdown if node == self.user else 1.0)
            for node, parts_ms in self.parts_ms.items()
        }


@dataclass(frozen=True)
class Way:
    """One direction of links, an item for each."""

    rate_mbit: Floats
    delay_ms: Floats


def e2e_ms(
    work: Work, slowdown: Floats, ways: Mapping[str, Way], segment_bytes: int = SEGMENT_BYTES
) -> Floats:
    """Predicted times of shape (items of `work`, links); the user's node is so much slower."""
    taken = on_wire_ms(work, ways, segment_bytes)
    for node, parts_ms in work.parts_ms.items():
        pace = slowdown if node == work.user else np.ones(1)
        taken = taken + pace * (parts_ms + work.others_ms[node])[:, None]
    for hop, sent in work.sent.items():
        message_ms = UP_MS if hop.startswith("uplink") else DOWN_MS
        taken = taken + np.where(np.isnan(sent), 0.0, message_ms)[:, None]
    return taken


def on_wire_ms(work: Work, ways: Mapping[str, Way], segment_bytes: int = SEGMENT_BYTES) -> Floats:
    """What of them links take at their bound, which is proved: no doubt is in it."""
    links = len(next(iter(ways.values())).rate_mbit)
    taken = np.zeros((len(work.sent_bytes), links))
    for hop, sent in work.sent.items():
        crosses = ~np.isnan(sent)
        on_wire = [wire_bytes(round(nbytes), segment_bytes) for nbytes in sent[crosses].tolist()]
        way, bits = ways[hop], 8.0 * np.array(on_wire)
        taken[crosses] += bits[:, None] / (way.rate_mbit * 1e3) + way.delay_ms
    return taken


def with_prediction(row: Row, profile: Profile) -> Row:
    """The row with what the profile says of each part, and of all with these."""
    flow, *cuts = FLOWS[row.flow], *accumulate(row.layers[:-1])
    parts_ms = profile.predicted_ms(*cuts, flow=row.flow)
    if row.ue_slowdown is not None:
        parts_ms = tuple(
            ms * row.ue_slowdown if flow.node_of(part) == flow.user else ms
            for part, ms in enumerate(parts_ms, start=1)
        )
    further = {part_column(part, "predicted_ms"): ms for part, ms in enumerate(parts_ms, start=1)}
    row = replace(
        row,
        part1_predicted_ms=parts_ms[0],
        part2_predicted_ms=parts_ms[1],
        of_flow=tuple((name, further.get(name, value)) for name, value in row.of_flow),
    )
    if not row.e2e_ms:
        return row
    quiet_ms = known(row.bound_ms) - sum(map(known, row.of_parts("ms"))) + sum(parts_ms)
    predicted_ms = _predicted_ms(row, sum(parts_ms))
    return replace(
        row,
        e2e_predicted_ms=predicted_ms,
        e2e_over_quiet=row.e2e_ms / quiet_ms if quiet_ms else None,
        prediction_error_pct=100 * (predicted_ms / row.e2e_ms - 1),
    )


def _predicted_ms(row: Row, parts_ms: float) -> float:
    """End to end, with parts that take so long, and the rest as measured, at the UE's pace."""
    others_ms = known(row.encode_ms) + known(row.decode_ms) + known(row.result_ms)
    work = Work(
        parts_ms={"edge": np.array([parts_ms])},
        others_ms={"edge": np.array([others_ms])},
        sent={hop: np.array([nbytes]) for hop, nbytes in sent_of(row).items()},
        sent_bytes=np.array([float(known(row.encoded_bytes))]),
    )
    predicted = e2e_ms(work, np.ones(1), ways_of(row), row.mss_bytes or SEGMENT_BYTES)
    return float(predicted.item())


def sent_of(row: Row) -> dict[str, float]:
    """What crossed on each hop, in bytes of messages."""
    found, layers, told = {}, sum(row.layers), dict(row.of_flow)
    for hop, cut in crossings_of(row.flow, row.split):
        results = cut == layers and not FLOWS[row.flow].codes_outputs
        nbytes = told.get(f"{hop}_bytes", row.result_bytes if results else row.encoded_bytes)
        found[hop] = known(nbytes) if results else FRAMING * known(nbytes)
    return found


def ways_of(row: Row) -> dict[str, Way]:
    """Each hop of its flow."""
    asked = {hop: row.asked_of(hop) for hop in FLOWS[row.flow].hops}
    return {hop: Way(np.array([rate]), np.array([delay])) for hop, (rate, delay) in asked.items()}
