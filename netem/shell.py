"""The one place that runs a command of the operating system."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence

from splitbed.errors import LinkError, MachineError

PACKAGES = {
    "cc": "gcc libc6-dev",
    "ip": "iproute2",
    "tc": "iproute2",
    "ethtool": "ethtool",
    "insmod": "kmod",
    "linux.uml": "user-mode-linux",
    "mnexec": "mininet",
    "nsenter": "util-linux",
    "taskset": "util-linux",
    "unshare": "util-linux",
}
"""Debian's and Ubuntu's package of each program that a link may need."""

_REPAIRS = {
    "not permitted": "run it as root, or as a user who may create user namespaces",
    "Permission denied": "run it as root, or as a user who may create user namespaces",
    "qdisc kind is unknown": "this kernel has no sch_netem: use the backend 'linkbox'",
    "fatal error:": f"apt-get install {PACKAGES['cc']}",
    "Read-only file system": "give the container a writable /proc/sys (docker run --privileged)",
}


def environment() -> dict[str, str]:
    """This process's, with the folders of ip and tc, which Debian keeps from ordinary users."""
    return {**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}


def which(program: str) -> str | None:
    """Where ``program`` is."""
    return shutil.which(program, path=environment()["PATH"])


def run(
    argv: Sequence[str],
    *,
    within: Sequence[str] = (),
    given: str = "",
    passed: Sequence[int] = (),
    timeout_s: float = 10,
) -> str:
    """Run ``argv`` with ``given`` on its stdin and return its stdout.

    ``within`` is the command that runs it, if one does, and ``passed`` are descriptors that it
    keeps. Raises MachineError when the program is missing, LinkError when it fails or hangs.
    """
    for program in (*within[:1], argv[0]):
        if not which(program):
            raise MachineError(missing(program))
    try:
        done = subprocess.run(
            [*within, *argv],
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=environment(),
            pass_fds=passed,
        )
    except subprocess.TimeoutExpired:
        raise LinkError(f"`{shlex.join(argv)}` did not end within {timeout_s:g} s") from None
    if done.returncode:
        raise LinkError(failure(shlex.join(argv), done.stderr or done.stdout, done.returncode))
    return done.stdout


def missing(program: str) -> str:
    """The message for a program that is not installed."""
    return f"{program} is not installed; repair: apt-get install {PACKAGES.get(program, program)}"


def failure(command: str, said: str, exit_code: int) -> str:
    """The message for a command that failed: what, why, and what repairs it where we know."""
    said = " ".join(said.split())
    repair = next((cure for sign, cure in _REPAIRS.items() if sign in said), None)
    return f"`{command}` failed (exit {exit_code}): {said}" + (
        f"; repair: {repair}" if repair else ""
    )
