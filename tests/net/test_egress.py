"""Shaping an interface that exists, as two machines do: here a veth between two namespaces."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from netem import egress
from netem.egress import Shaper, shaper_kind
from netem.link import DEVICE
from netem.namespace import Namespace, add_veth, join, new_namespace, privileged
from netem.probe.client import prove
from netem.probe.proof import Proof, judge
from netem.probe.server import ProbeServer
from netem.spec import LinkSpec, Shape
from splitbed.errors import LinkError, UsageError
from tests.net import guest
from tests.net.entering import call
from tests.net.traffic import connected
from tests.shared_machine import until, within

UE, EDGE = "10.78.0.1", "10.78.0.2"
PORT = 50051
NETEM = [sys.executable, "-m", "netem.cli"]

HOLD = f"""
import sys
from netem.egress import Shaper
from netem.spec import Shape
with Shaper("{DEVICE}", {PORT}, ingress=True) as shaper:
    shaper.apply(Shape(rate_mbit=20), Shape(rate_mbit=20))
    print("shaped", flush=True)
    while True:
        shaper.apply(Shape(rate_mbit=5), Shape(rate_mbit=5))
"""


@pytest.fixture(autouse=True)
def _machine() -> None:
    if not privileged():
        pytest.skip("needs CAP_NET_ADMIN: run as root, or below `unshare --user --map-root-user`")


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    """The UE's and the edge's namespace, with a veth and TCP's own defaults."""
    with new_namespace() as ue, new_namespace() as edge:
        add_veth(ue, DEVICE, edge, DEVICE)
        join([(ue, DEVICE, UE), (edge, DEVICE, EDGE)], 24)
        for end in (ue, edge):
            write_sysctl(end, "tcp_slow_start_after_idle", "1")
            write_sysctl(end, "tcp_no_metrics_save", "0")
        yield ue, edge


@pytest.fixture
def ue(ends: tuple[Namespace, Namespace]) -> Namespace:
    return ends[0]


@contextmanager
def shaping(end: Namespace, port: int | None = PORT, *, ingress: bool = False) -> Iterator[Shaper]:
    """Entered in the namespace; from then on it is used from outside of it."""
    shaper = Shaper(DEVICE, port, ingress=ingress)
    call(end, shaper.__enter__)
    try:
        yield shaper
    finally:
        shaper.__exit__()


def write_sysctl(end: Namespace, name: str, value: str) -> None:
    call(end, lambda: Path("/proc/sys/net/ipv4", name).write_text(value))


def sysctls(end: Namespace) -> list[str]:
    names = ("tcp_slow_start_after_idle", "tcp_no_metrics_save")
    return call(end, lambda: [Path("/proc/sys/net/ipv4", name).read_text() for name in names])


def interfaces(end: Namespace) -> dict[str, tuple[int, int]]:
    """Each interface's gso_max_segs and gro_max_size."""
    shown = json.loads(end.run(["ip", "-d", "-j", "link", "show"]))
    return {one["ifname"]: (one["gso_max_segs"], one["gro_max_size"]) for one in shown}


def qdiscs(end: Namespace) -> str:
    return end.run(["tc", "qdisc", "show", "dev", DEVICE]).replace(" refcnt 3", " refcnt 2")


def state(end: Namespace) -> tuple[object, ...]:
    """All that shaping changes."""
    return qdiscs(end), interfaces(end), sysctls(end)


def proved(ends: tuple[Namespace, Namespace], spec: LinkSpec) -> Proof:
    """Measured over UDP of the data port."""
    ue, edge = ends
    udp = socket.SOCK_DGRAM
    with ProbeServer(EDGE, PORT, opened=edge.open_socket(udp)) as server:
        return prove(server.address, server.token, spec, opened=ue.open_socket(udp))


