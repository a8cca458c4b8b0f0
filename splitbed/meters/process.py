"""What this process takes: CPU time, memory, context switches (proc(5)), energy, GPUs.

RSS and switches are read after each frame, off the clock. PSS takes the kernel milliseconds: it is
read where the whole is, between frames.
"""

import os
import resource
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from threading import Lock

from splitbed.meters.cpu import LEDGER
from splitbed.meters.energy import EnergyMeter
from splitbed.meters.gpu import GpuMeter
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import Footprint

_SELF = Path("/proc/self")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_RESET_PEAK = "5"
_KEEP_UP_S = 1.0
_MEMORY = (("rss_peak_bytes", "status", "VmHWM:"), ("pss_bytes", "smaps_rollup", "Pss:"))
"""What is read, in which file, on which line."""


class ProcessMeter:
    """Counts from :meth:`begin` on; ``proc`` is the process's directory in procfs.

    What counts energy, and what tells of GPUs, is looked for when it is first asked for.
    """

    def __init__(self, proc: Path = _SELF) -> None:
        self._proc = proc
        self._pages = self._samples = 0
        self._switches = 0, 0
        self._peak_known = False
        self._kept_up_s = 0.0
        self._lock = Lock()
        """Of several frames under way, each has a thread of its own."""

    @cached_property
    def _statm(self) -> int | None:
        with suppress(OSError):
            return os.open(self._proc / "statm", os.O_RDONLY | os.O_CLOEXEC)
        return None

    @cached_property
    def energy(self) -> EnergyMeter:
        """What counts the energy of this process, or of its machine."""
        return EnergyMeter()

    @cached_property
    def gpus(self) -> GpuMeter:
        """What tells of the machine's GPUs."""
        return GpuMeter()

    def begin(self) -> nodes_pb2.Resources:
        """All that it has used so far; peaks and means are from now on."""
        with self._lock:
            self._pages = self._samples = 0
        self._peak_known = False
        with suppress(OSError):
            (self._proc / "clear_refs").write_text(_RESET_PEAK)
            self._peak_known = True
        self._kept_up_s = time.monotonic()
        self._keep_up()
        told = self.read()
        told.MergeFrom(_counted())  # without what it took to read the rest
        with self._lock:
            self._switches = told.voluntary_switches, told.involuntary_switches
        LEDGER.begin()
        return told

    def sample(self) -> Footprint:
        """The memory that it has now, which is added to the mean, and switches since this before.

        Takes microseconds.
        """
        told = Footprint()
        with self._lock:
            if self._statm is not None:
                pages = int(os.pread(self._statm, 128, 0).split()[1])
                self._pages, self._samples = self._pages + pages, self._samples + 1
                told.rss_bytes = pages * _PAGE
            before, self._switches = self._switches, _switches()
        told.voluntary_switches, told.involuntary_switches = (
            now - then for now, then in zip(self._switches, before, strict=True)
        )
        return told

    def keep_up(self) -> None:
        """Look, each second, at counters that begin anew, or tell of the last moments alone."""
        now_s = time.monotonic()
        with self._lock:
            if due := bool(self._kept_up_s) and now_s - self._kept_up_s > _KEEP_UP_S:
                self._kept_up_s = now_s  # no other thread does it, too
        if due:
            self._keep_up()

    def _keep_up(self) -> None:
        """Look at counters that begin anew, or tell of the last moments alone."""
        self.energy.keep_up()
        self.gpus.keep_up()

    def read(self) -> nodes_pb2.Resources:
        """All that it has used so far."""
        told = _counted()
        with self._lock:
            if self._samples:
                told.rss_bytes = round(self._pages * _PAGE / self._samples)
        for name, file, line in _MEMORY:
            if name == "rss_peak_bytes" and not self._peak_known:
                told.lacks.append("rss_peak_bytes: the kernel does not count it anew (clear_refs)")
            elif (nbytes := self._bytes_in(file, line)) is None:
                told.lacks.append(f"{name}: {self._proc / file} has no {line}")
            else:
                setattr(told, name, nbytes)
        self.energy.read(told)
        self.gpus.read(told)
        return told

    def _bytes_in(self, file: str, line: str) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            return int((self._proc / file).read_text().partition(f"\n{line}")[2].split()[0]) << 10
        return None


def _switches() -> tuple[int, int]:
    """Voluntary and involuntary ones, of all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_nvcsw, used.ru_nivcsw


def _counted() -> nodes_pb2.Resources:
    voluntary, involuntary = _switches()
    return nodes_pb2.Resources(
        at_ns=time.monotonic_ns(),
        cpu_s=time.process_time(),
        unbooked_ns=max(LEDGER.unbooked_ns, 0),
        voluntary_switches=voluntary,
        involuntary_switches=involuntary,
    )


METER = ProcessMeter()
"""That of this process."""
