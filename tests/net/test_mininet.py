"""The Mininet backend: rates on any kernel, the rest where sch_netem is, and nothing in silence."""

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from netem.backends import BACKENDS, open_link
from netem.doctor import netem_in_kernel
from netem.link import Link
from netem.probe.client import prove
from netem.probe.proof import judge
from netem.probe.server import ProbeServer
from netem.spec import Shape, symmetric
from splitbed.errors import LinkError
from tests.fork_server import no_fork_server
from tests.net import guest
from tests.net.test_lifetime import HOLD_A_LINK, alive
from tests.shared_machine import until

__all__ = ["no_fork_server"]

TOPOLOGY = Path(__file__).parents[2] / "topologies" / "mininet_pair.py"


@pytest.fixture(autouse=True)
def _machine(backend: str) -> None:
    del backend  # only for its skip
    if lacks := BACKENDS["mininet"].lacks():
        pytest.skip(f"needs Mininet: {lacks[0].detail}; {lacks[0].repair}")


@pytest.fixture
def link(run_dir: Path) -> Iterator[Link]:
    with open_link("mininet", run_dir) as opened:
        yield opened


@pytest.fixture
def guest_prove() -> list[str]:
    if lacks := guest.lacks():
        pytest.skip(lacks)
    return [sys.executable, "-m", "netem.cli", "prove", "--backend", "mininet"]


@pytest.mark.parametrize("rate_mbit", [5, 100])
def test_a_rate_alone_needs_no_netem(link: Link, rate_mbit: float) -> None:
    spec = symmetric(rate_mbit=rate_mbit)
    link.shape(spec)
    assert link.read_back() == spec
    udp = socket.SOCK_DGRAM
    with ProbeServer(link.edge_address, opened=link.edge.open_socket(udp)) as server:
        proof = prove(server.address, server.token, spec, opened=link.ue.open_socket(udp))
    assert judge(proof, spec) is None, proof


@pytest.mark.parametrize("more", [{"delay_ms": 10}, {"loss_pct": 1}, {"queue_packets": 50}])
def test_what_mininet_drops_without_netem_is_an_error(link: Link, more: dict[str, float]) -> None:
    if netem_in_kernel().ok:
        pytest.skip("this kernel has sch_netem")
    before = symmetric(rate_mbit=20)
    link.shape(before)
    with pytest.raises(LinkError, match=f"did not take what was asked: {next(iter(more))}"):
        link.shape(symmetric(rate_mbit=10, **more))
    assert link.read_back() == before


def test_an_unshaped_pair_has_nothing_to_read_back(link: Link) -> None:
    with pytest.raises(LinkError, match="no netem"):
        link.read_back()


def test_a_killed_parent_leaves_no_host(run_dir: Path) -> None:
    argv = [sys.executable, "-c", HOLD_A_LINK, "mininet", str(run_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert len(children) >= 2
    until(lambda: not alive(children))


def test_a_closed_pair_leaves_no_host(run_dir: Path) -> None:
    with open_link("mininet", run_dir):
        children = psutil.Process().children(recursive=True)
    assert len(children) >= 2
    assert alive(children) == []


@pytest.mark.measures  # a guest has one slow processor
def test_with_netem_mininet_shapes_everything(guest_prove: list[str]) -> None:
    # a rate that the guest's processor has time for whatever else runs beside it
    shape = ["--rate-mbit", "5", "--delay-ms", "10", "--jitter-ms", "1", "--loss-pct", "1"]
    outcome = guest.run_in_guest([*guest_prove, *shape, "--queue-packets", "200"])
    assert outcome.exit_code == 0, outcome.output
    assert "backend mininet" in outcome.output


def test_mn_takes_the_topology(guest_prove: list[str]) -> None:
    del guest_prove  # only for its skip
    mn = shutil.which("mn") or pytest.skip("needs mn (apt-get install mininet)")
    # In the guest, for when mn fails it kills by name whatever looks like Mininet's.
    topology = "splitbed,rate=20,delay=10,loss=1"
    command = f"{mn} --custom {TOPOLOGY} --topo {topology} --controller none"
    asked = "ue tc qdisc show dev ue-eth0\\nedge tc qdisc show dev edge-eth0"
    outcome = guest.run_in_guest(["sh", "-c", f"printf '{asked}\\n' | {command}"])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.count("delay 10ms loss 1%") == 2


def test_netem_is_asked_for_only_where_htb_alone_will_not_do() -> None:
    from netem.backends.mininet import tc_parameters  # Mininet is there, or this was skipped

    assert tc_parameters(Shape(rate_mbit=5)) == {"bw": 5}
    assert tc_parameters(Shape(rate_mbit=5, delay_ms=1))["delay"] == "1.000000ms"
