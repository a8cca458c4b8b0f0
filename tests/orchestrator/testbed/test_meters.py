"""What nodes took over a cell, by their counters: whole, and named where these cannot be."""

from dataclasses import dataclass, field

import pytest

from orchestrator.testbed.nodes.meters import Meters, taken
from splitbed.v1.nodes_pb2 import EnergyReading, GpuReading, Resources

MB = 1 << 20


def reading(at_s: float, cpu_s: float, **told: object) -> Resources:
    return Resources(at_ns=round(at_s * 1e9), cpu_s=cpu_s, **told)  # type: ignore[arg-type]


def test_counters_are_told_by_what_they_rose() -> None:
    first = reading(1, 2.0, voluntary_switches=10, involuntary_switches=4)
    last = reading(3, 3.5, voluntary_switches=25, involuntary_switches=4)
    told = taken([first, last], cpus=2)
    assert (told.wall_s, told.cpu_s) == (2, 1.5)
    assert (told.voluntary_switches, told.involuntary_switches) == (15, 0)
    assert told.faults == ()


def test_memory_is_the_mean_and_the_most_of_what_was_read() -> None:
    read = [
        reading(0, 0, pss_bytes=10 * MB),
        reading(1, 0, pss_bytes=30 * MB),
        reading(2, 0, pss_bytes=20 * MB, rss_bytes=40 * MB, rss_peak_bytes=50 * MB),
    ]
    told = taken(read, cpus=1)
    assert (told.pss_bytes, told.pss_peak_bytes) == (20 * MB, 30 * MB)
    assert (told.rss_bytes, told.rss_peak_bytes) == (40 * MB, 50 * MB)


def test_what_the_machine_does_not_tell_is_nothing_and_not_0() -> None:
    read = [reading(at, 0, lacks=["energy by powercap: this machine counts none"]) for at in (0, 1)]
    told = taken(read, cpus=1)
    unknown = (told.rss_bytes, told.pss_bytes, told.voluntary_switches, told.energy, told.gpu_s)
    assert unknown == (None,) * 5
    assert told.lacks == ("energy by powercap: this machine counts none",)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({"cpu_s": 5.0}, {"cpu_s": 4.0}, "CPU seconds fell from 5 to 4"),
        ({"cpu_s": 5.0}, {"cpu_s": 99.0}, "CPU seconds jumped from 5 to 99"),
        ({"voluntary_switches": 7}, {"voluntary_switches": 3}, "voluntary_switches fell"),
        ({"energy": 9.0}, {"energy": 4.0}, "energy of powercap, psys fell from 9 to 4"),
        ({"energy": 9.0}, {"energy": 9e6}, "energy of powercap, psys jumped"),
        ({"gpu": 2.0}, {"gpu": 1.0}, "busy seconds of gpu 0 fell from 2 to 1"),
    ],
)
def test_a_counter_that_cannot_be_is_named_and_not_told(
    before: dict[str, float], after: dict[str, float], said: str
) -> None:
    told = taken([_of(0, before), _of(1, after)], cpus=2)
    (fault,) = told.faults
    assert said in fault
    (name,) = before
    column = {"gpu": "gpu_s"}.get(name, name)
    assert getattr(told, column) is None


def _of(at_s: float, told: dict[str, float]) -> Resources:
    found = reading(at_s, told.get("cpu_s", 0.0))
    if "voluntary_switches" in told:
        found.voluntary_switches = int(told["voluntary_switches"])
    if "energy" in told:
        found.energy.append(EnergyReading(meter="powercap", domain="psys", joules=told["energy"]))
    if "gpu" in told:
        found.gpus.append(GpuReading(name="gpu 0", busy_s=told["gpu"]))
    return found


def test_energy_is_told_by_domain() -> None:
    def read(at_s: float, package_j: float, dram_j: float) -> Resources:
        both = {"package-0": package_j, "dram of package-0": dram_j}
        energy = [EnergyReading(meter="powercap", domain=d, joules=j) for d, j in both.items()]
        return reading(at_s, 0, energy=energy)

    told = taken([read(0, 1, 2), read(1, 4, 2.5)], cpus=1).energy
    assert told is not None
    assert told.domains == {"package-0": 3, "dram of package-0": 0.5}


@dataclass
class Told:
    """A node with a clock of its own, or another's."""

    machine: str
    cpus: int = 2
    asked: list[bool] = field(default_factory=list)

    def read_resources(self, *, begins: bool = False) -> Resources:
        self.asked.append(begins)
        return reading(len(self.asked), 0.25 * len(self.asked))


def test_nodes_that_share_a_machine_say_so() -> None:
    both = Meters({"ue": Told("a"), "edge": Told("a")})
    both.begin()
    assert {one.shared_machine for one in both.end().values()} == {True}
    apart = Meters({"ue": Told("a"), "edge": Told("b")})
    apart.begin()
    assert {one.shared_machine for one in apart.end().values()} == {False}


def test_between_frames_nodes_are_read_seldom() -> None:
    now_s = iter([0.0, 1.0, 4.0, 6.0, 6.0, 7.0])
    read = Meters({"ue": (node := Told("a"))}, now_s.__next__)
    read.read_if_due()
    read.begin()
    for _ in range(3):  # after 1, 4 and 6 s
        read.read_if_due()
    read.end()
    assert node.asked == [True, False, False]
