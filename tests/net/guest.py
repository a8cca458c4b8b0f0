"""A user-mode Linux guest whose kernel has sch_netem, for tests that this kernel cannot serve.

The guest sees this machine's files read-only; /tmp, /run and HOME are its own and start empty. It
has one CPU, and system calls cost some 60 times more than here: right for facts, wrong for timing.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netem.backends.linkbox import uml_environment
from netem.doctor import UML, UML_MODULES, has_netem

MODULES = UML_MODULES

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home {environment}
mount="/lib64/ld-linux-x86-64.so.2 $(command -v mount)"
$mount -t proc proc /proc; $mount -t sysfs sys /sys; $mount -t devtmpfs dev /dev
$mount -t tmpfs tmpfs /run
# The repository and its Python stay in sight where they lie below a folder that is hidden.
for kept in {kept}; do mkdir -p "/run/kept$kept"; $mount --bind "$kept" "/run/kept$kept"; done
for own in {own}; do [ -d $own ] && $mount -t tmpfs tmpfs $own; done
for kept in {kept}; do
    [ -d "$kept" ] || {{ mkdir -p "$kept"; $mount --bind "/run/kept$kept" "$kept"; }}
done
mkdir -p /run/home /run/kmod/lib /dev/shm /dev/pts
$mount -t tmpfs tmpfs /dev/shm; $mount -t devpts devpts /dev/pts
# modprobe, for us and for the kernel, finds the guest's modules beside the host's.
ln -s {modules} /run/kmod/lib/modules
printf '#!/bin/sh\\nexec modprobe -d /run/kmod "$@"\\n' > /run/modprobe; chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
ip link set lo up
exec < /dev/null > /dev/ttyS0 2>&1
stty -F /dev/ttyS0 -onlcr
cd {cwd}
{command}
echo "GUEST EXIT $?"
echo o > /proc/sysrq-trigger; sleep 10
"""


@dataclass(frozen=True)
class Outcome:
    """What a command in the guest printed (both streams) and its exit code."""

    output: str
    exit_code: int


def lacks() -> str | None:
    """Why this machine cannot boot the guest; None when it can."""
    if not shutil.which(UML):
        return "needs linux.uml (apt-get install user-mode-linux)"
    if not has_netem(MODULES):
        return f"needs the modules of user-mode-linux in {MODULES}"
    return None


def run_in_guest(
    argv: Sequence[str],
    *,
    memory_mb: int = 1024,
    timeout_s: float = 120,
    environment: dict[str, str] | None = None,
) -> Outcome:
    """Boot a guest, run ``argv`` in it from this directory, power it off.

    Kernel modules load on demand. Raises TimeoutError with what was printed until then.
    """
    ours, guests = socket.socketpair()
    with ours, tempfile.TemporaryDirectory(prefix="guest-", dir="/var/tmp") as home:
        # Not in /tmp, which the guest hides behind its own.
        init = Path(home, "init.sh")
        init.write_text(_init_script(argv, environment or {}))
        box = [UML, f"mem={memory_mb}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        box += ["quiet", f"umid={Path(home).name}", "uml_dir=./", "con=null", "con0=null,fd:2"]
        box += ["ssl=null", f"ssl0=fd:{guests.fileno()}", "init=/bin/sh", "--", str(init)]
        with guests, Path(home, "console").open("wb") as console:
            process = subprocess.Popen(
                ["taskset", "-c", str(max(os.sched_getaffinity(0))), *box],
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env=uml_environment(Path(home)),
                pass_fds=[guests.fileno()],
                start_new_session=True,
            )
        try:
            printed = _until_exit(ours, timeout_s)
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet: the number is still its own
            process.wait()
        output, _, exit_code = printed.rpartition("GUEST EXIT ")
        if not exit_code.strip().isdigit():
            printed += Path(home, "console").read_text(errors="replace")
            raise TimeoutError(f"the guest did not end within {timeout_s:g} s: {printed}")
        return Outcome(output, int(exit_code))


def _init_script(argv: Sequence[str], environment: dict[str, str]) -> str:
    return _INIT.format(
        environment=" ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items()),
        kept=shlex.join(dict.fromkeys([str(Path.cwd()), sys.prefix, sys.base_prefix])),
        own="/tmp /var/log /root/.cache /etc/openvswitch",
        modules=MODULES,
        cwd=shlex.quote(str(Path.cwd())),
        command=shlex.join(argv),
    )


def _until_exit(control: socket.socket, timeout_s: float) -> str:
    deadline = time.monotonic() + timeout_s
    printed = b""
    while b"GUEST EXIT" not in printed or not printed.endswith(b"\n"):
        control.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            received = control.recv(65536)
        except OSError:
            break
        if not received:
            break
        printed += received
    return printed.decode(errors="replace")
