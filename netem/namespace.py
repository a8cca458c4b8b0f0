"""Network namespaces without names: each lives as long as a descriptor or a process holds it.

    this process                          its children
      user and network, by descriptor ──▶ nsenter: programs, and what netem.inside makes there

Nothing is mounted and nothing is called anything, so two sweeps cannot collide and nothing is left
when this process is killed. It never enters one itself: an ordinary user's namespaces belong to a
user namespace, which no process with threads can enter, and none need leave.
"""

import ipaddress
import json
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from netem import shell
from netem.restore import SYSCTLS

_INSIDE = Path(__file__).with_name("inside.py")
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21

REPAIR = (
    "run it as root, or allow user namespaces: "
    "sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 24.04 and later)"
)

_SYSCTLS = {
    # A connection that is warm stays warm, and none inherits what an earlier one learnt.
    **SYSCTLS,
    # Interfaces made later speak IPv4 only: no router solicitations on a measured link.
    "net/ipv6/conf/default/disable_ipv6": "1",
}


@dataclass(frozen=True)
class Counters:
    """What an interface has carried by its kernel's count: bytes are those of Ethernet frames."""

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int

    def since(self, earlier: "Counters") -> "Counters":
        """What it has carried after `earlier`."""
        both = zip(astuple(self), astuple(earlier), strict=True)
        return Counters(*(now - then for now, then in both))


@dataclass(frozen=True)
class Namespace:
    """A network namespace, held by ``fd``. Processes and sockets of any kind can be put in it.

    ``user`` holds the user namespace that it belongs to, where an ordinary user made it.
    """

    fd: int
    user: int | None = None

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` so prefixed that it runs in this namespace, under the pid that starts it.

        For children of this process, while it lives.
        """
        *user, net = self.files
        told = ["--preserve-credentials", *(f"--user={file}" for file in user)] if user else []
        return ["nsenter", *told, f"--net={net}", "--", *argv]

    @property
    def files(self) -> list[str]:
        """What to enter, in this order, to be in it, likewise."""
        held = [self.fd] if self.user is None else [self.user, self.fd]
        return [f"/proc/{os.getpid()}/fd/{one}" for one in held]

    def run(self, argv: Sequence[str], *, given: str = "", passed: Sequence[int] = ()) -> str:
        """:func:`netem.shell.run` inside the namespace."""
        return shell.run(argv, within=self.command([]), given=given, passed=passed)

    def open_socket(
        self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET
    ) -> socket.socket:
        """A socket of this namespace, for this process: to bind, to connect, to close."""
        [fd] = _handed_over(self.command([]), "socket", str(int(family)), str(int(kind)))
        return socket.socket(fileno=fd)

    def counters(self) -> dict[str, Counters]:
        """What each interface has carried since it is there, by its name."""
        shown = json.loads(self.run(["ip", "-s", "-j", "link", "show"]))
        return {one["ifname"]: _counters(one["stats64"]) for one in shown}

    def open_tap(self, device: str) -> int:
        """The descriptor of a new TAP, which lasts as long as it. Raises LinkError."""
        [fd] = _handed_over(self.command([]), "tap", device)
        return fd


@contextmanager
def new_namespace(beside: Namespace | None = None) -> Iterator[Namespace]:
    """A fresh namespace, prepared. Raises MachineError, LinkError.

    An ordinary user's are of one user namespace, so that a veth can join them, where each is made
    ``beside`` the first.
    """
    root = privileged()
    enter = ["unshare", "--net", *([] if root or beside else ["--user", "--map-root-user"]), "--"]
    fds = _handed_over(beside.command(enter) if beside else enter, "namespace")
    try:
        namespace = Namespace(fds[0], None if root else fds[1])
        prepare(namespace)
        yield namespace
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def new_namespaces(names: Iterable[str]) -> Iterator[dict[str, Namespace]]:
    """A fresh namespace for each name, which a veth can join; raises as :func:`new_namespace`."""
    made: dict[str, Namespace] = {}
    with ExitStack() as stack:
        for name in dict.fromkeys(names):
            beside = next(iter(made.values()), None)
            made[name] = stack.enter_context(new_namespace(beside))
        yield made


def prepare(namespace: Namespace) -> None:
    """Bring the loopback up, and set the TCP facts of a measured link."""
    for key, value in _SYSCTLS.items():
        file = Path("/proc/sys", key)
        if "ipv6" not in key or file.exists():  # a kernel without IPv6 needs none switched off
            namespace.run(["tee", str(file)], given=value)
    namespace.run(["ip", "link", "set", "lo", "up"])


def join(ends: Sequence[tuple[Namespace, str, str]], prefix_bits: int) -> None:
    """Bring up both ``ends`` of a link: in a namespace a device, which gets that IPv4 address.

    cubic is pinned on the route: the sysctl for congestion control is refused inside a namespace.
    Each end is told the other's hardware address, for a lost ARP would stall a frame for a second.
    """
    for namespace, device, address in ends:
        namespace.run(["ip", "address", "add", f"{address}/{prefix_bits}", "dev", device])
        namespace.run(["ip", "link", "set", device, "up"])
        subnet = str(ipaddress.ip_interface(f"{address}/{prefix_bits}").network)
        route = [subnet, "dev", device, "scope", "link", "src", address, "proto", "kernel"]
        namespace.run(["ip", "route", "replace", *route, "congctl", "cubic"])
    for (namespace, device, _), (peer, far, address) in (ends, ends[::-1]):
        [shown] = json.loads(peer.run(["ip", "-j", "link", "show", "dev", far]))
        known = ["lladdr", shown["address"], "nud", "permanent"]
        namespace.run(["ip", "neighbour", "replace", address, *known, "dev", device])


def add_veth(one: Namespace, device: str, other: Namespace, peer: str) -> None:
    """A veth pair: ``device`` of the one, ``peer`` of the other."""
    pair = ["type", "veth", "peer", "name", peer, "netns", f"/proc/self/fd/{other.fd}"]
    one.run(["ip", "link", "add", "name", device, *pair], passed=[other.fd])


def single_segments(namespace: Namespace, device: str) -> None:
    """Have TCP hand ``device`` one segment at a time, as the wire would carry them.

    With its super-packets netem's loss of 1 % drops 0.5 % of the segments, whatever ethtool says
    about tso and gso.
    """
    namespace.run(["ip", "link", "set", device, "gso_max_segs", "1"])


def privileged() -> bool:
    """Whether this process may make network namespaces and shape links in them."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return all(effective >> capability & 1 for capability in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def _counters(stats: Mapping[str, Mapping[str, int]]) -> Counters:
    sent, received = stats["tx"], stats["rx"]
    return Counters(sent["bytes"], sent["packets"], received["bytes"], received["packets"])


def _handed_over(enter: Sequence[str], *made: str) -> list[int]:
    """The descriptors of what :mod:`netem.inside` makes, below ``enter``."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        given = [sys.executable, "-IS", str(_INSIDE), str(theirs.fileno()), *made]
        shell.run(given, within=enter, passed=[theirs.fileno()])
        flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        return socket.recv_fds(ours, 1, 2, flags)[1]
