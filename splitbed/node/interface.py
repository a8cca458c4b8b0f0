"""The interface that data crosses: how large its packets are, and what it does with them itself."""

import array
import socket
import struct
from contextlib import suppress
from fcntl import ioctl
from ipaddress import ip_address

import psutil

from splitbed.v1.nodes_pb2 import NodeDescription

# ethtool(7)'s ioctl of linux/ethtool.h: get a value, or flags of which one is large receive offload
_SIOCETHTOOL, _GFLAGS, _FLAG_LRO = 0x8946, 0x25, 1 << 15
_VALUES = {"tso": 0x1E, "gso": 0x23, "gro": 0x2B}
_ANY_PORT = 9


def tell_interface(told: NodeDescription, host: str, dev: str | None = None) -> None:
    """Have a node say MTU and offloads of `dev`; else of what has the address `host`.

    Or of that by which packets leave for it; and whether they are IPv6's. Nothing is said where
    there is none, and of the address that stands for all of a machine's.
    """
    told.ipv6 = ":" in host and not ip_address(host).is_unspecified
    interface = dev or _interface_towards(host)
    facts = psutil.net_if_stats().get(interface or "")
    if interface and facts:
        told.mtu = facts.mtu
        told.offloads.update(offloads_of(interface))


def offloads_of(interface: str) -> dict[str, bool]:
    """Whether each of tso, gso, gro and lro is on, as ``ethtool -k`` has it.

    Empty where the kernel does not tell: no such interface, or not Linux's own network.
    """
    found: dict[str, bool] = {}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for name, command in _VALUES.items():
            found[name] = _value(any_socket, interface, command) != 0
        found["lro"] = _value(any_socket, interface, _GFLAGS) & _FLAG_LRO != 0
    return found if len(found) > len(_VALUES) else {}


def _interface_towards(host: str) -> str | None:
    if ip_address(host).is_unspecified:
        return None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, _ANY_PORT))  # of UDP: nothing is sent
        own = probe.getsockname()[0]
        for name, addresses in psutil.net_if_addrs().items():
            if own in (one.address for one in addresses):
                return name
    return None


def _value(any_socket: socket.socket, interface: str, command: int) -> int:
    """One value of struct ethtool_value, which the request points to."""
    value = array.array("I", [command, 0])
    address, _ = value.buffer_info()
    request = struct.pack("16sP", interface.encode(), address)
    ioctl(any_socket, _SIOCETHTOOL, request)
    return value[1]
