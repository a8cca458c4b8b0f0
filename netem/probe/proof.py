"""Proof of a link: what was measured, and whether it is the link that was asked."""

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise

from netem.spec import FRAME_BYTES, LinkSpec, Shape

HEADERS_BYTES = {4: 42, 6: 62}
"""Ethernet, IP and UDP headers before a datagram's payload, by IP's version."""

PING_FRAME_BYTES = 87
"""A ping's Ethernet frame, whatever the version."""

UPLINK, DOWNLINK, ROUND_TRIP = "uplink", "downlink", "round trip"

RATE_TOLERANCE = 0.03  # a train of 0.2 s with its ends 3 ms off; the link itself keeps 1 %
RTT_TOLERANCE_MS, RTT_TOLERANCE = 1.0, 0.02  # the link box adds 0.4 to 0.6 ms
RTT_EARLY_MS = 0.1  # netem never sends early; this is the two clocks' and the units' rounding

TRAIN_MOST = 900
SEND_SPEED = 2  # times the asked rate, after loss
_TRAIN_S, _TRAIN_LEAST = 0.2, 20
_ATTEMPTS, _PINGS = 6, 50  # of netem.probe.client, at most
_WINDOWS, _WINDOW_LEAST = 7, 10  # a train is judged by the median of its windows


@dataclass(frozen=True)
class Proof:
    """What was measured. Rates in Mbit/s of Ethernet frames; each the last of ``attempts``.

    Where ``rates_known``, they are those of a proof before.
    """

    uplink_mbit: float
    downlink_mbit: float
    rtt_min_ms: float
    rtt_median_ms: float
    pings: int
    lost: int
    attempts: int
    rates_known: bool = False

    @property
    def aged(self) -> "Proof":
        """Its rates, with a round trip that is to be measured anew."""
        return Proof(
            self.uplink_mbit,
            self.downlink_mbit,
            rtt_min_ms=math.inf,
            rtt_median_ms=math.inf,
            pings=0,
            lost=0,
            attempts=0,
            rates_known=True,
        )


def judge(proof: Proof, spec: LinkSpec) -> str | None:
    """Why ``proof`` is not that of a link as in ``spec``; None when it is."""
    return next(iter(faults(proof, spec).values()), None)


def faults(proof: Proof, spec: LinkSpec) -> dict[str, str]:
    """What of a link as in ``spec`` was measured otherwise (uplink, downlink, round trip), and how.

    The least round trip is judged, since other work on the machine only ever adds to it; jitter
    and loss are not, since ten pings cannot tell: the kernel's read-back vouches for them.
    """
    found: dict[str, str] = {}
    for name, seen_mbit, shape in (
        (UPLINK, proof.uplink_mbit, spec.uplink),
        (DOWNLINK, proof.downlink_mbit, spec.downlink),
    ):
        if not abs(seen_mbit / shape.rate_mbit - 1) <= RATE_TOLERANCE:  # NaN is off, too
            found[name] = (
                f"{name} {seen_mbit:.4g} Mbit/s, asked {shape.rate_mbit:g} "
                f"(more than {RATE_TOLERANCE:.0%} off)"
            )
    nominal_ms, jitter_ms = nominal_rtt_ms(spec), spec.uplink.jitter_ms + spec.downlink.jitter_ms
    # The delays alone: HTB's burst (Mininet) lets a ping pass without its time on the wire.
    least_ms = spec.uplink.delay_ms + spec.downlink.delay_ms - jitter_ms - RTT_EARLY_MS
    most_ms = nominal_ms + jitter_ms + max(RTT_TOLERANCE_MS, RTT_TOLERANCE * nominal_ms)
    if not least_ms <= proof.rtt_min_ms <= most_ms:
        found[ROUND_TRIP] = (
            f"{ROUND_TRIP} {proof.rtt_min_ms:.2f} ms, "
            f"asked {nominal_ms:.2f} (allowed {least_ms:.2f} to {most_ms:.2f})"
        )
    return found


def nominal_rtt_ms(spec: LinkSpec) -> float:
    """The round trip of a ping over ``spec``: both delays, and the ping's own time on the wire."""
    both = (spec.uplink, spec.downlink)
    return sum(s.delay_ms + s.serialisation_ms(PING_FRAME_BYTES) for s in both)


def longest_s(spec: LinkSpec) -> float:
    """What a proof may take of a link's own time: every attempt made, with every ping."""
    both = (spec.uplink, spec.downlink)
    trains_ms = sum(train_of(s)[0] * s.serialisation_ms(FRAME_BYTES) for s in both)
    return _ATTEMPTS * (_PINGS * nominal_rtt_ms(spec) + trains_ms) / 1e3


def train_of(shape: Shape) -> tuple[int, int, int]:
    """Frames in a train over it, ns between them when sent, and ns of arrivals to leave out.

    Jitter moves the first arrivals by up to twice itself; at twice the rate the backlog has hidden
    that once the train has run for twice as long again. What is lost never reaches the queue.
    """
    frame_s, skip_s = shape.serialisation_ms(FRAME_BYTES) / 1e3, 4 * shape.jitter_ms / 1e3
    arriving = max(0.1, 1 - shape.loss_pct / 100)
    frames = max(_TRAIN_LEAST, (_TRAIN_S + skip_s) / frame_s) / arriving
    gap_s = frame_s * arriving / SEND_SPEED
    return min(TRAIN_MOST, round(frames)), round(gap_s * 1e9), round(skip_s * 1e9)


def rate_mbit(arrivals_ns: list[int], skip_ns: int) -> float:
    """The rate at which frames arrived once ``skip_ns`` had passed; 0 when too few did.

    The median over windows, for a stall of the machine spoils one window and its end the next.
    """
    settled = [ns for ns in arrivals_ns if ns - arrivals_ns[0] >= skip_ns]
    gaps = len(settled) - 1
    windows = max(1, min(_WINDOWS, gaps // _WINDOW_LEAST))
    edges = [gaps * window // windows for window in range(windows + 1)] if gaps > 0 else []
    rates = [
        (end - start) * FRAME_BYTES * 8e3 / max(1, settled[end] - settled[start])
        for start, end in pairwise(edges)
    ]
    return statistics.median(rates) if rates else 0.0


def payload_bytes(frame_bytes: int, host: str) -> int:
    """What a datagram to or from ``host`` holds that makes an Ethernet frame of so many bytes."""
    # a socket for both has the others' IPv4 addresses mapped into IPv6
    version = 6 if ":" in host and not host.startswith("::ffff:") else 4
    return frame_bytes - HEADERS_BYTES[version]
