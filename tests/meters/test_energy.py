"""Which meter counts, and what is said where none can."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from splitbed.meters.energy import EnergyMeter
from splitbed.v1 import nodes_pb2


@dataclass
class Made:
    """A meter between a device and its plug."""

    missing: str = ""
    joules: dict[str, float] = field(default_factory=lambda: {"plug": 2.0})
    own: bool = True

    def lacks(self) -> str:
        return self.missing

    def read(self) -> Mapping[str, float]:
        if not self.joules:
            raise OSError("it was unplugged")
        return self.joules


def read(meter: EnergyMeter) -> nodes_pb2.Resources:
    meter.read(told := nodes_pb2.Resources())
    return told


def test_a_meter_that_a_package_brings_goes_before_ours() -> None:
    (told,) = read(EnergyMeter({"powercap": Made, "wall": Made})).energy
    assert (told.meter, told.domain, told.joules, told.own) == ("wall", "plug", 2.0, True)


def test_where_one_lacks_something_the_next_is_tried() -> None:
    told = read(EnergyMeter({"wall": lambda: Made("no such port"), "battery": Made}))
    assert [one.meter for one in told.energy] == ["battery"]
    assert not told.lacks


def test_where_none_can_tell_each_says_why() -> None:
    told = read(EnergyMeter({"wall": lambda: Made("no such port")}))
    assert not told.energy
    assert [*told.lacks] == ["energy by wall: no such port"]


def test_one_that_fails_while_it_counts_is_named() -> None:
    made = Made()
    meter = EnergyMeter({"wall": lambda: made})
    made.joules.clear()
    told = read(meter)
    assert not told.energy
    assert [*told.lacks] == ["energy by wall: it was unplugged"]


def test_a_meter_is_read_by_one_at_a_time() -> None:
    """One that goes on from its last reading would else take a later one for a fall."""
    at_it: list[int] = []

    class Slow(Made):
        def read(self) -> Mapping[str, float]:
            at_it.append(1)
            time.sleep(0.002)
            assert at_it.pop() and not at_it
            return {"plug": 2.0}

    meter = EnergyMeter({"wall": Slow})

    def both(_: int) -> int:
        meter.keep_up()
        return len(read(meter).energy)

    with ThreadPoolExecutor(4) as threads:
        assert [*threads.map(both, range(8))] == [1] * 8
