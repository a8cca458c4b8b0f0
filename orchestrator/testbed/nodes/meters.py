"""What nodes take of their machines over a cell: their counters, read before, between and after.

readings of a node ──> counters: the last less the first     memory: means and peaks
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Protocol

from msgspec.structs import replace

from orchestrator.results.records.resources import Energy, NodeResources
from splitbed.v1 import nodes_pb2

READ_EVERY_S = 5.0
"""PSS takes milliseconds, and is of no use more often."""
MOST_W = 10_000.0
"""No node takes more: a counter of energy that says so has jumped."""
_SLACK = 1.1
_S = 1e9


class Metered(Protocol):
    """A node that tells what it has used."""

    def read_resources(self, *, begins: bool = False) -> nodes_pb2.Resources:
        """Its counters; peaks and means are from now on where something begins. NodeError."""

    @property
    def cpus(self) -> int:
        """Processors that it may use."""

    @property
    def machine(self) -> str:
        """What names the machine that it is on."""


class Meters:
    """Reads the counters of nodes, by name, over a cell; raises what they raise, NodeError.

    ``now`` tells the time in seconds.
    """

    def __init__(
        self, nodes: Mapping[str, Metered], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._nodes, self._now = nodes, now
        self._readings: dict[str, list[nodes_pb2.Resources]] = {}
        self._read_s = 0.0
        self._reading = Lock()

    def begin(self) -> None:
        """Before the first frame of a cell."""
        self._readings = {
            name: [node.read_resources(begins=True)] for name, node in self._nodes.items()
        }
        self._read_s = self._now()

    def read_if_due(self) -> None:
        """Between two frames; from any thread, where several UEs have theirs."""
        if self._readings and self._now() - self._read_s >= READ_EVERY_S:
            self._read()

    def end(self) -> dict[str, NodeResources]:
        """After the last frame: what each node took."""
        self._read()
        found, self._readings = self._readings, {}
        machines = Counter(node.machine for node in self._nodes.values())
        return {
            name: replace(
                taken(told, self._nodes[name].cpus),
                shared_machine=machines[self._nodes[name].machine] > 1,
            )
            for name, told in found.items()
        }

    def _read(self) -> None:
        with self._reading:
            for name, readings in self._readings.items():
                readings.append(self._nodes[name].read_resources())
            self._read_s = self._now()


def taken(readings: Sequence[nodes_pb2.Resources], cpus: int) -> NodeResources:
    """What a node of so many processors took between the first and the last of its readings."""
    first, last = readings[0], readings[-1]
    wall_s, faults = (last.at_ns - first.at_ns) / _S, _Faults()
    pss = [one.pss_bytes for one in readings if one.HasField("pss_bytes")]
    return NodeResources(
        wall_s=wall_s,
        cpu_s=faults.rise("CPU seconds", first.cpu_s, last.cpu_s, cpus * wall_s * _SLACK + 0.1),
        rest_s=last.unbooked_ns / _S,
        voluntary_switches=_count(faults, "voluntary_switches", first, last),
        involuntary_switches=_count(faults, "involuntary_switches", first, last),
        rss_bytes=last.rss_bytes if last.HasField("rss_bytes") else None,
        rss_peak_bytes=last.rss_peak_bytes if last.HasField("rss_peak_bytes") else None,
        pss_bytes=round(sum(pss) / len(pss)) if pss else None,
        pss_peak_bytes=max(pss, default=None),
        energy=_energy(faults, readings, wall_s),
        gpu_s=_gpu_s(faults, first, last, wall_s),
        gpu_memory_bytes=max((_memory(one) for one in readings if one.gpus), default=None),
        lacks=tuple(dict.fromkeys(words for one in readings for words in one.lacks)),
        faults=tuple(faults.told),
    )


class _Faults:
    """Names counters that fell, or rose by more than can be."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def rise(self, what: str, before: float, after: float, most: float) -> float | None:
        """By how much it rose; None where that cannot be."""
        if 0 <= (rise := after - before) <= most:
            return rise
        how = "fell" if rise < 0 else "jumped"
        self.told.append(f"{what} {how} from {before:.6g} to {after:.6g}")
        return None


def _count(
    faults: _Faults, name: str, first: nodes_pb2.Resources, last: nodes_pb2.Resources
) -> int | None:
    if not (first.HasField(name) and last.HasField(name)):  # type: ignore[arg-type]
        return None
    rise = faults.rise(name, getattr(first, name), getattr(last, name), float("inf"))
    return None if rise is None else int(rise)


def _energy(
    faults: _Faults, readings: Sequence[nodes_pb2.Resources], wall_s: float
) -> Energy | None:
    """Of domains that every reading has; None where one is not to be believed."""
    told = [{one.domain: one for one in reading.energy} for reading in readings]
    first, last = told[0], told[-1]
    if not first or any(one.keys() != first.keys() for one in told):
        return None
    rises = {
        name: faults.rise(
            f"energy of {one.meter}, {name}", one.joules, last[name].joules, MOST_W * (wall_s + 1)
        )
        for name, one in first.items()
    }
    if None in rises.values():
        return None
    domains = {name: rise for name, rise in rises.items() if rise is not None}
    meter = next(iter(first.values()))
    return Energy(meter=meter.meter, domains=domains, own=meter.own)


def _gpu_s(
    faults: _Faults, first: nodes_pb2.Resources, last: nodes_pb2.Resources, wall_s: float
) -> float | None:
    if not last.gpus or len(first.gpus) != len(last.gpus):
        return None
    most = wall_s * _SLACK + 0.1
    rises = [
        faults.rise(f"busy seconds of {one.name}", one.busy_s, other.busy_s, most)
        for one, other in zip(first.gpus, last.gpus, strict=True)
    ]
    return None if None in rises else sum(rise for rise in rises if rise is not None)


def _memory(reading: nodes_pb2.Resources) -> int:
    return sum(one.memory_bytes for one in reading.gpus)
