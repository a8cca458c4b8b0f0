"""How much smaller a split's data would have to be for it to take what its best anchor does."""

import math

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.itinerary import crossings_of
from orchestrator.results.rows import Row, known


def compression_needed(row: Row) -> float | None:
    """By what factor a split's encoded bytes must shrink until it takes what its best anchor does.

    1 or less for one that is as fast already; infinite where no smaller data would do, since the
    nodes and the delay alone take longer; None for an anchor, and where there is none to compare.
    """
    if row.is_anchor or row.speedup_vs_best_anchor is None or not FLOWS[row.flow].paired:
        return None
    late_ms = known(row.e2e_ms) * (1 - row.speedup_vs_best_anchor)
    shrinks_ms = _shrinking_ms(row)
    return shrinks_ms / (shrinks_ms - late_ms) if shrinks_ms > late_ms else math.inf


def without_data_ms(row: Row) -> float:
    """What would be left of the end-to-end time if nothing but the delay were between the parts."""
    return known(row.e2e_ms) - _shrinking_ms(row)


def _shrinking_ms(row: Row) -> float:
    """What of the end-to-end time goes with the encoded bytes: their hop without its delay."""
    ways = {
        "uplink": (row.uplink_ms, row.delay_ms, row.bw_mbit),
        "downlink": (row.downlink_ms, row.downlink_delay_ms, row.downlink_mbit),
    }
    layers = sum(row.layers)
    hops = crossings_of(row.flow, row.split)
    (carrying,) = [hop for hop, cut in hops if 0 < cut < layers]
    took_ms, delay_ms, _ = ways[carrying]
    if took_ms is not None:
        return max(0.0, took_ms - delay_ms)
    # of two machines, only all hops together may be known
    left_ms = known(row.network_ms) - delay_ms
    for hop, cut in hops:
        if hop != carrying:
            nbytes = row.result_bytes if cut == layers else dict(row.of_flow)[f"{hop}_bytes"]
            on_wire = wire_bytes(int(known(nbytes)), row.mss_bytes or SEGMENT_BYTES)
            left_ms -= on_wire * 8 / ways[hop][2] / 1e3 + ways[hop][1]
    return max(0.0, left_ms)
