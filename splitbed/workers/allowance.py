"""What a worker may take."""

import ctypes
import os
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

OF_FILES = 4
"""So many times its files what reads them may take: as they came, and as they are laid out."""
SLOWEST_BYTES_S = 16 << 20
"""Of files, that the slowest of processors reads, lays out and runs in a second."""
DECODER_BYTES, OF_BASE = 512 << 20, 8
"""What a decoder may take, and so many times what an update is made to, which may be one weight."""
_MOST_LIKELY = 1000  # proc(5), oom_score_adj
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass
class Allowed:
    """What a file may take to be opened and run, in this process or in a worker.

    ``session_bytes`` of memory beside its weights, and ``seconds`` of the processor beside those
    that its bytes take.
    """

    session_bytes: int = 2 << 30
    seconds: float = 120.0


ALLOWED = Allowed()


@dataclass(frozen=True)
class Allowance:
    """What a process may take beyond what it has: memory, processor, and a file that it writes.

    Each of its ``threads`` may take ``seconds`` of the processor.
    """

    memory_bytes: int
    seconds: float
    file_bytes: int = 0
    threads: int = 1

    @classmethod
    def of_files(cls, nbytes: int, *, sessions: int = 1, threads: int = 1) -> Self:
        """What :data:`ALLOWED` says for files of so many bytes, and no more than is free here."""
        memory_bytes = sessions * ALLOWED.session_bytes + OF_FILES * nbytes
        room = min(memory_bytes, psutil.virtual_memory().available)
        return cls(room, ALLOWED.seconds + nbytes / SLOWEST_BYTES_S, threads=threads)

    def hold(self) -> None:
        """Hold this process to it, or to less where it is held to that already, for good."""
        seconds = time.process_time() + self.seconds * self.threads
        for kind, most in (
            (resource.RLIMIT_DATA, _data_bytes() + self.memory_bytes),
            (resource.RLIMIT_CPU, int(seconds) + 1),
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            _, before = resource.getrlimit(kind)
            least = most if before == resource.RLIM_INFINITY else min(most, before)
            resource.setrlimit(kind, (least, least))


def go_first() -> None:
    """Have this process end before any other where memory ends, and with the one it is from."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_MOST_LIKELY))
    end_with_parent(os.getppid())


def end_with_parent(parent: int) -> None:
    """Have this process be killed once the one that it was forked from has ended, or if it has."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def peak_bytes() -> int:
    """The most memory that this process had; getrusage would tell that of the one it is from."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _data_bytes() -> int:
    """What RLIMIT_DATA counts (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * os.sysconf("SC_PAGE_SIZE")
