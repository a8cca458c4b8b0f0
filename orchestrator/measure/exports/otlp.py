"""Optional extra: every frame as a trace, a span for each stage, exported by OTLP over HTTP.

    frame                                     ue-node
    ├── preprocess · part1 · encode           ue-node
    ├── uplink · downlink                     ue-node
    └── decode · part2 · result               edge-node

That is the flow uplink; of another, hops are the user's and all else of the node that did it. The
frames of a cell are sent when it has ended: a collector then costs them no time, and the nodes'
clocks are known as well as they will be.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.ask.flow import FLOWS, UPLINK, nodes_of
from splitbed.errors import MachineError, UsageError
from splitbed.timeline import Stage, Timeline, is_hop

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Tracer as SpanMaker

Attribute = str | bool | int | float

_BATCH = 512  # spans in a request
_TIMEOUT_S = 2.0  # what a collector that is not there may cost at the end of a cell


class Tracer:
    """Takes the frames of a cell when it has ended; this one, where nobody asked, drops them."""

    def frames(
        self,
        frames: Sequence[Sequence[Stage]],
        ue_epoch_ns: int,
        attributes: Mapping[str, Attribute],
        flow: str = UPLINK,
    ) -> None:
        """Export these frames; a collector that does not take them raises nothing.

        Their stages are on the user's clock, to which `ue_epoch_ns` is added for the time since
        1970. Each frame has the `attributes`, under names that begin with ``splitbed.``.
        """


class _FirstWord(logging.Handler):
    """Keeps the exporter's complaints to itself, and the first of them."""

    word = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.word = self.word or record.getMessage()


class OtlpTracer(Tracer):
    """Makes spans in memory and exports them in one go."""

    def __init__(self, endpoint: str, resource: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._made = InMemorySpanExporter()
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint, timeout=_TIMEOUT_S)
        self._makers: dict[str, SpanMaker] = {}
        for node in dict.fromkeys(node for flow in FLOWS.values() for node in flow.nodes):
            of_node = Resource.create({**resource, "service.name": f"{node}-node"})
            provider = TracerProvider(resource=of_node, shutdown_on_exit=False)
            provider.add_span_processor(SimpleSpanProcessor(self._made))
            self._makers[node] = provider.get_tracer("splitbed")
        self.exported, self.lost = 0, 0

    def frames(
        self,
        frames: Sequence[Sequence[Stage]],
        ue_epoch_ns: int,
        attributes: Mapping[str, Attribute],
        flow: str = UPLINK,
    ) -> None:
        """Export these frames; what the collector does not take is counted as lost."""
        for index, stages in enumerate(frames):
            self._frame(index, stages, ue_epoch_ns, attributes, flow)
        made = self._made.get_finished_spans()
        self._made.clear()
        for first in range(0, len(made), _BATCH):
            if not self._export(made[first : first + _BATCH]):
                self.lost += len(made) - first  # the rest would only wait for it as long
                return

    def _frame(
        self,
        index: int,
        stages: Sequence[Stage],
        ue_epoch_ns: int,
        attributes: Mapping[str, Attribute],
        flow: str,
    ) -> None:
        from opentelemetry.trace import set_span_in_context

        named = {f"splitbed.{name}": value for name, value in attributes.items()}
        user = FLOWS[flow].user
        frame = self._makers[user].start_span(
            "frame",
            start_time=ue_epoch_ns + min(stage.start_ns for stage in stages),
            attributes={
                "splitbed.frame": index,
                "splitbed.e2e_ms": Timeline(list(stages)).e2e_ms,
                **named,
            },
        )
        within = set_span_in_context(frame)
        nodes = nodes_of(flow, [stage.name for stage in stages])
        for stage, node in zip(stages, nodes, strict=True):
            maker = self._makers[user if is_hop(stage.name) else node]
            span = maker.start_span(
                stage.name, context=within, start_time=ue_epoch_ns + stage.start_ns
            )
            span.end(ue_epoch_ns + stage.end_ns)
        frame.end(ue_epoch_ns + max(stage.end_ns for stage in stages))

    def _export(self, spans: Sequence["ReadableSpan"]) -> bool:
        from opentelemetry.sdk.trace.export import SpanExportResult

        taken = self._exporter.export(spans) is SpanExportResult.SUCCESS
        self.exported += len(spans) if taken else 0
        return taken

    def close(self) -> None:
        """Close the connection to the collector."""
        self._exporter.shutdown()


@contextmanager
def tracing(
    endpoint: str | None, resource: Mapping[str, str], note: Callable[[str], None]
) -> Iterator[Tracer]:
    """What takes frames; with no `endpoint`, a collector's HTTP(S) address, it does nothing.

    `resource` describes all nodes' spans, such as ``splitbed.run`` and ``service.version``. What
    was lost is told to `note`, once, at the end: a run does not fail for want of a collector.
    Raises UsageError for what is no address, MachineError without the packages of the extra.
    """
    if endpoint is None:
        yield Tracer()
        return
    url = _spans_url(endpoint)
    log, first = logging.getLogger("opentelemetry"), _FirstWord()
    try:
        tracer = OtlpTracer(url, resource)
    except ImportError:
        raise MachineError(
            f"cannot send traces to {endpoint}: OpenTelemetry is not installed here; "
            "`pip install 'splitbed[otel]'` does, or leave the traces out"
        ) from None
    propagate, log.propagate = log.propagate, False
    log.addHandler(first)
    try:
        yield tracer
    finally:
        tracer.close()
        log.removeHandler(first)
        log.propagate = propagate
        if tracer.lost:
            note(
                f"the collector at {url} did not take {tracer.lost} of "
                f"{tracer.lost + tracer.exported} spans ({first.word or 'no reason given'}); "
                "the run has all their times in samples.jsonl"
            )


def _spans_url(endpoint: str) -> str:
    """Where a collector takes spans; OTLP's own path, unless one is given."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"cannot send traces to {endpoint!r}: give the address of a collector of OTLP over "
            "HTTP, such as http://127.0.0.1:4318"
        )
    return endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
