"""What GPUs were busy with, by NVIDIA's NVML (`nvidia-ml-py`, the extra `gpu`).

Time is that in which kernels ran, whoever's: the share that NVML tells of its last sample period,
1/6 s to 1 s long, over the time since it was read before. Memory is this process's.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from splitbed.v1 import nodes_pb2


class Utilization(Protocol):
    """Percent of the last sample period."""

    gpu: int


class Running(Protocol):
    """A process that has memory of a GPU; None where NVML may not tell how much."""

    pid: int
    usedGpuMemory: int | None


class Nvml(Protocol):
    """What is called of the library, by its own names; each raises its NVMLError."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> object:
        """Open the driver."""

    def nvmlDeviceGetCount(self) -> int:
        """How many GPUs there are."""

    def nvmlDeviceGetHandleByIndex(self, index: int) -> object:
        """One of them."""

    def nvmlDeviceGetName(self, handle: object) -> str | bytes:
        """What it is called."""

    def nvmlDeviceGetUtilizationRates(self, handle: object) -> Utilization:
        """How busy it was."""

    def nvmlDeviceGetComputeRunningProcesses(self, handle: object) -> Sequence[Running]:
        """Who has memory of it."""


def _bindings() -> Nvml:
    import pynvml

    found: Nvml = pynvml
    return found


@dataclass
class GpuMeter:
    """Counts from when it is made; without the library, a driver or a GPU it has none.

    ``bindings`` gives what NVML's bindings are called by, ``now`` the time in seconds.
    """

    bindings: Callable[[], Nvml] = _bindings
    now: Callable[[], float] = time.monotonic
    lacks: str = ""
    _busy_s: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    """A frame that has ended and whoever asks what was used may read at once."""

    def __post_init__(self) -> None:
        self._nvml: Nvml | None = None
        self._handles: list[tuple[str, object]] = []
        self._at_s = self.now()
        try:
            nvml = self.bindings()
        except ImportError:
            return  # nobody asked for it
        try:
            nvml.nvmlInit()
            self._handles, self._nvml = [*_opened(nvml)], nvml
        except nvml.NVMLError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._nvml, self.lacks = None, f"GPUs by NVML: {error}"

    def keep_up(self) -> None:
        """Add what its GPUs were busy with since the last time."""
        with self._lock:
            self._count()

    def _count(self) -> None:
        if (nvml := self._nvml) is None:
            return
        passed_s, self._at_s = (now := self.now()) - self._at_s, now
        try:
            for name, handle in self._handles:
                share = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
                self._busy_s[name] = self._busy_s.get(name, 0.0) + share * passed_s
        except nvml.NVMLError as error:
            self._fail(error)

    def read(self, told: nodes_pb2.Resources) -> None:
        """Add its GPUs to what is told, or what it lacks."""
        self.keep_up()
        if self.lacks:
            told.lacks.append(self.lacks)
        if (nvml := self._nvml) is None:
            return
        try:
            for name, handle in self._handles:
                own_bytes = _own_bytes(nvml, handle)
                told.gpus.add(name=name, busy_s=self._busy_s[name], memory_bytes=own_bytes)
        except nvml.NVMLError as error:
            del told.gpus[:]
            told.lacks.append(f"GPUs by NVML: {error}")


def _opened(nvml: Nvml) -> Iterator[tuple[str, object]]:
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        name = nvml.nvmlDeviceGetName(handle)
        said = name.decode() if isinstance(name, bytes) else name
        yield f"gpu {index} ({said})", handle


def _own_bytes(nvml: Nvml, handle: object) -> int:
    running = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    return sum(one.usedGpuMemory or 0 for one in running if one.pid == os.getpid())
