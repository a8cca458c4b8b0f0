"""What the interval covers that a cell ends with, though it ended because it was narrow."""

from collections.abc import Callable
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.ask.sweep.options import MAX_FRAMES, MIN_FRAMES
from orchestrator.results.statistics import enough_frames
from orchestrator.results.statistics.enough_frames import is_enough
from orchestrator.results.statistics.intervals import COVERAGE, median_interval

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]

CELLS = 600
SPREADS = (0.004, 0.01, 0.02, 0.03, 0.06)
"""Of the frames around their median, of which cells of each end at all counts there are."""


def two_modes(share: float, apart: float) -> Draw:
    """So much of the one mode, and the rest of another."""

    def draw(rng: np.random.Generator, size: tuple[int, int]) -> Array:
        other = rng.random(size) >= share
        return np.where(other, apart, 0.0) + 0.2 * rng.normal(size=size)

    return draw


FRAMES: dict[str, Draw] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewed": lambda rng, size: np.exp(0.8 * rng.normal(size=size)),
    "with a long tail": lambda rng, size: rng.standard_t(2, size=size),
    "of two modes": two_modes(0.7, 2.0),
    "of two modes as often": two_modes(0.5, 2.0),
}


def covered(draw: Draw, spread: float) -> list[bool]:
    """Of each cell that ends with an interval: whether it holds the median of what was drawn."""
    rng = np.random.default_rng([7, round(1e4 * spread)])
    median = float(np.median(draw(rng, (1000, 1000))))
    found = []
    for times in 100 * (1 + spread * (draw(rng, (CELLS, MAX_FRAMES)) - median)):
        looks = range(MIN_FRAMES, MAX_FRAMES, MIN_FRAMES)
        count = next((n for n in looks if is_enough(times[:n].tolist())), MAX_FRAMES)
        told = median_interval(times[:count].tolist())
        if told.coverage is not None:
            found.append(told.low <= 100 <= told.high)
    return found


@pytest.mark.parametrize("kind", FRAMES)
def test_an_interval_that_a_cell_ends_with_covers_95_per_cent(kind: str) -> None:
    every = [covered(FRAMES[kind], spread) for spread in SPREADS]
    assert np.mean([*chain(*every)]) >= COVERAGE
    for one in every:  # and within three standard errors at each spread
        assert np.mean(one) >= COVERAGE - 3 * (0.05 * 0.95 / len(one)) ** 0.5


def test_stopping_by_the_interval_that_is_told_would_cover_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enough_frames, "STOPPING_COVERAGE", COVERAGE)
    assert np.mean(covered(FRAMES["of two modes as often"], 0.06)) < COVERAGE
