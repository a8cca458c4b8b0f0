"""What is left of a run is learned from its cells."""

from dataclasses import replace

import pytest

from netem.spec import LinkSpec, symmetric
from orchestrator.api.time_left import TimeLeft, duration
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.cell import Cell

FAST, SLOW = symmetric(rate_mbit=100), symmetric(rate_mbit=10)


class Run:
    """Cells that are measured on a clock of the test's own."""

    def __init__(self, *cells: Cell) -> None:
        self.now_s = 0.0
        self.left = TimeLeft(lambda: self.now_s)
        self.left.begin(cells)

    def measure(self, seconds: float, *encoded_bytes: int) -> None:
        self.left.cell()
        for one in encoded_bytes:
            self.left.frame(one)
        self.now_s += seconds
        self.left.done()


def cell(k: int, link: LinkSpec = FAST, codec: str = "raw", *, part1_bytes: int = 0) -> Cell:
    asked = Configuration(k, 4, f"cut {k}", codec, link)
    return Cell(asked, 1_000_000 if asked.crosses else 0, part1_bytes)


def test_nothing_is_foretold_before_a_cell_was_measured_but_the_wire() -> None:
    run = Run(cell(1, SLOW), cell(2, FAST, part1_bytes=10_000_000), cell(3, SLOW, "zstd"))
    assert run.left.left_s is None
    # three frames of 0.8 s, then three of 0.08 s and a delivery of 0.8 s, and some headers
    assert run.left.least_s == pytest.approx(3.44, rel=0.1)


def test_the_wire_takes_as_many_frames_as_were_asked_for_at_least() -> None:
    three, thirty = (Run(replace(cell(1, SLOW), frames=frames)) for frames in (3, 30))
    assert thirty.left.least_s == pytest.approx(10 * three.left.least_s)


def test_a_cell_takes_what_its_like_took_beside_the_wire() -> None:
    run = Run(*(cell(k, FAST, "none") for k in (4, 4, 4)))
    run.measure(10, 0, 0, 0)
    assert run.left.left_s == pytest.approx(20)
    run.measure(4, 0, 0, 0)  # nothing had to be loaded for it
    assert run.left.left_s == pytest.approx(4)


def test_what_is_left_of_the_cell_under_way_shrinks_as_time_goes() -> None:
    run = Run(cell(4, FAST, "none"), cell(4, SLOW, "none"))
    run.measure(10, 0)
    run.left.cell()
    run.now_s += 7
    assert run.left.left_s == pytest.approx(3)
    run.now_s += 7
    assert run.left.left_s == 0


def test_a_slower_link_takes_longer_and_a_codec_shortens_it_as_it_was_seen_to() -> None:
    raw = Run(cell(1, FAST), cell(1, SLOW))
    raw.measure(5, *[1_000_000] * 3)
    shrunk = Run(cell(1, FAST, "zstd"), cell(1, SLOW, "zstd"))
    shrunk.measure(5, *[100_000] * 3)
    assert raw.left.left_s is not None
    assert shrunk.left.left_s is not None
    assert raw.left.left_s - shrunk.left.left_s == pytest.approx(2.0, abs=0.5)


def test_a_split_is_loaded_once_and_delivered_once_over_each_link() -> None:
    run = Run(*(cell(4, link, "none", part1_bytes=1_250_000) for link in (FAST, FAST, SLOW)))
    run.measure(10.1, 0)  # 10 s beside its delivery, which takes a tenth
    run.measure(2, 0)
    assert run.left.left_s == pytest.approx(3.04, rel=0.02)


def test_a_cell_that_failed_teaches_nothing() -> None:
    run = Run(cell(1), cell(2))
    run.measure(100)
    assert run.left.left_s is None


@pytest.mark.parametrize(
    ("seconds", "words"), [(7.4, "7 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words
