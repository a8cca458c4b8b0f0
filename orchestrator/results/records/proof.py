"""A link as it was measured, and the connection over it."""

from collections.abc import Sequence

from netem.wire import SEGMENT_BYTES
from orchestrator.results.json_record import Record


class TcpFacts(Record, frozen=True, kw_only=True):
    """The data connection, as the kernel of the node sees it that dialled."""

    congestion_control: str
    retransmits: int
    cwnd_segments: int
    rtt_ms: float | None = None
    mss_bytes: int | None = None


class ProofRecord(Record, frozen=True, kw_only=True):
    """The link as it was measured before or after a cell; ``fault`` is empty where it is as asked.

    Rates are in Mbit/s of Ethernet frames; ``wall_ms`` is what proving it took. ``ends`` are the
    nodes that it joins, the one that dials first; earlier versions, with one link, did not say.
    """

    uplink_mbit: float
    downlink_mbit: float
    rtt_min_ms: float
    rtt_median_ms: float | None = None
    pings: int | None = None
    attempts: int | None = None
    lost: int | None = None
    fault: str = ""
    tcp: TcpFacts | None = None
    wall_ms: float | None = None
    ends: tuple[str, ...] = ()


def segment_bytes(proofs: Sequence[ProofRecord]) -> int:
    """What a TCP segment carried when the link was last proved; SEGMENT_BYTES if it never was."""
    told = [proof.tcp.mss_bytes for proof in proofs if proof.tcp and proof.tcp.mss_bytes]
    return told[-1] if told else SEGMENT_BYTES
