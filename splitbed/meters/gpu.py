"""What GPUs were busy with, by NVIDIA's NVML (`nvidia-ml-py`, the extra `gpu`).

Time is that in which kernels ran, whoever's: the share that NVML tells of its last sample period,
1/6 s to 1 s long, over the time since it was read before. Memory is this process's.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from splitbed.v1 import nodes_pb2


def _library() -> Any:
    import pynvml

    return pynvml


@dataclass
class GpuMeter:
    """Counts from when it is made; without the library, a driver or a GPU it has none.

    ``library`` gives what NVML's bindings are called by, ``now`` the time in seconds.
    """

    library: Callable[[], Any] = _library
    now: Callable[[], float] = time.monotonic
    lacks: str = ""
    _busy_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._nvml: Any = None
        self._at_s = self.now()
        try:
            self._nvml = self.library()
        except ImportError:
            return  # nobody asked for it
        try:
            self._nvml.nvmlInit()
            self._handles = [*self._opened()]
        except self._nvml.NVMLError as error:
            self._nvml, self.lacks = None, f"GPUs by NVML: {error}"

    def _opened(self) -> Iterator[tuple[str, Any]]:
        for index in range(self._nvml.nvmlDeviceGetCount()):
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            name = self._nvml.nvmlDeviceGetName(handle)
            said = name.decode() if isinstance(name, bytes) else str(name)
            yield f"gpu {index} ({said})", handle

    def keep_up(self) -> None:
        """Add what its GPUs were busy with since the last time."""
        if self._nvml is None:
            return
        passed_s, self._at_s = (now := self.now()) - self._at_s, now
        try:
            for name, handle in self._handles:
                share = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
                self._busy_s[name] = self._busy_s.get(name, 0.0) + share * passed_s
        except self._nvml.NVMLError as error:
            self._nvml, self.lacks = None, f"GPUs by NVML: {error}"

    def read(self, told: nodes_pb2.Resources) -> None:
        """Add its GPUs to what is told, or what it lacks."""
        self.keep_up()
        if self.lacks:
            told.lacks.append(self.lacks)
        if self._nvml is None:
            return
        try:
            for name, handle in self._handles:
                told.gpus.add(
                    name=name, busy_s=self._busy_s[name], memory_bytes=self._memory_bytes(handle)
                )
        except self._nvml.NVMLError as error:
            del told.gpus[:]
            told.lacks.append(f"GPUs by NVML: {error}")

    def _memory_bytes(self, handle: Any) -> int:
        running = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        return sum(one.usedGpuMemory or 0 for one in running if one.pid == os.getpid())
