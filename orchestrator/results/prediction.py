"""What a configuration takes end to end, by what a profile says of its parts: one formula for plans
and for the rows of a sweep.

    slow-down * (part 1 + encode) + uplink + decode + part 2 + result + downlink

The link is at its bound (:mod:`netem.wire`) with what a message costs besides.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.split_point import NOTHING
from orchestrator.results.profile import Profile
from orchestrator.results.rows import Row, known

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UP_MS, DOWN_MS = 1.0, 0.9
"""What a message takes besides the wire, of gRPC, kernel and waking: measured in sweeps here."""
FRAMING = 1.0005
"""Bytes that gRPC sends for one of a large message: HTTP/2 frames of 16 KiB."""


@dataclass(frozen=True)
class Work:
    """What configurations take of the nodes and send, an item for each."""

    part1_ms: Floats
    encode_ms: Floats
    decode_ms: Floats
    part2_ms: Floats
    sent_bytes: Floats
    crosses: Bools
    result_ms: float
    result_bytes: int


@dataclass(frozen=True)
class Way:
    """One direction of links, an item for each."""

    rate_mbit: Floats
    delay_ms: Floats


def e2e_ms(
    work: Work, slowdown: Floats, up: Way, down: Way, segment_bytes: int = SEGMENT_BYTES
) -> Floats:
    """Predicted times of shape (items of `work`, links)."""
    crosses = work.crosses[:, None]
    messages_ms = np.where(crosses, UP_MS + DOWN_MS, 0.0)
    part1_ms = slowdown * (work.part1_ms + work.encode_ms)[:, None]
    part2_ms = (work.part2_ms + work.decode_ms)[:, None]
    result_ms = np.where(crosses, 1.0, slowdown) * work.result_ms
    wire_ms = on_wire_ms(work, up, down, segment_bytes)
    return np.asarray(part1_ms + wire_ms + messages_ms + part2_ms + result_ms)


def on_wire_ms(work: Work, up: Way, down: Way, segment_bytes: int = SEGMENT_BYTES) -> Floats:
    """What of them links take at their bound, which is proved: no doubt is in it."""
    sent_bits = 8.0 * np.array([_wire_bytes(nbytes, segment_bytes) for nbytes in work.sent_bytes])
    result_bits = 8 * wire_bytes(work.result_bytes, segment_bytes)
    up_ms = sent_bits[:, None] / (up.rate_mbit * 1e3) + up.delay_ms
    down_ms = result_bits / (down.rate_mbit * 1e3) + down.delay_ms
    return np.where(work.crosses[:, None], up_ms + down_ms, 0.0)


def _wire_bytes(nbytes: float, segment_bytes: int) -> int:
    return wire_bytes(round(nbytes * FRAMING), segment_bytes)


def with_prediction(row: Row, profile: Profile) -> Row:
    """The row with what the profile says of part 1 and part 2, and of all with these."""
    part1_ms, part2_ms = profile.predicted_ms(row.layers[0])
    if row.ue_slowdown is not None:
        part1_ms *= row.ue_slowdown
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
    """End to end, with parts that take so long on a UE of this pace."""
    of = np.array
    work = Work(
        part1_ms=of([part1_ms]),
        encode_ms=of([known(row.encode_ms)]),
        decode_ms=of([known(row.decode_ms)]),
        part2_ms=of([part2_ms]),
        sent_bytes=of([known(row.encoded_bytes)]),
        crosses=of([row.codec != NOTHING]),
        result_ms=known(row.result_ms),
        result_bytes=row.result_bytes or 0,
    )
    up = Way(of([row.bw_mbit]), of([row.delay_ms]))
    down = Way(of([row.downlink_mbit]), of([row.downlink_delay_ms]))
    # what was measured is at the UE's pace already
    predicted = e2e_ms(work, np.ones(1), up, down, row.mss_bytes or SEGMENT_BYTES)
    return float(predicted.item())
