"""Backend "linkbox": all ends native, and a tiny user-mode Linux between them that runs netem.

    ue namespace                 link box (linux.uml)                 edge namespace
    data0 (TAP) ────── vec0 [netem: downlink]  [netem: uplink] vec1 ────── data0 (TAP)

A second link is vec2 and vec3, and so on: what one box carries in all is what it does accurately.
For kernels without sch_netem. The box holds the TAPs, so they go with it; it ends when its link
is closed, and when this process dies, be it by SIGKILL.
"""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from netem import qdisc, shell
from netem.backends.network import Cable, Network
from netem.doctor import COMPILER, UML, UML_REGISTERS, lacks_room
from netem.namespace import new_namespaces
from netem.spec import Shape
from splitbed.errors import LinkError, MachineError

_INIT = Path(__file__).with_name("linkbox_init.sh")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
_BOOT_S = 60.0  # a second on a quiet machine
_ANSWER_S = 10.0  # 1 ms on a quiet machine
_POWER_OFF_S = 3.0  # 0.05 s on a quiet machine


@dataclass
class LinkBox:
    """A running box. ``control`` is its serial line: lines of tc in, JSON and complaints out."""

    control: socket.socket
    console: BinaryIO
    _unread: bytes = b""
    _turn: Lock = field(default_factory=Lock)

    def wait_ready(self) -> None:
        """Return when the box is up and connected. Raises LinkError with its last words."""
        _, before = self._read_until("READY", _BOOT_S)
        if before:
            raise LinkError(f"the link box came up with complaints: {'; '.join(before)}")

    def tc(self, lines: str) -> str:
        """Give ``lines``, of which the last shows a qdisc, to the box's tc; return its JSON.

        Raises LinkError with whatever else tc printed.
        """
        with self._turn:
            try:
                self.control.sendall(lines.encode())
            except OSError as error:
                raise LinkError(f"the link box is gone: {error}; {self._last_words()}") from None
            answer, complaints = self._read_until("[", _ANSWER_S)
        if complaints:
            raise LinkError(shell.failure(f"tc {lines.splitlines()[0]}", " ".join(complaints), 1))
        return answer

    def _read_until(self, sign: str, timeout_s: float) -> tuple[str, list[str]]:
        """The first line that starts with ``sign``, and the lines before it."""
        before: list[str] = []
        deadline = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._unread:
                raw, _, self._unread = self._unread.partition(b"\n")
                line = raw.decode(errors="replace").strip()
                if line.startswith(sign):
                    return line, before
                before += [line] if line else []
            self.control.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                received = self.control.recv(65536)
            except TimeoutError:
                said = "; ".join([*before, self._last_words()])
                raise LinkError(f"the link box was silent for {timeout_s:g} s: {said}") from None
            except OSError:
                received = b""
            if not received:
                said = "; ".join([*before, self._last_words()])
                raise LinkError(f"the link box ended: {said}")
            self._unread += received

    def _last_words(self) -> str:
        # pread, for the box writes at the offset that this descriptor shares with it.
        said = os.pread(self.console.fileno(), 1 << 20, 0).decode(errors="replace")
        return " | ".join(said.split("\n")[-6:]).strip(" |")


@dataclass(frozen=True)
class BoxEgress:
    """The netem at the root of one of the box's interfaces."""

    box: LinkBox
    device: str

    def apply(self, shape: Shape) -> Shape:
        return qdisc.parse(self.box.tc(qdisc.batch(self.device, shape)))

    def read(self) -> Shape:
        return qdisc.parse(self.box.tc(qdisc.show(self.device)))


@contextmanager
def open_linkbox(run_dir: Path, cables: Mapping[str, Cable]) -> Iterator[Network]:
    """New namespaces, for each cable two TAPs, and one box between them all.

    Raises LinkError, MachineError.
    """
    ends = [end for cable in cables.values() for end in cable.ends]
    with new_namespaces(node for node, _ in ends) as nodes, ExitStack() as taps:
        fds = []
        for node, device in ends:
            fds.append(nodes[node].open_tap(device))
            taps.callback(os.close, fds[-1])
        # Up before the box starts, and never down again: that would wedge the box for good.
        for cable in cables.values():
            cable.bring_up(nodes)
        with _booted(run_dir, fds) as box:
            taps.close()
            yield Network(
                nodes,
                {
                    name: cable.link(
                        "linkbox",
                        nodes,
                        uplink=BoxEgress(box, f"vec{near + 1}"),
                        downlink=BoxEgress(box, f"vec{near}"),
                    )
                    for near, (name, cable) in zip(count(0, 2), cables.items(), strict=False)
                },
            )