def tcp_seconds(ends: tuple[Namespace, Namespace], port: int, sent_bytes: int) -> float:
    """From the first byte that the UE sends to ``port`` of the edge to the last that arrives."""
    ue, edge = ends
    sender, receiver = connected(ue, edge, EDGE, port)
    with sender, receiver:
        sender.settimeout(30)
        start = time.monotonic()
        thread = threading.Thread(target=sender.sendall, args=(bytes(sent_bytes),))
        thread.start()
        left = sent_bytes
        while left:
            left -= len(receiver.recv(1 << 16))
        thread.join()
        return time.monotonic() - start


@contextmanager
def holder(end: Namespace) -> Iterator["subprocess.Popen[str]"]:
    """A process that shapes, and changes the shape without end."""
    argv = end.command([sys.executable, "-c", HOLD])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "shaped\n"
            yield process
        finally:
            process.kill()


def guardian_of(pid: int) -> psutil.Process:
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):  # a tc that has ended meanwhile
            if "netem.restore" in child.cmdline():
                return child
    raise LookupError(f"process {pid} has no guardian")


@pytest.mark.measures
def test_each_end_shapes_what_it_sends_from_or_to_the_data_port(
    ends: tuple[Namespace, Namespace],
) -> None:
    spec = LinkSpec(uplink=Shape(rate_mbit=20), downlink=Shape(rate_mbit=50))
    with shaping(ends[0]) as ue, shaping(ends[1]) as edge:
        assert ue.apply(spec.uplink) == (spec.uplink, None)
        assert edge.apply(spec.downlink) == (spec.downlink, None)
        proof = proved(ends, spec)
    assert judge(proof, spec) is None


@pytest.mark.measures
def test_what_comes_in_is_shaped_where_the_other_end_cannot(
    ends: tuple[Namespace, Namespace],
) -> None:
    spec = LinkSpec(uplink=Shape(rate_mbit=50), downlink=Shape(rate_mbit=20))
    with shaping(ends[0], ingress=True) as ue:
        assert ue.apply(spec.uplink, spec.downlink) == (spec.uplink, spec.downlink)
        proof = proved(ends, spec)
    assert judge(proof, spec) is None


@pytest.mark.measures
def test_tcp_of_the_data_port_is_shaped_and_that_of_others_is_not(
    ends: tuple[Namespace, Namespace],
) -> None:
    with shaping(ends[0], ingress=True) as ue:
        ue.apply(Shape(rate_mbit=4), Shape(rate_mbit=4))
        # 0.25 MB take 0.52 s at 4 Mbit/s of frames; unshaped, a few ms on an idle machine.
        shaped_s = tcp_seconds(ends, PORT, 250_000)
        assert shaped_s > 0.45
        within(0, lambda: tcp_seconds(ends, PORT + 1, 250_000) / shaped_s, 0.5)


@pytest.mark.measures
def test_without_a_port_everything_is_shaped(ends: tuple[Namespace, Namespace]) -> None:
    with shaping(ends[0], None) as ue:
        ue.apply(Shape(rate_mbit=4))
        assert tcp_seconds(ends, PORT + 1, 250_000) > 0.45


def test_leaving_puts_everything_back(ue: Namespace) -> None:
    before = state(ue)
    with shaping(ue, ingress=True) as shaper:
        shaper.apply(Shape(rate_mbit=20), Shape(rate_mbit=20))
        assert interfaces(ue)[DEVICE] == (1, 1)
        assert sysctls(ue) == ["0\n", "1\n"]
    assert state(ue) == before
    assert "noqueue" in shaper.restored


def test_entering_changes_nothing(ue: Namespace) -> None:
    before = state(ue)
    with shaping(ue, ingress=True):
        assert state(ue) == before


def test_a_killed_process_leaves_nothing_shaped(ue: Namespace) -> None:
    before = state(ue)
    with holder(ue) as process:
        assert state(ue) != before
        guardian_of(process.pid).terminate()  # as systemd does to a whole service
        process.kill()
    until(lambda: state(ue) == before)


