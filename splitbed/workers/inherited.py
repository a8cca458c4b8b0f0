"""What a process inherits: one that is forked of the fork server takes it of who asked for it."""

import os
import resource
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from splitbed.errors import MachineError

_LIMITS = sorted(number for name, number in vars(resource).items() if name.startswith("RLIMIT_"))


@dataclass(frozen=True)
class Inherited:
    """What one has that is started by a thread (execve(2)); a limit has its number, soft, hard."""

    umask: int
    niceness: int
    cpus: Sequence[int]
    blocked: Sequence[int]
    limits: Sequence[Sequence[int]]

    @classmethod
    def now(cls) -> Self:
        """Of this thread; MachineError where there is no room to look."""
        try:
            status = Path("/proc/self/status").read_bytes()  # a name there may end within a letter
        except OSError as error:
            raise MachineError(f"cannot start a process: {error.strerror}") from error
        return cls(
            int(status.partition(b"Umask:")[2].split()[0], 8),  # os.umask tells it by changing it
            os.getpriority(os.PRIO_PROCESS, 0),
            sorted(os.sched_getaffinity(0)),
            sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            [[number, *resource.getrlimit(number)] for number in _LIMITS],
        )

    def take(self) -> None:
        """Have this process have it, as far as it may."""
        os.umask(self.umask)
        with suppress(OSError):  # it was nicer, and may not be less so
            os.setpriority(os.PRIO_PROCESS, 0, self.niceness)
        with suppress(OSError):  # they are gone meanwhile
            os.sched_setaffinity(0, self.cpus)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.blocked)
        for number, soft, hard in self.limits:
            with suppress(ValueError, OSError):  # it was held to less
                resource.setrlimit(number, (soft, hard))
