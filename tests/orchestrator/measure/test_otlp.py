"""Frames as traces, as a collector of OpenTelemetry sees them."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from orchestrator.measure.exports.otlp import tracing
from splitbed.errors import MachineError, UsageError
from splitbed.timeline import Stage
from tests.node.loopback import free_port

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

MS = 10**6
EPOCH_NS = 1_700_000_000 * 10**9
SPLIT = [
    Stage(name, start_ms * MS, end_ms * MS)
    for name, start_ms, end_ms in (
        ("preprocess", 0, 5), ("part1", 5, 25), ("encode", 25, 30), ("uplink", 30, 80),
        ("decode", 80, 82), ("part2", 82, 99), ("result", 99, 100), ("downlink", 100, 110),
    )
]  # fmt: skip
DEVICE = [
    Stage("preprocess", 0, 5 * MS),
    Stage("part1", 5 * MS, 95 * MS),
    Stage("result", 95 * MS, 96 * MS),
]


class Collector:
    """Takes OTLP over HTTP on loopback and keeps what came in; refuses it with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests.append((self.path, body))
                self.send_response(collector.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def spans(self) -> list[tuple[dict[str, str], "Span"]]:
        """Every span with the attributes of its resource."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        found = []
        for _, body in self.requests:
            for of_node in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {a.key: a.value.string_value for a in of_node.resource.attributes}
                found += [(about, span) for scope in of_node.scope_spans for span in scope.spans]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http",
        reason="needs OpenTelemetry: pip install 'splitbed[otel]'",
    )
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, args=(0.05,))
    thread.start()
    yield collector
    collector.server.shutdown()
    thread.join()
    collector.server.server_close()


@contextmanager
def no_note() -> Iterator[list[str]]:
    """A list of notes that has to stay empty."""
    notes: list[str] = []
    yield notes
    assert notes == []


def send(address: str, notes: list[str], *frames: list[Stage], cells: int = 1) -> None:
    """Trace a run of some cells with these frames each."""
    with tracing(address, {"splitbed.run": "a run"}, notes.append) as tracer:
        for _ in range(cells):
            tracer.frames(frames, EPOCH_NS, {"split": "4:2", "bw_mbit": 10.0, "valid": True})


def test_each_stage_is_a_span_of_its_length_below_its_frame(collector: Collector) -> None:
    with no_note() as notes:
        send(collector.address, notes, SPLIT)
    spans = {span.name: span for _, span in collector.spans()}
    assert spans.keys() == {"frame", *(stage.name for stage in SPLIT)}
    frame = spans["frame"]
    assert not frame.parent_span_id
    for stage in SPLIT:
        span = spans[stage.name]
        assert (span.trace_id, span.parent_span_id) == (frame.trace_id, frame.span_id)
        assert span.start_time_unix_nano == EPOCH_NS + stage.start_ns
        assert span.end_time_unix_nano == EPOCH_NS + stage.end_ns
    assert frame.end_time_unix_nano - frame.start_time_unix_nano == 110 * MS


def test_each_span_is_of_the_node_that_did_the_work(collector: Collector) -> None:
    with no_note() as notes:
        send(collector.address, notes, SPLIT)
    nodes = {span.name: about["service.name"] for about, span in collector.spans()}
    on_edge = {name for name, node in nodes.items() if node == "edge-node"}
    assert on_edge == {"decode", "part2", "result"}
    assert set(nodes.values()) == {"ue-node", "edge-node"}
    assert {about["splitbed.run"] for about, _ in collector.spans()} == {"a run"}


def test_all_of_the_device_anchor_is_of_the_ue(collector: Collector) -> None:
    with no_note() as notes:
        send(collector.address, notes, DEVICE)
    assert {about["service.name"] for about, _ in collector.spans()} == {"ue-node"}


def test_a_frame_says_of_which_cell_it_is(collector: Collector) -> None:
    with no_note() as notes:
        send(collector.address, notes, SPLIT, SPLIT)
    frames = [span for _, span in collector.spans() if span.name == "frame"]
    told = [{a.key.removeprefix("splitbed."): a.value for a in f.attributes} for f in frames]
    assert [attributes["frame"].int_value for attributes in told] == [0, 1]
    assert told[0]["split"].string_value == "4:2"
    assert told[0]["bw_mbit"].double_value == 10
    assert told[0]["valid"].bool_value
    assert told[0]["e2e_ms"].double_value == 105
    assert frames[0].trace_id != frames[1].trace_id


def test_a_cell_of_many_frames_is_sent_whole_when_it_ends(collector: Collector) -> None:
    frames = [SPLIT] * 120
    with no_note() as notes, tracing(collector.address, {}, notes.append) as tracer:
        tracer.frames(frames, EPOCH_NS, {})
        assert len(collector.spans()) == 120 * 9
    assert {path for path, _ in collector.requests} == {"/v1/traces"}


def test_a_collector_that_is_not_there_is_told_once_and_stops_nothing(
    collector: Collector, capfd: pytest.CaptureFixture[str]
) -> None:
    notes: list[str] = []
    send(address := f"http://127.0.0.1:{free_port()}", notes, SPLIT, cells=2)
    assert len(notes) == 1
    assert f"the collector at {address}/v1/traces did not take 18 of 18 spans" in notes[0]
    assert "Connection refused" in notes[0]
    assert capfd.readouterr() == ("", "")


def test_a_collector_that_refuses_is_told_with_its_reason(collector: Collector) -> None:
    collector.status = 404
    notes: list[str] = []
    send(collector.address, notes, SPLIT)
    assert len(notes) == 1
    assert "404" in notes[0]


def test_without_a_collector_nothing_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    without_opentelemetry(monkeypatch)
    with no_note() as notes, tracing(None, {}, notes.append) as tracer:
        tracer.frames([SPLIT], EPOCH_NS, {})


def test_without_the_packages_the_command_that_installs_them_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_opentelemetry(monkeypatch)
    with (
        pytest.raises(MachineError, match=r"pip install 'splitbed\[otel\]'"),
        tracing("http://127.0.0.1:4318", {}, print),
    ):
        pass


def without_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no module of it found."""
    for name in [name for name in sys.modules if name.startswith("opentelemetry")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)


@pytest.mark.parametrize("address", ["127.0.0.1:4318", "ftp://a", "http://", "http://a:b", ""])
def test_what_is_no_address_of_a_collector_is_refused(address: str) -> None:
    with (
        pytest.raises(UsageError, match="give the address of a collector"),
        tracing(address, {}, print),
    ):
        pass
