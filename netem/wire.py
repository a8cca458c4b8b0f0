"""What bytes take on a link: their headers, the rate, the delay.

At an MTU of 1500 a TCP segment carries 1448 bytes in an Ethernet frame of 1514, which is what netem
counts.
"""

from netem.spec import Shape

SEGMENT_BYTES = 1448


HEADER_BYTES = 66  # Ethernet 14, IPv4 20, TCP 20, timestamps 12


def wire_bytes(payload_bytes: int) -> int:
    """Bytes of Ethernet frames that carry `payload_bytes` over TCP."""
    return payload_bytes + HEADER_BYTES * -(-payload_bytes // SEGMENT_BYTES)


def wire_ms(payload_bytes: int, shape: Shape) -> float:
    """Milliseconds until the last byte has crossed one direction of the link."""
    return wire_bytes(payload_bytes) * 8 / (shape.rate_mbit * 1e3) + shape.delay_ms
