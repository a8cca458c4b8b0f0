"""What NVML tells of GPUs, by a fake of the few functions that are called."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from splitbed.meters.gpu import GpuMeter, Nvml
from splitbed.v1 import nodes_pb2


class NVMLError(Exception):
    """As the library's own."""


@dataclass
class FakeNvml:
    """Two GPUs, busy in these shares; where it is ``broken`` nothing can be asked."""

    percent: list[int] = field(default_factory=lambda: [40, 0])
    broken: str = ""
    NVMLError: type[Exception] = NVMLError

    def nvmlInit(self) -> None:
        if self.broken:
            raise NVMLError(self.broken)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.percent)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"Card {handle}"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:
        self.nvmlInit()
        return SimpleNamespace(gpu=self.percent[handle])

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[SimpleNamespace]:
        mine = SimpleNamespace(pid=os.getpid(), usedGpuMemory=1000 * (handle + 1))
        unknown = SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)
        return [mine, unknown, SimpleNamespace(pid=1, usedGpuMemory=9**9)]


def given(nvml: FakeNvml) -> Callable[[], Nvml]:
    return lambda: cast("Nvml", nvml)


def read(meter: GpuMeter) -> nodes_pb2.Resources:
    meter.read(told := nodes_pb2.Resources())
    return told


def test_busy_time_is_the_share_of_the_time_that_passed() -> None:
    nvml, at_s = FakeNvml(), iter([0.0, 1.0, 3.0])
    meter = GpuMeter(given(nvml), at_s.__next__)
    read(meter)
    nvml.percent[0] = 100
    first, second = read(meter).gpus
    assert (first.name, first.busy_s, first.memory_bytes) == ("gpu 0 (Card 0)", 0.4 + 2.0, 1000)
    assert (second.busy_s, second.memory_bytes) == (0.0, 2000)


def test_without_the_library_there_are_none_and_nobody_asked() -> None:
    def absent() -> Nvml:
        raise ImportError

    told = read(GpuMeter(absent))
    assert not told.gpus
    assert not told.lacks


def test_a_driver_that_is_not_there_is_named() -> None:
    told = read(GpuMeter(given(FakeNvml(broken="Driver Not Loaded"))))
    assert not told.gpus
    assert [*told.lacks] == ["GPUs by NVML: Driver Not Loaded"]


def test_one_that_fails_later_is_named_and_told_no_more() -> None:
    nvml = FakeNvml()
    meter = GpuMeter(given(nvml))
    assert len(read(meter).gpus) == 2
    nvml.broken = "GPU is lost"
    told = read(meter)
    assert not told.gpus
    assert [*told.lacks] == ["GPUs by NVML: GPU is lost"]
