"""A trace on a link that shapes nothing: what it is told, and when."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netem.link import Rates, ShapedLink
from netem.spec import LinkSpec, symmetric
from orchestrator.adapt.named import bandwidth_trace
from orchestrator.adapt.replay import LinkReplay
from splitbed.errors import LinkError
from tests.shared_machine import until


@dataclass
class Told(ShapedLink):
    """A link that keeps what it is told, and breaks when its delay is longest."""

    breaks: bool = False
    backend: str = "told"
    rates: Rates = Rates()  # noqa: RUF009
    specs: list[LinkSpec] = field(default_factory=list)

    def read_back(self) -> LinkSpec:
        return self.specs[-1]

    def _apply(self, spec: LinkSpec) -> None:
        if self.breaks and spec.uplink.delay_ms > 5:
            raise LinkError("the link box is gone")
        self.specs.append(spec)


LINKS = {rate: symmetric(rate_mbit=rate, delay_ms=5, queue_packets=20) for rate in (20.0, 5.0)}


@pytest.fixture
def trace(tmp_path: Path) -> str:
    (file := tmp_path / "trace.txt").write_text("0 20\n0.1 0\n0.4 5\n60 20\n")
    return str(file)


def test_in_an_outage_what_is_sent_is_held_until_its_end(trace: str) -> None:
    link = Told()
    with LinkReplay(link, bandwidth_trace(trace), LINKS) as replay:
        until(lambda: len(replay.changes) == 3)
    assert [rate for _, _, rate in replay.changes] == [20, 0, 5]
    assert (link.specs[0], link.specs[-1]) == (LINKS[20], LINKS[5])
    held = [spec.uplink for spec in link.specs[1:-1]]
    assert {shape.rate_mbit for shape in held} == {5}
    delays_ms = [shape.delay_ms for shape in held]
    assert delays_ms == sorted(delays_ms, reverse=True)
    assert 5 <= delays_ms[-1] < delays_ms[0] <= 305
    (_, out_s, _), (_, back_s, _) = replay.changes[1:]
    assert replay.applied.rate_at((out_s + back_s) / 2) == 0


def test_an_outage_that_lasts_has_an_end_in_what_was_applied(trace: str) -> None:
    with LinkReplay(Told(), bandwidth_trace(trace), LINKS) as replay:
        until(lambda: len(replay.changes) == 2)
        applied = replay.applied
    assert applied.rate_at(1.0) == 5
    assert 0 < applied.air_ms(1000, 0.2) < 300


def test_a_link_left_in_an_outage_delays_no_more_than_asked(trace: str) -> None:
    link = Told()
    with LinkReplay(link, bandwidth_trace(trace), LINKS) as replay:
        until(lambda: replay.is_out)
    assert link.specs[-1] == LINKS[5]


def test_a_trace_that_begins_with_an_outage_holds_from_the_first_on(tmp_path: Path) -> None:
    (file := tmp_path / "trace.txt").write_text("0 0\n60 5\n")
    link = Told()
    with LinkReplay(link, bandwidth_trace(str(file)), LINKS) as replay:
        assert replay.changes[0][2] == 0
    assert link.specs[0].uplink.delay_ms > 50_000


def test_a_link_that_breaks_in_an_outage_is_told(trace: str) -> None:
    with LinkReplay(Told(breaks=True), bandwidth_trace(trace), LINKS) as replay:
        replay._thread.join()
    with pytest.raises(LinkError, match="link box is gone"):
        replay.check()