def test_the_owner_restores_when_its_guardian_was_killed(ue: Namespace) -> None:
    before = state(ue)
    with shaping(ue) as shaper:
        shaper.apply(Shape(rate_mbit=20))
        guardian_of(os.getpid()).kill()
    assert state(ue) == before


def test_a_successor_of_a_killed_process_waits_until_all_is_put_back(ue: Namespace) -> None:
    before = state(ue)
    with holder(ue) as process:
        process.kill()
        process.wait()
        with shaping(ue) as shaper:
            shaper.apply(Shape(rate_mbit=20))
    assert state(ue) == before


@pytest.mark.parametrize("words", ["pfifo limit 77", "tbf rate 9Mbit burst 15Kb lat 70ms"])
def test_a_qdisc_that_somebody_chose_comes_back(ue: Namespace, words: str) -> None:
    ue.run(["tc", "qdisc", "add", "dev", DEVICE, "root", *words.split()])
    before = state(ue)
    with shaping(ue) as shaper:
        shaper.apply(Shape(rate_mbit=20))
        assert state(ue) != before
    assert state(ue) == before
    assert "root limit 77p" in shaper.restored or "rate 9Mbit" in shaper.restored


def test_a_qdisc_that_could_not_be_put_back_is_refused_untouched(ue: Namespace) -> None:
    for words in (
        "qdisc add dev {} root handle 1: htb",
        "class add dev {} parent 1: classid 1:1 htb rate 1gbit",
    ):
        ue.run(["tc", *words.format(DEVICE).split()])
    before = state(ue)
    with pytest.raises(LinkError, match=r"htb.*could not be put back.*repair"), shaping(ue):
        pass
    assert state(ue) == before


def test_an_interface_whose_ingress_is_taken_is_refused_untouched(ue: Namespace) -> None:
    ue.run(["tc", "qdisc", "add", "dev", DEVICE, "ingress"])
    before = state(ue)
    with pytest.raises(LinkError, match=r"ingress.*repair"), shaping(ue, ingress=True):
        pass
    assert state(ue) == before


def test_an_interface_that_is_shaped_already_is_refused(
    ue: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "_PREDECESSOR_S", 0.1)
    with shaping(ue) as first:
        first.apply(Shape(rate_mbit=20))
        with pytest.raises(LinkError, match=r"shaped already.*repair"), shaping(ue):
            pass
        assert first.read() == (Shape(rate_mbit=20), None)


def test_of_two_that_entered_only_the_first_to_shape_does(ue: Namespace) -> None:
    before = state(ue)
    with shaping(ue) as first, shaping(ue) as second:
        first.apply(Shape(rate_mbit=20))
        with pytest.raises(LinkError, match=r"changed its qdiscs.*repair"):
            second.apply(Shape(rate_mbit=5))
        assert first.read() == (Shape(rate_mbit=20), None)
    assert state(ue) == before


def test_when_one_direction_fails_the_earlier_shape_is_put_back(ue: Namespace) -> None:
    with shaping(ue, ingress=True) as shaper:
        shaper.apply(Shape(rate_mbit=20))
        ue.run(["tc", "qdisc", "add", "dev", DEVICE, "ingress"])
        with pytest.raises(LinkError, match="put back as it was"):
            shaper.apply(Shape(rate_mbit=5), Shape(rate_mbit=5))
        assert shaper.read() == (Shape(rate_mbit=20), None)
        assert "ingress" in qdiscs(ue)


def test_a_first_shape_that_fails_leaves_nothing(ue: Namespace) -> None:
    with shaping(ue, ingress=True) as shaper:
        ue.run(["tc", "qdisc", "add", "dev", DEVICE, "ingress"])
        before = state(ue)
        with pytest.raises(LinkError, match="put back as it was"):
            shaper.apply(Shape(rate_mbit=5), Shape(rate_mbit=5))
        assert state(ue) == before


