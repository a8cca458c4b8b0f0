"""What this machine can do for a link, and what repairs what it cannot."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netem import namespace, shell
from splitbed.errors import MachineError

TUN = Path("/dev/net/tun")
UML = "linux.uml"
UML_MODULES = Path("/usr/lib/uml/modules")
COMPILER = "cc"
UML_REGISTERS = Path(__file__).parent / "backends" / "linkbox_registers.c"
"""What a library is made of that gives it room for registers that it does not know."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``repair`` says what to do when it is not ``ok``."""

    name: str
    ok: bool
    detail: str
    repair: str = ""


def diagnose() -> list[Finding]:
    """Everything that links depend on, none of it changed."""
    return [
        privilege(),
        ip(),
        tc(),
        netem_in_kernel(),
        cubic_in_kernel(),
        link_box(),
        tun(),
        ethtool(),
        insmod(),
        mininet(),
    ]


def privilege() -> Finding:
    """Root, or user namespaces in which an ordinary user is root."""
    if namespace.privileged():
        return Finding("privilege", True, "CAP_NET_ADMIN is held")
    error = _fails(
        ["unshare", "--user", "--map-root-user", "--net", "ip", "link", "set", "lo", "up"]
    )
    if error is None:
        return Finding("privilege", True, "user namespaces work for this user")
    return Finding("privilege", False, error, namespace.REPAIR)


def ip() -> Finding:
    """Makes namespaces and interfaces."""
    return _program("ip", "makes namespaces and interfaces")


def tc() -> Finding:
    """Shapes."""
    return _program("tc", "shapes")


def ethtool() -> Finding:
    """Sets up the link box's interfaces."""
    return _program("ethtool", "the link box needs it")


def insmod() -> Finding:
    """Loads sch_netem in the link box."""
    return _program("insmod", "the link box needs it")


def _program(name: str, purpose: str) -> Finding:
    path = shell.which(name)
    if path:
        return Finding(name, True, path)
    return Finding(name, False, f"not found ({purpose})", shell.missing(name).split("repair: ")[1])


def netem_in_kernel() -> Finding:
    """Tried, not looked up: a new namespace, and a netem on its loopback."""
    error = _fails(_in_new_namespace(["tc", "qdisc", "add", "dev", "lo", "root", "netem"]))
    if error is None:
        return Finding("sch_netem", True, "this kernel shapes (backend native)")
    return Finding(
        "sch_netem",
        False,
        error,
        "modprobe sch_netem, or a kernel with CONFIG_NET_SCH_NETEM; or use the link box",
    )


def cubic_in_kernel() -> Finding:
    """Whether a route can ask for cubic, which every link pins."""
    route = ["ip", "route", "add", "local", "10.77.0.0/24", "dev", "lo", "congctl", "cubic"]
    error = _fails(_in_new_namespace(route))
    if error is None:
        return Finding("tcp_cubic", True, "TCP cubic can be pinned on a route")
    return Finding("tcp_cubic", False, error, "modprobe tcp_cubic")


def link_box() -> Finding:
    """User-mode Linux whose kernel has sch_netem, as a module that the box loads or built in."""
    path = shell.which(UML)
    if not path:
        return Finding(UML, False, "not found", f"apt-get install {shell.PACKAGES[UML]}")
    if not has_netem(UML_MODULES):
        detail = f"no sch_netem below {UML_MODULES}"
        return Finding(UML, False, detail, f"apt-get install --reinstall {shell.PACKAGES[UML]}")
    if lacks_room() and (error := _fails([COMPILER, "-fsyntax-only", str(UML_REGISTERS)])):
        detail = f"it has no room for the registers of this processor (AMX): {error}"
        return Finding(UML, False, detail, f"apt-get install {shell.PACKAGES[COMPILER]}")
    return Finding(UML, True, f"{path} (backend linkbox)")


def lacks_room(facts: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has registers that linux.uml, of kernel 6.1, has no room for."""
    return "amx_tile" in facts.read_text().split()


def has_netem(modules: Path) -> bool:
    """Whether a kernel whose modules are below there has sch_netem."""
    built_in = (file.read_text() for file in modules.glob("*/modules.builtin"))
    return any(modules.glob("*/kernel/net/sched/sch_netem.ko*")) or any(
        "/sch_netem.ko" in names for names in built_in
    )


def tun() -> Finding:
    """TAPs for the link box; an ordinary user needs the node readable and writable."""
    if not TUN.exists():
        repair = f"modprobe tun, or mkdir -p {TUN.parent} && mknod -m 0666 {TUN} c 10 200"
        return Finding(str(TUN), False, "does not exist", repair)
    if not os.access(TUN, os.R_OK | os.W_OK):
        return Finding(str(TUN), False, "not writable for this user", f"sudo chmod 0666 {TUN}")
    return Finding(str(TUN), True, "readable and writable")


def mininet() -> Finding:
    """Mininet's package and its helper in C."""
    from importlib.util import find_spec

    if not namespace.privileged():
        repair = "run it as root, or below `unshare --user --map-root-user`"
        return Finding("mininet", False, "Mininet wants to be run by root", repair)
    if not shell.which("mnexec"):
        return Finding("mininet", False, "mnexec not found", "apt-get install mininet")
    if not find_spec("mininet"):
        repair = "pip install 'splitbed[mininet]'"
        return Finding("mininet", False, "no Python package in this environment", repair)
    return Finding("mininet", True, "mnexec and the Python package (backend mininet)")


def _in_new_namespace(argv: Sequence[str]) -> list[str]:
    user = [] if namespace.privileged() else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", "--", *argv]


def _fails(argv: Sequence[str]) -> str | None:
    try:
        shell.run(argv)
    except MachineError as error:
        return str(error).split("; repair:")[0]
    return None
