"""How much smaller a split's data would have to be for it to take what its best anchor does."""

import math

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.rows import Row, known


def compression_needed(row: Row) -> float | None:
    """By what factor a split's encoded bytes must shrink until it takes what its best anchor does.

    1 or less for one that is as fast already; infinite where no smaller data would do, since the
    nodes and the delay alone take longer; None for an anchor, where there is none to compare, and
    where several users get data of their own.
    """
    if row.is_anchor or row.speedup_vs_best_anchor is None or FLOWS[row.flow].besides:
        return None
    late_ms = known(row.e2e_ms) * (1 - row.speedup_vs_best_anchor)
    shrinks_ms = _shrinking_ms(row)
    return shrinks_ms / (shrinks_ms - late_ms) if shrinks_ms > late_ms else math.inf


def data_bytes(row: Row) -> float:
    """What would shrink: the intermediate data of a frame, encoded, over all their hops."""
    sent = dict(row.of_flow)
    return sum(known(sent.get(f"{hop}_bytes", row.encoded_bytes)) for hop in _carrying(row))


def _carrying(row: Row) -> list[str]:
    layers = sum(row.layers)
    return [hop for hop, cut in crossings_of(row.flow, row.split) if 0 < cut < layers]


def without_data_ms(row: Row) -> float:
    """What would be left of the end-to-end time if nothing but the delay were between the parts."""
    return known(row.e2e_ms) - _shrinking_ms(row)


def _shrinking_ms(row: Row) -> float:
    """What of the end-to-end time goes with the encoded bytes: their hops without the delay."""
    carrying, crossing = _carrying(row), crossings_of(row.flow, row.split)
    took_ms = [row.hop_ms(hop) for hop in carrying]
    delay_ms = sum(row.asked_of(hop)[1] for hop in carrying)
    if None not in took_ms:
        return max(0.0, sum(map(known, took_ms)) - delay_ms)
    # of several machines, only all hops together may be known
    left_ms = known(row.network_ms) - delay_ms
    sent = dict(row.of_flow)
    for hop, _ in crossing:
        if hop not in carrying:
            rate_mbit, own_delay_ms = row.asked_of(hop)
            nbytes = known(sent.get(f"{hop}_bytes", row.result_bytes))
            on_wire = wire_bytes(int(nbytes), row.mss_bytes or SEGMENT_BYTES)
            left_ms -= on_wire * 8 / rate_mbit / 1e3 + own_delay_ms
    return max(0.0, left_ms)
