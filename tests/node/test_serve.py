"""Where a node may listen, and what it says when it cannot."""

import resource
import socket
import subprocess
import sys

import pytest

from splitbed.errors import UsageError
from splitbed.node.tcp import facts_to
from splitbed.security.addresses import checked_address, data_address, host_and_port, ip_port


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
