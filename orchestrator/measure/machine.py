"""What the machine of the orchestrator was at while a cell ran, as its kernel counts it.

counters ──> proof, frames, proof ──> counters ──> MachineRecord
"""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from orchestrator.ask.topology import kind_of
from orchestrator.results.records import MachineRecord
from orchestrator.testbed.nodes.pair import Pair
from splitbed.timeline import clock_id

_LEAST_S = 0.2  # the kernel counts in ticks of up to 10 ms
_PRESSURE = Path("/proc/pressure/cpu")
_PREEMPTED = "nonvoluntary_ctxt_switches:"


@dataclass(frozen=True)
class _Counters:
    at_s: float
    cpu_s: float
    busy_s: float
    own_s: float
    stolen_s: float | None
    waited_s: float | None
    preemptions: int | None


class MachineMeter:
    """Counts from when it is made until it is read; what the kernel does not tell is None."""

    def __init__(self, pair: Pair) -> None:
        self._nodes = _nodes_here(pair)
        self._all_here = len(self._nodes) == len(pair.nodes)
        self._before = _counters(self._nodes)

    def read(self) -> MachineRecord:
        """What was counted so far."""
        before, after = self._before, _counters(self._nodes)
        if after.at_s - before.at_s < _LEAST_S:
            return MachineRecord(load_average=os.getloadavg()[0], mhz=_mhz())
        cpu_s = after.cpu_s - before.cpu_s
        # by other processes than the run's, which are children of this one unless on machines
        others = (before.busy_s - before.own_s, after.busy_s - after.own_s)
        return MachineRecord(
            others_share=_share(*others, cpu_s) if self._all_here else None,
            steal_share=_share(before.stolen_s, after.stolen_s, cpu_s),
            pressure_share=_share(before.waited_s, after.waited_s, after.at_s - before.at_s),
            load_average=os.getloadavg()[0],
            mhz=_mhz(),
            preemptions=_less(after.preemptions, before.preemptions),
        )


def _nodes_here(pair: Pair) -> list[int]:
    """The nodes that run on this machine, where this process can see them by their own numbers."""
    here, found = clock_id(), []
    for name, node in pair.nodes.items():
        pid, program = node.says.pid, f"{kind_of(name)}_node".encode()
        with suppress(OSError):
            if node.says.clock == here and program in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def _counters(nodes: Sequence[int]) -> _Counters:
    used = psutil.cpu_times()
    # what guests use is in what users do, too
    cpu_s = sum(s for name, s in used._asdict().items() if not name.startswith("guest"))
    return _Counters(
        at_s=time.monotonic(),
        cpu_s=cpu_s,
        busy_s=used.user + used.nice + used.system,
        own_s=_own_s(),
        stolen_s=getattr(used, "steal", None),
        waited_s=_waited_s(),
        preemptions=_preemptions(nodes),
    )


def _own_s() -> float:
    """CPU seconds of this process and of those below it, with what ended below them."""
    this = psutil.Process()
    used_s = 0.0
    for process in (this, *this.children(recursive=True)):
        with suppress(psutil.Error):  # gone
            used_s += sum(process.cpu_times()[:4])
    return used_s


def _waited_s() -> float | None:
    """For how long some task that could run had to wait for a processor (the kernel's psi)."""
    with suppress(OSError, ValueError):
        some = _PRESSURE.read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return None


def _preemptions(nodes: Sequence[int]) -> int | None:
    """How often the nodes' threads that live had to leave a processor to others."""
    count, read = 0, False
    for pid in nodes:
        with suppress(OSError):  # gone
            for status in Path(f"/proc/{pid}/task").glob("*/status"):
                with suppress(OSError):
                    count += int(status.read_text().rpartition(_PREEMPTED)[2].split()[0])
                    read = True
    return count if read else None


def _mhz() -> float | None:
    with suppress(OSError, NotImplementedError):
        now = psutil.cpu_freq()
        return now.current if now and now.current else None
    return None


def _share(before_s: float | None, after_s: float | None, of_s: float) -> float | None:
    if before_s is None or after_s is None or of_s <= 0:
        return None
    return min(max(after_s - before_s, 0.0) / of_s, 1.0)


def _less(after: int | None, before: int | None) -> int | None:
    return None if after is None or before is None else max(after - before, 0)
