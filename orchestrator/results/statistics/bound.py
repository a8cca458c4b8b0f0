"""The physical floor of one frame: what it would take if nothing but the work took time.

    bound = part1 + encode + uplink wire time + one-way delay + decode + part2 + result
            + downlink wire time + one-way delay

Wire time counts the headers (:mod:`netem.wire`).
"""

from netem.spec import LinkSpec
from netem.wire import SEGMENT_BYTES, wire_ms
from splitbed.timeline import Timeline

NODE_STAGES = ("part1", "encode", "decode", "part2", "result")
"""What the nodes work on, between which bytes cross."""


def bound_ms(timeline: Timeline, encoded_bytes: int, result_bytes: int, link: LinkSpec) -> float:
    """The floor for a frame whose node stages took what `timeline` says."""
    on_nodes = sum(timeline.ms(stage) for stage in NODE_STAGES)
    if not timeline.crosses:
        return on_nodes
    return on_nodes + crossing_ms(encoded_bytes, result_bytes, link)


def crossing_ms(
    encoded_bytes: int, result_bytes: int, link: LinkSpec, segment_bytes: int = SEGMENT_BYTES
) -> float:
    """What of it is the link's, whose TCP segments carry `segment_bytes`."""
    up_ms = wire_ms(encoded_bytes, link.uplink, segment_bytes)
    return up_ms + wire_ms(result_bytes, link.downlink, segment_bytes)
