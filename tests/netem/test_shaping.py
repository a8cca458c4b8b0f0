"""Both directions or neither."""

from dataclasses import dataclass, field

import pytest

from netem.link import Link
from netem.namespace import Namespace
from netem.spec import LinkSpec, Shape, symmetric
from splitbed.errors import LinkError

BEFORE, AFTER = symmetric(rate_mbit=5), symmetric(rate_mbit=20, delay_ms=10)


@dataclass
class FakeEgress:
    """Keeps what it is told, and refuses or misunderstands the rates listed."""

    refuses: set[float] = field(default_factory=set)
    halves: set[float] = field(default_factory=set)
    shape: Shape | None = None

    def apply(self, shape: Shape) -> Shape:
        if shape.rate_mbit in self.refuses:
            raise LinkError("tc failed")
        half = shape.rate_mbit in self.halves
        self.shape = shape.model_copy(update={"rate_mbit": shape.rate_mbit / 2}) if half else shape
        return self.shape

    def read(self) -> Shape:
        assert self.shape is not None
        return self.shape


def link_of(uplink: FakeEgress, downlink: FakeEgress) -> Link:
    nowhere = Namespace(-1)
    return Link(
        backend="native",
        ue=nowhere,
        edge=nowhere,
        ue_address="10.77.0.1",
        edge_address="10.77.0.2",
        uplink=uplink,
        downlink=downlink,
    )


def test_both_directions_are_shaped() -> None:
    link = link_of(FakeEgress(), FakeEgress())
    spec = LinkSpec(uplink=Shape(rate_mbit=5), downlink=Shape(rate_mbit=20))
    link.shape(spec)
    assert link.read_back() == spec


@pytest.mark.parametrize("how", ["refuses", "halves"])
@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_a_direction_that_fails_puts_both_back(direction: str, how: str) -> None:
    egresses = {"uplink": FakeEgress(), "downlink": FakeEgress()}
    link = link_of(**egresses)
    link.shape(BEFORE)
    getattr(egresses[direction], how).add(20)
    with pytest.raises(LinkError, match="put back"):
        link.shape(AFTER)
    assert link.read_back() == BEFORE


def test_a_failure_to_put_back_is_told_with_its_cause() -> None:
    downlink = FakeEgress()
    link = link_of(FakeEgress(), downlink)
    link.shape(BEFORE)
    downlink.refuses |= {5, 20}
    with pytest.raises(LinkError, match="putting the earlier shape back failed too"):
        link.shape(AFTER)


def test_a_first_shape_that_fails_is_an_error() -> None:
    link = link_of(FakeEgress(), FakeEgress(refuses={20}))
    with pytest.raises(LinkError, match="tc failed"):
        link.shape(AFTER)
