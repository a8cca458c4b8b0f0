"""The links and paces of the UE that a plan is made for.

1:1000       a range: as many points as is usual, of rates and paces by equal factors
1:1000:50    50 points of it
5,20,100     a list, as for sweep
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError

Floats = npt.NDArray[np.float64]
Spacing = Literal["factors", "steps"]

RATES, DELAYS, PACES = 30, 11, 5
"""Points of a range that does not say how many."""
MOST_POINTS, MOST_LINKS = 10_000, 200_000


@dataclass(frozen=True)
class Grid:
    """Rates in Mbit/s, one-way delays, and how many times slower the UE is; both directions alike.

    Points are counted with the slow-down outermost, then the delay, then the rate.
    """

    bw_mbit: Floats
    delay_ms: Floats
    ue_slowdown: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slow-downs, delays, rates."""
        return len(self.ue_slowdown), len(self.delay_ms), len(self.bw_mbit)

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    def points(self) -> tuple[Floats, Floats, Floats]:
        """Slow-down, delay and rate of every point."""
        axes = np.meshgrid(self.ue_slowdown, self.delay_ms, self.bw_mbit, indexing="ij")
        slowdown, delay_ms, bw_mbit = (axis.ravel() for axis in axes)
        return slowdown, delay_ms, bw_mbit


def grid(bw: str, delay: str, ue_slowdown: str) -> Grid:
    """The grid that options ask for; UsageError for what cannot be."""
    made = Grid(
        axis("--bw", bw, "factors", RATES),
        axis("--delay", delay, "steps", DELAYS),
        axis("--ue-slowdown", ue_slowdown, "factors", PACES),
    )
    if made.ue_slowdown.min() < 1 or made.ue_slowdown.max() > 1000:
        raise UsageError(f"--ue-slowdown {ue_slowdown}: a UE is 1 to 1000 times slower")
    if made.size > MOST_LINKS:
        raise UsageError(
            f"{made.size:,} links and paces are more than {MOST_LINKS:,}: "
            "give fewer points of --bw, --delay or --ue-slowdown"
        )
    return made


def axis(option: str, text: str, spacing: Spacing, usual: int) -> Floats:
    """The rising values of a range or a list, each once; UsageError for what is neither."""
    try:
        if ":" in text:
            return _range(text, spacing, usual)
        values = np.array([float(word) for word in text.split(",") if word.strip()])
        if not values.size or not np.isfinite(values).all() or values.min() < 0:
            raise ValueError("no number, or one that is below 0 or not finite")
        if spacing == "factors" and values.min() == 0:
            raise ValueError("0 cannot be")
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: {error}; give a range FROM:TO, one with the number of points "
            "FROM:TO:COUNT, or a list like 5,20,100"
        ) from None
    return np.unique(values)


def _range(text: str, spacing: Spacing, usual: int) -> Floats:
    first, last, count = (*text.split(":"), str(usual))[:3]
    low, high, points = float(first), float(last), int(count)
    if len(text.split(":")) > 3 or not low < high < float("inf"):
        raise ValueError("a range rises from one number to another")
    if low < 0 or (spacing == "factors" and low == 0):
        raise ValueError("a range begins above 0" if spacing == "factors" else "below 0")
    if not 2 <= points <= MOST_POINTS:
        raise ValueError(f"a range has 2 to {MOST_POINTS} points")
    make = np.geomspace if spacing == "factors" else np.linspace
    # four digits: a rate that can be read, said again and measured
    return np.unique([float(f"{value:.4g}") for value in make(low, high, points)])