@contextmanager
def _booted(run_dir: Path, taps: list[int]) -> Iterator[LinkBox]:
    run_dir.mkdir(parents=True, exist_ok=True)
    ours, boxs = socket.socketpair()
    with ExitStack() as stack:
        console = stack.enter_context(tempfile.TemporaryFile())
        stack.enter_context(closing(ours))
        # Needed for the boot only, and gone before the link is used: nothing is left on the disk.
        with closing(boxs), tempfile.TemporaryDirectory(prefix="linkbox-", dir=run_dir) as home:
            command = _command(Path(home).name, taps, boxs.fileno())
            process, guard = _start(command, Path(home), console, [*taps, boxs.fileno()])
            stack.callback(_end, process, guard, ours)
            boxs.close()
            box = LinkBox(ours, console)
            box.wait_ready()
        yield box


def uml_environment(folder: Path) -> dict[str, str]:
    """That of a linux.uml that starts now; what it needs for it is made in `folder`.

    Its memory is a file whose pages are executed: in /dev/shm, or where nothing may be there, as in
    a container, in `folder`. Where a processor has registers that it knows nothing of its first
    process would crash, but for a library that is loaded before, which this machine's C compiler
    makes.
    Raises MachineError without one, LinkError where it fails.
    """
    memory = _SHARED_MEMORY if _may_be_executed(_SHARED_MEMORY) else str(folder.resolve())
    own = shell.environment() | {"TMPDIR": memory}  # one that is set may be on a slow disk
    if not lacks_room():
        return own
    library = folder / "registers.so"
    made = ["-shared", "-fPIC", "-O1", "-o", str(library), str(UML_REGISTERS), "-ldl"]
    shell.run([COMPILER, *made])
    return {**own, "LD_PRELOAD": str(library.resolve())}


def _may_be_executed(folder: str) -> bool:
    """Whether a file can be made there whose pages are executed."""
    try:
        executes = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:  # there is no such folder
        return False
    return executes and os.access(folder, os.W_OK)


def _command(umid: str, taps: list[int], control: int) -> list[str]:
    # Pinned: it boots sooner, and a change takes 1 ms with fewer outliers.
    cpu = max(os.sched_getaffinity(0))
    box = [UML, "mem=128M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"]
    # uml_dir is relative since the path of a UNIX socket ends at 108 bytes.
    box += ["init=/bin/sh", "ipv6.disable=1", f"umid={umid}", "uml_dir=./", "devtmpfs.mount=1"]
    # Its kernel would try out what is best for a RAID, and make 256 terminals: most of its boot.
    box += ["initcall_blacklist=raid6_select_algo", "pty.legacy_count=0"]
    box += ["con=null", "con0=null,fd:2", "ssl=null", f"ssl0=fd:{control}"]
    # vec=0: recvmmsg and sendmmsg do not work on a TAP.
    box += [f"vec{index}:transport=fd,fd={fd},vec=0" for index, fd in enumerate(taps)]
    # Through sh, since an installed package's files need not be executable.
    return ["taskset", "-c", str(cpu), *box, "--", f'"{_INIT}"']


def _start(
    command: list[str], home: Path, console: BinaryIO, fds: list[int]
) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Start the box, and its guard, which kills it when this process is no more.

    The box powers off when its serial line closes, but overlooks that while it boots.
    """
    environment = uml_environment(home)
    guard = subprocess.Popen(
        ["/bin/sh", "-c", "read box; read end_of_file; kill -s KILL -- -$box"],
        stdin=subprocess.PIPE,
        stdout=console,
        stderr=console,
        start_new_session=True,  # out of Ctrl-C's reach
    )
    assert guard.stdin is not None
    try:
        box = subprocess.Popen(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            pass_fds=fds,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        guard.stdin.close()
        guard.wait()
        raise MachineError(shell.missing(error.filename)) from None
    guard.stdin.write(b"%d\n" % box.pid)
    guard.stdin.flush()
    return box, guard


def _end(
    box: subprocess.Popen[bytes], guard: subprocess.Popen[bytes], control: socket.socket
) -> None:
    """Let the box power off, which reaps its helpers; kill what is left of its group; reap."""
    control.close()
    deadline = time.monotonic() + _POWER_OFF_S
    flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while not os.waitid(os.P_PID, box.pid, flags) and time.monotonic() < deadline:
        time.sleep(0.01)
    # Neither is reaped yet, so the group's number is still its own.
    os.killpg(box.pid, signal.SIGKILL)
    guard.kill()
    assert guard.stdin is not None
    guard.stdin.close()
    for process in (guard, box):
        process.wait()
