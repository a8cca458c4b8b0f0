"""A link as it was measured, and the connection over it."""

from collections.abc import Sequence

from netem.wire import HEADER_BYTES, IPV6_HEADER_BYTES, Segment
from orchestrator.results.json_record import Record


class TcpFacts(Record, frozen=True, kw_only=True):
    """The data connection, as the kernel of the node sees it that dialled."""

    congestion_control: str
    retransmits: int
    cwnd_segments: int
    rtt_ms: float | None = None
    mss_bytes: int | None = None
    ip_version: int | None = None


class ProofRecord(Record, frozen=True, kw_only=True):
    """The link as it was measured before or after a cell; ``fault`` is empty where it is as asked.

    Rates are in Mbit/s of Ethernet frames; where ``rates_known``, they are those that the cell
    before ended with, and were not measured again. ``wall_ms`` is what proving it took. ``ends``
    are the nodes that it joins, the one that dials first; earlier versions, with one link, did not
    say.
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
    rates_known: bool = False

    @property
    def measured_mbit(self) -> tuple[float, float] | None:
        """Rates of uplink and downlink, if this proof measured them."""
        return None if self.rates_known else (self.uplink_mbit, self.downlink_mbit)


def segment_of(proofs: Sequence[ProofRecord]) -> Segment:
    """The TCP segments of a link when it was last proved; the usual ones if it never was."""
    for proof in reversed(proofs):
        if proof.tcp and proof.tcp.mss_bytes:
            headers = IPV6_HEADER_BYTES if proof.tcp.ip_version == 6 else HEADER_BYTES
            return Segment(proof.tcp.mss_bytes, headers)
    return Segment()
