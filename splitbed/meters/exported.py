"""What this process takes, for Prometheus, beside what prometheus_client tells of it by itself.

PSS is not among it: to tell it takes the kernel milliseconds, in which a frame may be under way.
"""

import resource
from collections.abc import Iterator

from prometheus_client.core import REGISTRY, CounterMetricFamily, GaugeMetricFamily, Metric

from splitbed.meters.process import ProcessMeter
from splitbed.v1 import nodes_pb2


class Exported:
    """Reads a meter whenever it is scraped."""

    def __init__(self, meter: ProcessMeter) -> None:
        self._meter = meter

    def collect(self) -> Iterator[Metric]:
        """Context switches; energy and GPUs, where the machine can tell."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        switches = CounterMetricFamily(
            "splitbed_context_switches", "Of this process's threads.", labels=["kind"]
        )
        switches.add_metric(["voluntary"], used.ru_nvcsw)
        switches.add_metric(["involuntary"], used.ru_nivcsw)
        yield switches
        told = nodes_pb2.Resources()
        self._meter.energy.read(told)
        self._meter.gpus.read(told)
        if told.energy:
            whose = "node" if told.energy[0].own else "machine"
            joules = CounterMetricFamily(
                "splitbed_energy_joules", f"What this {whose} took.", labels=["domain"]
            )
            for one in told.energy:
                joules.add_metric([one.domain], one.joules)
            yield joules
        if told.gpus:
            busy = CounterMetricFamily(
                "splitbed_gpu_busy_seconds", "Time in which kernels ran.", labels=["gpu"]
            )
            memory = GaugeMetricFamily(
                "splitbed_gpu_memory_bytes", "That this process has.", labels=["gpu"]
            )
            for gpu in told.gpus:
                busy.add_metric([gpu.name], gpu.busy_s)
                memory.add_metric([gpu.name], gpu.memory_bytes)
            yield busy
            yield memory


def export(meter: ProcessMeter) -> None:
    """Tell of this process whenever it is scraped, from now on."""
    REGISTRY.register(Exported(meter))
