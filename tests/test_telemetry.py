"""What a process says of itself at /metrics, and to whom."""

import re
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell, Visit
from orchestrator.measure.cell import cell_record
from orchestrator.measure.exports.telemetry import SweepTelemetry
from orchestrator.results.records import CellRecord, FrameRecord
from splitbed import telemetry, web
from splitbed.errors import MachineError, UsageError
from splitbed.node.config import Tls
from splitbed.security.certificates import create
from splitbed.timeline import Stage, Timeline
from tests.node.loopback import free_port
from tests.shared_machine import until

NODE_METRICS = {
    "splitbed_stage_seconds",
    "splitbed_stage_cpu_seconds",
    "splitbed_request_seconds",
    "splitbed_bytes",
    "splitbed_frames_in_flight",
    "splitbed_errors",
    "splitbed_sessions",
    "splitbed_models_loaded",
    "process_cpu_seconds",
    "process_resident_memory_bytes",
}
FEW = {
    "stage",
    "link",
    "direction",
    "codec",
    "kind",
    "which",
    "split",
    "bw_mbit",
    "state",
    "le",
    "domain",
    "gpu",
}
CELL = Cell(Configuration(2, 5, "stage2", "int8+zstd", symmetric(rate_mbit=20)), 0)


@pytest.fixture
def address() -> Iterator[str]:
    """Where this process's metrics are served."""
    address = f"127.0.0.1:{free_port()}"
    with telemetry.serving(address):
        yield address


