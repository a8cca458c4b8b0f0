"""The links and paces of the UE that a plan is made for."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netem.spec import LinkSpec
from orchestrator.ask.links import link_at
from orchestrator.ask.numbers import DELAYS, PACES, RATES
from orchestrator.ask.pace import Pace
from splitbed.errors import UsageError

Floats = npt.NDArray[np.float64]
MOST_LINKS = 200_000


@dataclass(frozen=True)
class PlanPoint:
    """One point of a grid."""

    ue_slowdown: float
    delay_ms: float
    bw_mbit: float

    @property
    def link(self) -> LinkSpec:
        """Both directions alike. Raises UsageError."""
        return link_at(self.bw_mbit, self.delay_ms)

    @property
    def pace(self) -> Pace:
        """What is asked of the UE."""
        return Pace(slowdown=self.ue_slowdown) if self.ue_slowdown > 1 else Pace()


@dataclass(frozen=True)
class PlanGrid:
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

    @classmethod
    def of(cls, point: PlanPoint) -> "PlanGrid":
        """The grid of one point."""
        return cls(
            *(np.array([value]) for value in (point.bw_mbit, point.delay_ms, point.ue_slowdown))
        )

    @property
    def size(self) -> int:
        """Number of points."""
        return int(np.prod(self.shape))

    def at(self, point: int) -> PlanPoint:
        """The point of this number."""
        slowdown, delay_ms, bw_mbit = self.points()
        return PlanPoint(float(slowdown[point]), float(delay_ms[point]), float(bw_mbit[point]))

    def points(self) -> tuple[Floats, Floats, Floats]:
        """Slow-down, delay and rate of every point."""
        axes = np.meshgrid(self.ue_slowdown, self.delay_ms, self.bw_mbit, indexing="ij")
        slowdown, delay_ms, bw_mbit = (axis.ravel() for axis in axes)
        return slowdown, delay_ms, bw_mbit


def grid(bw: str, delay: str, ue_slowdown: str) -> PlanGrid:
    """The grid that options ask for; UsageError for what cannot be."""
    made = PlanGrid(
        np.array(RATES.read(bw)), np.array(DELAYS.read(delay)), np.array(PACES.read(ue_slowdown))
    )
    if made.ue_slowdown.min() < 1 or made.ue_slowdown.max() > 1000:
        raise UsageError(f"--ue-slowdown {ue_slowdown}: a UE is 1 to 1000 times slower")
    if made.size > MOST_LINKS:
        raise UsageError(
            f"{made.size:,} links and paces are more than {MOST_LINKS:,}: "
            "give fewer points of --bw, --delay or --ue-slowdown"
        )
    return made
