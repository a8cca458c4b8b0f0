"""The physical floor of one frame: what it would take if nothing but the work took time.

    bound = part1 + encode + uplink wire time + one-way delay + decode + part2 + result
            + downlink wire time + one-way delay

Wire time counts the headers: at an MTU of 1500 a TCP segment carries 1448 bytes in an Ethernet
frame of 1514, which is what netem counts.
"""

from netem.spec import LinkSpec, Shape
from splitbed.timeline import Timeline

SEGMENT_BYTES = 1448
HEADER_BYTES = 66  # Ethernet 14, IPv4 20, TCP 20, timestamps 12


def wire_bytes(payload_bytes: int) -> int:
    """Bytes of Ethernet frames that carry `payload_bytes` over TCP."""
    return payload_bytes + HEADER_BYTES * -(-payload_bytes // SEGMENT_BYTES)


def wire_ms(payload_bytes: int, shape: Shape) -> float:
    """Milliseconds until the last byte has crossed one direction of the link."""
    return wire_bytes(payload_bytes) * 8 / (shape.rate_mbit * 1e3) + shape.delay_ms


def bound_ms(timeline: Timeline, encoded_bytes: int, result_bytes: int, link: LinkSpec) -> float:
    """The floor for a frame whose node stages took what `timeline` says."""
    on_nodes = sum(timeline.ms(stage) for stage in ("part1", "encode", "decode", "part2", "result"))
    if not timeline.crosses:
        return on_nodes
    return on_nodes + wire_ms(encoded_bytes, link.uplink) + wire_ms(result_bytes, link.downlink)