def test_an_unknown_interface_is_told_with_those_there_are(ue: Namespace) -> None:
    with pytest.raises(UsageError, match=f"'eth7'; there are .*{DEVICE}"):
        call(ue, Shaper("eth7", PORT).__enter__)


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="70000"):
        Shaper(DEVICE, 70000)


def test_a_delay_is_refused_by_a_kernel_without_netem_and_the_earlier_shape_stays(
    ue: Namespace,
) -> None:
    if call(ue, shaper_kind) == "netem":
        pytest.skip("this kernel has sch_netem")
    with shaping(ue) as shaper:
        shaper.apply(Shape(rate_mbit=20))
        with pytest.raises(LinkError, match=r"sch_netem.*repair"):
            shaper.apply(Shape(rate_mbit=20, delay_ms=10))
        assert shaper.read() == (Shape(rate_mbit=20), None)


def test_a_delay_is_applied_by_a_kernel_with_netem(ends: tuple[Namespace, Namespace]) -> None:
    if call(ends[0], shaper_kind) != "netem":
        pytest.skip("this kernel has no sch_netem; the guest's has")
    spec = LinkSpec(
        uplink=Shape(rate_mbit=20, delay_ms=15, jitter_ms=2, loss_pct=0.5, queue_packets=500),
        downlink=Shape(rate_mbit=10, delay_ms=25),
    )
    with shaping(ends[0], ingress=True) as ue:
        ue.apply(spec.uplink, spec.downlink)
        proof = proved(ends, spec)
    assert judge(proof, spec) is None


@pytest.mark.measures  # a guest has one slow processor
def test_a_kernel_with_netem_applies_a_delay(ue: Namespace) -> None:
    if call(ue, shaper_kind) == "netem":
        pytest.skip("this kernel has it: the test above tried it")
    if lacks := guest.lacks():
        pytest.skip(lacks)
    options = ["-q", "-p", "no:cacheprovider", "--color=no", "-k", "delay_is_applied"]
    outcome = guest.run_in_guest(
        [sys.executable, "-m", "pytest", *options, __file__],
        environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert outcome.exit_code == 0, outcome.output
    assert "skipped" not in outcome.output


def command(end: Namespace, *options: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    argv = end.command([*before, *NETEM, "apply", *options])
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_command_shapes_until_it_is_ended_with_one_capability(ue: Namespace) -> None:
    before = state(ue)
    only = ("setpriv", "--bounding-set", "-all,+net_admin")
    asked = ["--dev", DEVICE, "--profile", "5mbit", "--port", str(PORT), "--ingress"]
    with command(ue, *asked, before=only) as process:
        assert process.stdout and process.stderr
        shaped = process.stdout.readline()
        assert "sends 5 Mbit/s, receives 5 Mbit/s" in shaped, process.stderr.read()
        assert state(ue) != before
        process.terminate()
        assert process.wait(10) == 0
        assert "noqueue" in process.stdout.read()
    assert state(ue) == before


@pytest.mark.parametrize(
    ("asked", "exit_code", "told"),
    [
        (["--dev", "eth7", "--rate-mbit", "5"], 2, "there is no interface 'eth7'"),
        (["--dev", DEVICE, "--rate-mbit", "-5"], 2, "rate_mbit"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    ue: Namespace, asked: list[str], exit_code: int, told: str
) -> None:
    with command(ue, *asked) as process:
        _, error = process.communicate(timeout=10)
    assert process.returncode == exit_code
    assert told in error
    assert error.count("\n") == 1


def test_a_process_without_the_capability_is_told_what_repairs_it(ue: Namespace) -> None:
    none = ("setpriv", "--bounding-set", "-all")
    with command(ue, "--dev", DEVICE, "--rate-mbit", "5", before=none) as process:
        _, error = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "CAP_NET_ADMIN" in error
