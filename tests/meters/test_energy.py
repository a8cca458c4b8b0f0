"""Which meter counts, and what is said where none can."""

from collections.abc import Mapping
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
