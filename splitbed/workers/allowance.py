"""What a worker may take."""

import ctypes
import os
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_MOST_LIKELY = 1000  # proc(5), oom_score_adj
_PR_SET_PDEATHSIG = 1  # prctl(2)


@dataclass(frozen=True)
class Allowance:
    """What a process may take beyond what it has: memory, processor, and a file that it writes."""

    memory_bytes: int
    seconds: float
    file_bytes: int = 0

    def hold(self) -> None:
        """Hold this process to it, for good."""
        for kind, most in (
            (resource.RLIMIT_DATA, _data_bytes() + self.memory_bytes),
            (resource.RLIMIT_CPU, int(time.process_time() + self.seconds) + 1),
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (most, most))


def go_first() -> None:
    """Have this process end before any other where memory ends, and with the one it is from."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_MOST_LIKELY))
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def peak_bytes() -> int:
    """The most memory that this process had; getrusage would tell that of the one it is from."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def _data_bytes() -> int:
    """What RLIMIT_DATA counts (proc(5), statm)."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * os.sysconf("SC_PAGE_SIZE")
