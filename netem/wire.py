"""What bytes take on a link: their headers, the rate, the delay.

At an MTU of 1500 a TCP segment carries 1448 bytes in an Ethernet frame of 1514, which is what netem
counts; at 9000 it carries 8948.
"""

from typing import NamedTuple

from netem.spec import Shape

SEGMENT_BYTES = 1448
"""What a segment carries where no path was measured: that of an MTU of 1500."""

HEADER_BYTES = 66  # Ethernet 14, IPv4 20, TCP 20, timestamps 12
IPV6_HEADER_BYTES = HEADER_BYTES + 20
_ETHERNET_BYTES = 14


class Segment(NamedTuple):
    """A TCP segment of a path: what it carries, and what its headers take on the wire."""

    payload_bytes: int = SEGMENT_BYTES
    header_bytes: int = HEADER_BYTES


USUAL_SEGMENT = Segment()


def tcp_segment(mtu: int = 1500, *, ipv6: bool = False) -> Segment:
    """A TCP segment of a path of this MTU."""
    header_bytes = IPV6_HEADER_BYTES if ipv6 else HEADER_BYTES
    return Segment(mtu + _ETHERNET_BYTES - header_bytes, header_bytes)


def wire_bytes(
    payload_bytes: int, segment_bytes: int = SEGMENT_BYTES, header_bytes: int = HEADER_BYTES
) -> int:
    """Bytes of Ethernet frames that carry `payload_bytes` over TCP, `segment_bytes` each."""
    return payload_bytes + header_bytes * -(-payload_bytes // segment_bytes)


def wire_ms(
    payload_bytes: int,
    shape: Shape,
    segment_bytes: int = SEGMENT_BYTES,
    header_bytes: int = HEADER_BYTES,
) -> float:
    """Milliseconds until the last byte has crossed one direction of the link."""
    on_wire = wire_bytes(payload_bytes, segment_bytes, header_bytes)
    return on_wire * 8 / (shape.rate_mbit * 1e3) + shape.delay_ms
