"""What a configuration takes end to end, by what a profile says of its parts: one formula for plans
and for the rows of a sweep.

    of every node, its pace * (parts + coding + results) + of every hop, wire and delay

A link is at its bound (:mod:`netem.wire`) with what a message costs besides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.flow import FLOWS, crossings_of
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

    ``parts_ms`` and ``others_ms``, which is coding and results, are by the node, at its own pace.
    ``sent`` is by the stage of the hop, in bytes of messages, and no number where nothing crosses
    it; ``sent_bytes`` is what of it is input and intermediate data, encoded.
    """

    parts_ms: Mapping[str, Floats]
    others_ms: Mapping[str, Floats]
    sent: Mapping[str, Floats]
    sent_bytes: Floats


@dataclass(frozen=True)
class Way:
    """One direction of links, an item for each."""

    rate_mbit: Floats
    delay_ms: Floats


def e2e_ms(
    work: Work, slowdown: Floats, ways: Mapping[str, Way], segment_bytes: int = SEGMENT_BYTES
) -> Floats:
    """Predicted times of shape (items of `work`, links); the UE is so many times slower."""
    taken = on_wire_ms(work, ways, segment_bytes)
    for node, parts_ms in work.parts_ms.items():
        pace = slowdown if node == "ue" else np.ones(1)
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
    """The row with what the profile says of part 1 and part 2, and of all with these.

    As it is in a flow with nodes that no profile is of.
    """
    if not FLOWS[row.flow].paired:
        return row
    part1_ms, part2_ms = profile.predicted_ms(row.layers[0], row.flow)
    if row.ue_slowdown is not None:
        part1_ms *= row.ue_slowdown if row.ue_part == 1 else 1
        part2_ms *= row.ue_slowdown if row.ue_part == 2 else 1
    row = replace(row, part1_predicted_ms=part1_ms, part2_predicted_ms=part2_ms)
    if not row.e2e_ms:
        return row
    nodes_ms = known(row.part1_ms) + known(row.part2_ms)
    quiet_ms = known(row.bound_ms) - nodes_ms + part1_ms + part2_ms
    predicted_ms = _predicted_ms(row, part1_ms, part2_ms)
    return replace(
        row,
        e2e_predicted_ms=predicted_ms,
        e2e_over_quiet=row.e2e_ms / quiet_ms if quiet_ms else None,
        prediction_error_pct=100 * (predicted_ms / row.e2e_ms - 1),
    )


def _predicted_ms(row: Row, part1_ms: float, part2_ms: float) -> float:
    """End to end, with parts that take so long, and the rest as measured, at the UE's pace."""
    others_ms = known(row.encode_ms) + known(row.decode_ms) + known(row.result_ms)
    work = Work(
        parts_ms={"edge": np.array([part1_ms + part2_ms])},
        others_ms={"edge": np.array([others_ms])},
        sent={hop: np.array([nbytes]) for hop, nbytes in sent_of(row).items()},
        sent_bytes=np.array([float(known(row.encoded_bytes))]),
    )
    predicted = e2e_ms(work, np.ones(1), ways_of(row), row.mss_bytes or SEGMENT_BYTES)
    return float(predicted.item())


def sent_of(row: Row) -> dict[str, float]:
    """What crossed on each hop, in bytes of messages."""
    found, layers = {}, sum(row.layers)
    for hop, cut in crossings_of(row.flow, row.split):
        of_input = dict(row.of_flow).get(f"{hop}_bytes") if cut < row.layers[0] else None
        nbytes = row.encoded_bytes if of_input is None else of_input
        found[hop] = known(row.result_bytes) if cut == layers else FRAMING * known(nbytes)
    return found


def ways_of(row: Row) -> dict[str, Way]:
    """Both directions of its link."""
    up = Way(np.array([row.bw_mbit]), np.array([row.delay_ms]))
    down = Way(np.array([row.downlink_mbit]), np.array([row.downlink_delay_ms]))
    return {"uplink": up, "downlink": down}
