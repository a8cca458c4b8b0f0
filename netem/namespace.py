"""Network namespaces without names: each lives as long as a descriptor or a process holds it.

Nothing is mounted and nothing is called anything, so two sweeps cannot collide and nothing is left
when the orchestrator is killed.
"""

import ctypes
import ipaddress
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from netem import shell
from netem.restore import SYSCTLS
from splitbed.errors import LinkError, MachineError

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21
_REEXECUTED = "SPLITBED_IN_USER_NAMESPACE"
_LIBC = ctypes.CDLL(None, use_errno=True)  # os.setns and os.unshare come with Python 3.12 only

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
class Namespace:
    """A network namespace, held by ``fd``. Processes and sockets of any kind can be put in it."""

    fd: int

    @property
    def path(self) -> str:
        """A path that other processes of this user can open while this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def command(self, argv: Sequence[str]) -> list[str]:
        """``argv`` so prefixed that it runs in this namespace, under the pid that starts it."""
        return ["nsenter", f"--net={self.path}", "--", *argv]

    def call(self, function: Callable[[], _T]) -> _T:
        """``function()`` on a thread inside the namespace; sockets and children it makes stay."""

        def enter_and_call() -> _T:
            _libc("setns", self.fd, _CLONE_NEWNET)
            return function()

        return _on_thread(enter_and_call)

    def run(self, argv: Sequence[str], *, given: str = "") -> str:
        """:func:`netem.shell.run` inside the namespace."""
        return self.call(lambda: shell.run(argv, given=given))


@contextmanager
def new_namespace() -> Iterator[Namespace]:
    """A fresh namespace, prepared. Raises LinkError."""
    fd = _on_thread(_unshare_network)
    try:
        namespace = Namespace(fd)
        prepare(namespace)
        yield namespace
    finally:
        os.close(fd)


def prepare(namespace: Namespace) -> None:
    """Bring the loopback up, and set the TCP facts of a measured link."""
    namespace.call(_write_sysctls)
    namespace.run(["ip", "link", "set", "lo", "up"])


def join(ends: Sequence[tuple[Namespace, str]], device: str, prefix_bits: int) -> None:
    """Bring up ``device`` in both namespaces of ``ends``, each with its IPv4 address.

    cubic is pinned on the route: the sysctl for congestion control is refused inside a namespace.
    Each end is told the other's hardware address, for a lost ARP would stall a frame for a second.
    """
    for namespace, address in ends:
        namespace.run(["ip", "address", "add", f"{address}/{prefix_bits}", "dev", device])
        namespace.run(["ip", "link", "set", device, "up"])
        subnet = str(ipaddress.ip_interface(f"{address}/{prefix_bits}").network)
        route = [subnet, "dev", device, "scope", "link", "src", address, "proto", "kernel"]
        namespace.run(["ip", "route", "replace", *route, "congctl", "cubic"])
    for (namespace, _), (peer, address) in (ends, ends[::-1]):
        [shown] = json.loads(peer.run(["ip", "-j", "link", "show", "dev", device]))
        known = ["lladdr", shown["address"], "nud", "permanent"]
        namespace.run(["ip", "neighbour", "replace", address, *known, "dev", device])


def privileged() -> bool:
    """Whether this process may make network namespaces and shape links in them."""
    status = Path("/proc/self/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    return all(effective >> capability & 1 for capability in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))


def ensure_privilege() -> None:
    """Return when privileged; else start this command anew as root of a user namespace of its own.

    Raises MachineError when the machine refuses that.
    """
    if privileged():
        return
    enter = ["unshare", "--user", "--map-root-user", "--"]
    if _REEXECUTED in os.environ:
        raise MachineError(
            f"links need CAP_NET_ADMIN, which this user namespace lacks; repair: {REPAIR}"
        )
    try:
        # Ubuntu lets the namespace be made, and then denies what root of it may do.
        shell.run([*enter, "unshare", "--net", "ip", "link", "set", "lo", "up"])
    except LinkError as error:
        raise MachineError(
            f"links need root or a user namespace, and this machine refuses both: {error}; "
            f"repair: {REPAIR}"
        ) from None
    os.environ[_REEXECUTED] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvp(enter[0], [*enter, sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (argv, no shell)


def _unshare_network() -> int:
    _libc("unshare", _CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _write_sysctls() -> None:
    for key, value in _SYSCTLS.items():
        path = Path("/proc/sys", key)
        try:
            path.write_text(value)
        except FileNotFoundError:
            if "ipv6" not in key:  # a kernel without IPv6 needs none of it switched off
                raise LinkError(f"{path} does not exist: this kernel cannot pin TCP") from None
        except OSError as error:
            raise LinkError(shell.failure(f"write {value} to {path}", str(error), 1)) from None


def _libc(name: str, *arguments: int) -> None:
    if getattr(_LIBC, name)(*arguments):
        why = os.strerror(ctypes.get_errno())
        raise LinkError(shell.failure(f"{name}(CLONE_NEWNET)", why, 1))


def _on_thread(function: Callable[[], _T]) -> _T:
    """Run ``function`` on a thread of its own, since a namespace belongs to a thread."""
    results: list[_T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
