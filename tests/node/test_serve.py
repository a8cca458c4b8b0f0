"""Where a node may listen, and what it says when it cannot."""

import socket
import subprocess
import sys

import pytest

from splitbed.errors import UsageError
from splitbed.node.tcp import facts_to
from splitbed.security.addresses import checked_address, ipv4_and_port


@pytest.mark.parametrize("address", ["127.0.0.1:5", "localhost:5", "[::1]:5", "unix:/run/x"])
def test_loopback_and_unix_sockets_need_no_permission(address: str) -> None:
    assert checked_address(address, allowed=False) == address


@pytest.mark.parametrize("address", ["0.0.0.0:5", "10.0.0.1:5", "[::]:5"])
def test_an_address_that_others_reach_needs_insecure(address: str) -> None:
    with pytest.raises(UsageError, match="insecure: true"):
        checked_address(address, allowed=False)
    assert checked_address(address, allowed=True) == address


@pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "x:5"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="IP:PORT"):
        checked_address(address, allowed=True)


@pytest.mark.parametrize("address", ["unix:/run/x", "[::1]:5"])
def test_the_data_plane_is_ipv4(address: str) -> None:
    with pytest.raises(UsageError, match="IPV4:PORT"):
        ipv4_and_port(address, allowed=True)


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


def test_the_kernel_tells_of_a_connection_by_its_peer() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()):
            facts = facts_to(listening.getsockname())
        assert facts is not None
        assert facts.congestion_control
        assert facts.mss_bytes > 500
        assert facts.retransmits == 0
        assert facts_to(("127.0.0.1", 1)) is None
