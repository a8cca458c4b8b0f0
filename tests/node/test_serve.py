"""Where a node may listen, and what it says when it cannot."""

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import grpc
import pytest

from splitbed.errors import UsageError
from splitbed.node.tcp import facts_to
from splitbed.security.addresses import checked_address, data_address, host_and_port, ip_port
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.node.loopback import free_port
from tests.shared_machine import AS_USUAL, HANG_S, until


@pytest.mark.parametrize("address", ["127.0.0.1:5", "localhost:5", "[::1]:5", "unix:/run/x"])
def test_loopback_and_unix_sockets_need_no_permission(address: str) -> None:
    assert checked_address(address, allowed=False) == address


@pytest.mark.parametrize("address", ["0.0.0.0:5", "10.0.0.1:5", "[::]:5", "[fe80::1%eth0]:5"])
def test_an_address_that_others_reach_needs_insecure(address: str) -> None:
    with pytest.raises(UsageError, match="insecure: true"):
        checked_address(address, allowed=False)
    assert checked_address(address, allowed=True) == address


@pytest.mark.parametrize(
    "address",
    ["", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "x:5", "::1:5", "[127.0.0.1]:5", "[::1]"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="IP:PORT"):
        checked_address(address, allowed=True)


def test_data_crosses_no_unix_socket() -> None:
    with pytest.raises(UsageError, match="give IP:PORT"):
        data_address("unix:/run/x", allowed=True)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("10.0.0.1:5", "10.0.0.1"),
        ("localhost:5", "127.0.0.1"),
        ("[fd00:0::0002]:5", "fd00::2"),  # as sockets have it
        ("[fe80::1%eth0]:5", "fe80::1%eth0"),
        ("[::ffff:10.0.0.1]:5", "10.0.0.1"),
    ],
)
def test_an_address_is_taken_apart_and_put_together(address: str, host: str) -> None:
    assert host_and_port(address) == data_address(address, allowed=True) == (host, 5)
    assert host_and_port(ip_port(host, 5)) == (host, 5)


def test_a_port_that_is_taken_exits_3_and_says_how_to_find_who_has_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        argv = [sys.executable, "-m", "edge_node", "serve", "--listen", address]
        ended = subprocess.run(
            [*argv, "--control", "127.0.0.1:1"], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 3
    assert f"cannot listen on {address}" in ended.stderr
    assert "ss -ltnp" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_node_that_may_open_hardly_any_file_says_what_it_needs() -> None:
    argv = [sys.executable, "-m", "edge_node", "serve", "--listen", "127.0.0.1:1"]
    ended = subprocess.run(
        [*argv, "--control", "127.0.0.1:2"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (520, 520)),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode == 3
    assert "ulimit -n 4608" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_kernel_tells_of_a_connection_by_its_peer(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listening:
        with socket.create_connection(listening.getsockname()[:2]):
            facts = facts_to(listening.getsockname()[:2])
        assert facts is not None
        assert facts.congestion_control
        assert facts.mss_bytes > 500
        assert facts.retransmits == 0
        assert facts_to(("127.0.0.1", 1)) is None


@contextmanager
def serving(folder: Path, stderr: int | IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """An edge node whose control plane is a socket in that folder."""
    argv = [*AS_USUAL, sys.executable, "-m", "edge_node", "serve", "--log", "json"]
    argv += ["--listen", f"127.0.0.1:{free_port()}", "--control", f"unix:{folder}/control"]
    with subprocess.Popen(argv, stderr=stderr) as node:
        try:
            until((folder / "control").exists, node)
            yield node
        finally:
            node.kill()


@pytest.mark.parametrize("how", [signal.SIGHUP, signal.SIGQUIT])
def test_a_node_of_a_terminal_that_is_closed_ends_as_it_does_by_sigterm(
    tmp_path: Path, how: signal.Signals
) -> None:
    with (tmp_path / "log").open("wb") as log, serving(tmp_path, log) as node:
        with grpc.insecure_channel(f"unix:{tmp_path}/control") as channel:
            grpc.channel_ready_future(channel).result(HANG_S)
        node.send_signal(how)
        assert node.wait(HANG_S) == 0
    assert "stopping" in (tmp_path / "log").read_text()


def test_a_log_that_nobody_reads_holds_up_no_call(tmp_path: Path) -> None:
    with serving(tmp_path, subprocess.PIPE) as node:
        with grpc.insecure_channel(f"unix:{tmp_path}/control") as channel:
            for number in range(200):  # 400 KB, where a pipe has room for 64
                piece = nodes_pb2.ModelPiece(format=f"{number} " + "x" * 5000)
                with suppress(grpc.RpcError):
                    rpc.EdgeStub(channel).Deploy(iter([piece]), timeout=HANG_S)
            ask: Any = rpc.NodeStub(channel)
            assert ask.Describe(nodes_pb2.DescribeRequest(), timeout=HANG_S).name == "edge"
        assert node.stderr is not None
        lines = [node.stderr.readline() for _ in range(201)]
        assert b"refused a model of format '199 " in lines[-1]
        node.terminate()
        assert b"stopping" in node.stderr.read()
