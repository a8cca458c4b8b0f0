"""Metrics of a process, as Prometheus scrapes them: base units, labels of few values.

What a node counts is here, and what tells of a frame or a link; the orchestrator adds its sweep
(`orchestrator.measure.exports.telemetry`) and tells of the link with the same names. CPU seconds
and memory of the process come with prometheus_client.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

from splitbed.timeline import STAGES, Timeline

if TYPE_CHECKING:
    from splitbed.node.config import Tls

# a third of all lines, of no use to any query
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs has no types

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
"""Upper ends in seconds: a part of a small model to a raw feature map at 5 Mbit/s."""

DIRECTIONS = ("uplink", "downlink")
MOST_CODECS = 64
"""That have a label of their own; those of more are told as ``other``."""

STAGE_SECONDS = Histogram(
    "splitbed_stage_seconds", "What stages of frames took.", ["stage"], buckets=BUCKETS
)
STAGE_CPU_SECONDS = Counter(
    "splitbed_stage_cpu_seconds",
    "CPU time of this process in stages of frames that came one at a time, and as rest.",
    ["stage"],
)
REQUEST_SECONDS = Histogram(
    "splitbed_request_seconds", "What requests of clients took, until answered.", buckets=BUCKETS
)
BYTES = Counter(
    "splitbed_bytes", "Encoded tensors that crossed, without headers.", ["direction", "codec"]
)
FRAMES_IN_FLIGHT = Gauge("splitbed_frames_in_flight", "Frames that this node is at.")
ERRORS = Counter("splitbed_errors", "Requests, cells and runs that failed.", ["kind"])
SESSIONS = Gauge("splitbed_sessions", "Open inference sessions.")
MODELS = Gauge("splitbed_models_loaded", "Models, whole or in part, that this node holds.")
LINK_ASKED = Gauge(
    "splitbed_link_asked_bits_per_second", "Rate that was asked for.", ["link", "direction"]
)
LINK_MEASURED = Gauge(
    "splitbed_link_measured_bits_per_second",
    "Rate that the last proof measured.",
    ["link", "direction"],
)
ROUND_TRIP = Gauge(
    "splitbed_link_round_trip_seconds",
    "Of a ping, as asked and as last measured.",
    ["link", "which"],
)
RETRANSMITS = Gauge(
    "splitbed_tcp_retransmits",
    "Segments sent again since the data connection was opened.",
    ["link"],
)

_codecs = {"raw"}

for _stage in STAGES:
    STAGE_SECONDS.labels(stage=_stage)
    STAGE_CPU_SECONDS.labels(stage=_stage)
for _direction in DIRECTIONS:
    BYTES.labels(direction=_direction, codec="raw")
for _kind in ("UsageError", "MachineError", "LinkError", "RunError", "NodeError", "refused"):
    ERRORS.labels(kind=_kind)


def tell_stages(timeline: Timeline) -> None:
    """The stages of one frame, as this process knows them."""
    for stage in timeline.stages:
        # with two clocks a short way may seem to end before it began
        STAGE_SECONDS.labels(stage=stage.name).observe(max(stage.ms, 0.0) / 1e3)
    for name, ns in (timeline.spent or {}).items():
        STAGE_CPU_SECONDS.labels(stage=name).inc(max(ns, 0) / 1e9)


def tell_bytes(direction: str, codec: str, nbytes: int) -> None:
    """The bytes of one frame's tensors on a hop, encoded; results are raw."""
    if codec not in _codecs and len(_codecs) >= MOST_CODECS:
        codec = "other"
    _codecs.add(codec)
    BYTES.labels(direction=direction, codec=codec).inc(nbytes)


def tell_link(
    link: str,
    asked_mbit: tuple[float, float],
    measured_mbit: tuple[float, float] | None,
    rtt_ms: tuple[float, float],
    retransmits: int | None,
) -> None:
    """What a proof of a link found: rates of uplink and downlink, the round trip as asked and so.

    All at once, so that what was measured never stands beside what was asked of another link; so
    where rates were known, and none measured, those of the last that were stay with what was asked.
    """
    if measured_mbit:
        for direction, asked, measured in zip(DIRECTIONS, asked_mbit, measured_mbit, strict=True):
            LINK_ASKED.labels(link, direction).set(asked * 1e6)
            LINK_MEASURED.labels(link, direction).set(measured * 1e6)
    for which, ms in zip(("asked", "measured"), rtt_ms, strict=True):
        ROUND_TRIP.labels(link, which).set(ms / 1e3)
    if retransmits is not None:
        RETRANSMITS.labels(link).set(retransmits)


@contextmanager
def serving(
    address: str | None, tls: "Tls | None" = None, *, insecure: bool = False
) -> Iterator[None]:
    """Serve /metrics on `address`, IP:PORT, for as long as the context lasts; None: nowhere.

    With `tls`, only to those who show a certificate of the same authority. Raises UsageError for
    an address that others reach without TLS, unless `insecure`, MachineError when it is taken.
    """
    if address is None:
        yield
        return
    from splitbed.web import listening  # it imports what serves gRPC, which counts here

    with listening("metrics", address, prometheus_client.MetricsHandler, tls, insecure=insecure):
        yield