def scraped(address: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample at /metrics by its name and labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as reply:
        families = text_string_to_metric_families(reply.read().decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


def value(address: str, name: str, **labels: str) -> float:
    return scraped(address)[name, frozenset(labels.items())]


def test_all_metrics_of_a_node_are_there_before_its_first_frame(address: str) -> None:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as reply:
        families = {
            one.name for one in text_string_to_metric_families(reply.read().decode()) if one.samples
        }
    assert families >= NODE_METRICS


def test_labels_have_few_values_and_no_frame_or_run_among_them(address: str) -> None:
    ours = [labels for name, labels in scraped(address) if name.startswith("splitbed_")]
    assert {key for labels in ours for key, _ in labels} <= FEW


def test_codecs_beyond_those_that_anybody_uses_have_one_label(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "_codecs", {f"known{n}" for n in range(63)})
    for name in ("last", "one", "two", "last"):
        telemetry.tell_bytes("uplink", name, 1)
    counted = {
        dict(labels)["codec"]: bytes_
        for (name, labels), bytes_ in scraped(address).items()
        if name == "splitbed_bytes_total"
    }
    assert (counted["last"], counted["other"]) == (2, 2)
    assert not {"one", "two"} & counted.keys()


def test_names_say_their_base_units(address: str) -> None:
    names = {name for name, _ in scraped(address) if name.startswith("splitbed_")}
    assert not [name for name in names if re.search(r"_(ms|us|ns|mbit|kb|mb)(_|$)", name)]


def test_buckets_go_from_1_ms_to_60_s(address: str) -> None:
    telling()
    for name in ("splitbed_stage_seconds_bucket", "splitbed_frame_seconds_bucket"):
        ends = {float(dict(labels)["le"]) for found, labels in scraped(address) if found == name}
        assert min(ends) == 0.001
        assert sorted(ends)[-2:] == [60.0, float("inf")]


def record(**changes: str) -> CellRecord:
    return replace(cell_record(Visit(CELL), "1", "native", ()), **changes)


def telling() -> SweepTelemetry:
    told = SweepTelemetry()
    told.begin([CELL], Path(), "native")
    told.cell(CELL)
    return told


def test_a_frame_counts_in_the_stages_that_it_went_through(address: str) -> None:
    before = value(address, "splitbed_stage_seconds_count", stage="part2")
    timeline = Timeline()
    timeline.add("part2", 0, 250_000_000)
    telemetry.tell_stages(timeline)
    assert value(address, "splitbed_stage_seconds_count", stage="part2") == before + 1
    assert value(address, "splitbed_stage_seconds_sum", stage="part2") >= 0.25


def test_a_sweep_tells_its_current_cell_alone(address: str) -> None:
    told = telling()
    here = {"split": "stage2", "codec": "int8+zstd", "bw_mbit": "20"}
    assert value(address, "splitbed_sweep_cell_info", **here) == 1
    told.done(record())
    assert not [name for name, _ in scraped(address) if name == "splitbed_sweep_cell_info"]


def test_a_cell_is_at_zero_before_its_first_frame_so_that_rates_miss_none(address: str) -> None:
    cell = Cell(Configuration(2, 5, "fresh", "raw", symmetric(rate_mbit=7)), 0)
    SweepTelemetry().cell(cell)
    here = {"split": "fresh", "bw_mbit": "7"}
    assert value(address, "splitbed_frame_seconds_count", codec="raw", **here) == 0
    assert value(address, "splitbed_frame_stage_seconds_count", stage="uplink", **here) == 0


def test_cells_that_fail_are_counted_apart_with_their_kind(address: str) -> None:
    before = value(address, "splitbed_errors_total", kind="NodeError")
    told = telling()
    told.done(record(error="the edge node died", error_kind="NodeError"))
    assert value(address, "splitbed_sweep_cells", state="failed") == 1
    assert value(address, "splitbed_sweep_cells", state="done") == 0
    assert value(address, "splitbed_errors_total", kind="NodeError") == before + 1


def test_stages_of_two_clocks_are_counted_as_brought_to_one(address: str) -> None:
    told = telling()
    here = {"split": "stage2", "bw_mbit": "20", "stage": "uplink"}
    before = value(address, "splitbed_frame_stage_seconds_sum", **here)
    raw = FrameRecord(attempt="1", stages=(Stage("uplink", 0, 10**15),))
    told.frame(raw, [Stage("uplink", 0, 10**8)])
    assert value(address, "splitbed_frame_stage_seconds_sum", **here) == pytest.approx(before + 0.1)


def test_a_port_that_is_taken_is_named_with_what_repairs_it(address: str) -> None:
    port = address.rpartition(":")[2]
    again = telemetry.serving(address)
    said = f"metrics on {address}.*in use.*sport = :{port}"
    with pytest.raises(MachineError, match=said) as caught, again:
        pass
    assert caught.value.exit_code == 3


def test_the_port_is_free_again_afterwards(address: str) -> None:
    again = f"127.0.0.1:{free_port()}"
    for _ in range(2):
        with telemetry.serving(again):
            assert scraped(again)


def test_who_asks_a_byte_at_a_time_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_SILENT_S", 0.3)
    host, _, port = (address := f"127.0.0.1:{free_port()}").partition(":")
    with telemetry.serving(address), socket.create_connection((host, int(port)), 5) as slow:
        slow.settimeout(0.05)

        def hung_up() -> bool:
            try:
                slow.send(b"x")
                return not slow.recv(1)
            except TimeoutError:
                return False
            except OSError:
                return True

        until(hung_up)
        assert scraped(address)


def test_an_address_that_others_reach_needs_tls_or_insecure() -> None:
    address = f"0.0.0.0:{free_port()}"
    with pytest.raises(UsageError, match="insecure: true"), telemetry.serving(address):
        pass
    with telemetry.serving(address, insecure=True):
        assert scraped(address)
        request = urllib.request.Request(
            f"http://{address}/metrics", headers={"Host": "edge.example"}
        )
        with urllib.request.urlopen(request, timeout=5) as reply:
            assert reply.status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:80", 200),
        ("localhost", 200),
        ("LOCALHOST:9", 200),
        ("[::1]:9", 200),
        ("127.0.0.1.rebound.example", 421),
        ("rebound.example:9100", 421),
        ("192.0.2.1:9100", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_on_loopback_no_other_host_is_answered_for(address: str, host: str, status: int) -> None:
    connection = HTTPConnection(address, timeout=5)
    with closing(connection):
        connection.request("GET", "/metrics", headers={"Host": host})
        assert connection.getresponse().status == status


def test_nothing_is_served_where_no_address_is_given() -> None:
    with telemetry.serving(None):
        pass


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    create(folder := tmp_path_factory.mktemp("new") / "certs", {}, 1, token=False)
    return folder


@pytest.fixture
def encrypted(certs: Path) -> Iterator[str]:
    """Where metrics are served to those who have a certificate of the authority."""
    address = f"127.0.0.1:{free_port()}"
    with telemetry.serving(address, tls_of(certs, "ue")):
        yield address


def tls_of(certs: Path, role: str) -> Tls:
    return Tls(ca=certs / "ca.pem", cert=certs / f"{role}.pem", key=certs / f"{role}.key")


def read_as(certs: Path, role: str | None, address: str) -> str:
    trusting = ssl.create_default_context(cafile=certs / "ca.pem")
    if role:
        trusting.load_cert_chain(certs / f"{role}.pem", certs / f"{role}.key")
    url = f"https://{address}/metrics"
    with urllib.request.urlopen(url, timeout=5, context=trusting) as reply:
        return str(reply.read().decode())


def test_with_tls_who_has_a_certificate_of_the_authority_is_answered(
    certs: Path, encrypted: str
) -> None:
    assert "splitbed_sessions" in read_as(certs, "orchestrator", encrypted)


def test_with_tls_who_has_none_learns_nothing_but_that(
    certs: Path, encrypted: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OSError, match=r"(?i)ssl|certificate|reset"):
        read_as(certs, None, encrypted)
    assert capfd.readouterr().err == ""


def test_a_peer_that_is_silent_holds_up_no_other(certs: Path, encrypted: str) -> None:
    host, _, port = encrypted.rpartition(":")
    with socket.create_connection((host, int(port))):
        assert read_as(certs, "orchestrator", encrypted)


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    serving = telemetry.serving(f"127.0.0.1:{free_port()}", tls_of(tmp_path, "ue"))
    with pytest.raises(UsageError, match=r"ue\.pem.*certs init"), serving:
        pass


def test_a_rate_that_was_measured_stands_beside_what_was_asked_of_that_link(address: str) -> None:
    telemetry.tell_link("edge", (20.0, 20.0), (19.8, 19.9), (0.2, 0.4), 0)
    telemetry.tell_link("edge", (50.0, 50.0), None, (10.0, 10.2), 0)  # whose rates were known
    names = [f"splitbed_link_{which}_bits_per_second" for which in ("asked", "measured")]
    here = {"link": "edge", "direction": "uplink"}
    assert [value(address, name, **here) for name in names] == [20e6, 19.8e6]


def test_each_link_has_gauges_of_its_own(address: str) -> None:
    telemetry.tell_link("edge", (20.0, 20.0), (19.8, 19.9), (0.2, 0.4), 3)
    telemetry.tell_link("cloud", (100.0, 100.0), (99.0, 98.0), (5.0, 5.1), 0)
    for link, rtt_s, retransmits in (("edge", 0.0004, 3), ("cloud", 0.0051, 0)):
        asked = {"link": link, "which": "measured"}
        assert value(address, "splitbed_link_round_trip_seconds", **asked) == pytest.approx(rtt_s)
        assert value(address, "splitbed_tcp_retransmits", link=link) == retransmits
