"""The interface that data crosses, as its kernel has it."""

import subprocess
import sys
from pathlib import Path

import pytest

from splitbed.node.interface import offloads_of, tell_interface
from splitbed.v1.nodes_pb2 import NodeDescription

ROOT = Path(__file__).parents[2]
SWITCHED = """
import array, fcntl, socket, struct
from splitbed.node.interface import offloads_of
SET_TSO, SET_GRO = 0x1F, 0x2C
print(offloads_of("lo"))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    for command in (SET_TSO, SET_GRO):
        value = array.array("I", [command, 0])
        request = struct.pack("16sP", b"lo", value.buffer_info()[0])
        fcntl.ioctl(any_socket, 0x8946, request)
print(offloads_of("lo"))
"""


def told(host: str, dev: str | None = None) -> NodeDescription:
    description = NodeDescription()
    tell_interface(description, host, dev)
    return description


@pytest.mark.parametrize(
    ("host", "elsewhere"), [("127.0.0.1", "192.0.2.1"), ("::1", "2001:db8::1")]
)
def test_the_interface_of_an_address_says_its_mtu_and_what_is_on(host: str, elsewhere: str) -> None:
    lo = told(host)
    assert lo.ipv6 == (host == "::1")
    assert lo.mtu == int(Path("/sys/class/net/lo/mtu").read_text())
    assert dict(lo.offloads) == offloads_of("lo")
    assert offloads_of("lo").keys() == {"tso", "gso", "gro", "lro"}
    assert told(elsewhere, dev="lo") == lo


def test_what_is_switched_off_is_told_as_off() -> None:
    argv = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SWITCHED]
    ended = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=False)
    if "unshare" in ended.stderr:
        pytest.skip(ended.stderr.strip())
    assert ended.stdout.splitlines() == [
        "{'tso': True, 'gso': True, 'gro': True, 'lro': False}",
        "{'tso': False, 'gso': True, 'gro': False, 'lro': False}",
    ], ended.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "255.255.255.255"])
def test_an_address_of_no_interface_says_nothing(host: str) -> None:
    assert told(host) == NodeDescription()


def test_an_interface_that_is_not_there_says_nothing() -> None:
    assert offloads_of("nowhere0") == {}
    assert told("127.0.0.1", dev="nowhere0") == NodeDescription()
