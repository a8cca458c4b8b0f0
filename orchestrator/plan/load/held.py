"""What a plan says of its options under a load, held against frames that a load offered.

Each option that is verified is measured twice more: under the load, for its response, and with so
many frames under way that its slowest stage never rests, for its frames a second. Preprocessing is
in no prediction: it is taken off the response, and a rate may be as low as it keeps it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from netem.probe.proof import RATE_TOLERANCE
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.load import MOST_IN_FLIGHT, Load
from orchestrator.plan.grid import PlanPoint
from orchestrator.plan.load.forecast import Carried
from orchestrator.plan.load.under import UnderLoad
from orchestrator.plan.measured import Probe
from orchestrator.results.rows import Row

VERIFY_LOAD_FILE = "verify-load.csv"
What = Literal["response_ms", "frames_per_s"]


@dataclass(frozen=True)
class LoadProbe:
    """A configuration under a load, and what is expected of it, with its ends.

    A response is None where it is predicted that the load is not sustained.
    """

    configuration: Configuration
    point: PlanPoint
    what: What
    predicted: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LoadMeasured:
    """What was measured of it: its row; one that is not valid is no measurement."""

    probe: LoadProbe
    table_row: Row

    @property
    def measured(self) -> float | None:
        """None where the load was not sustained, and where the row is not valid."""
        row = self.table_row
        if not row.valid:
            return None
        if self.probe.what == "frames_per_s":
            return row.delivered_fps
        return None if row.response_ms is None else row.response_ms - (row.preprocess_ms or 0.0)

    @property
    def expected(self) -> bool | None:
        """Whether it lies in its interval, whose slow end may be a load that is not sustained."""
        probe, found = self.probe, self.measured
        if not self.table_row.valid:
            return None
        if found is None:
            return probe.high is None
        return self._least <= found <= (np.inf if probe.high is None else probe.high)

    @property
    def _least(self) -> float:
        """The low end, no higher than what preprocessing lets through."""
        low, before_ms = self.probe.low, self.table_row.preprocess_ms
        if low is None:
            return np.inf
        if self.probe.what == "response_ms" or not before_ms:
            return low
        return min(low, 1e3 / before_ms * (1 - RATE_TOLERANCE))

    def row(self) -> dict[str, object]:
        """For verify-load.csv and the terminal."""
        probe, asked = self.probe, self.probe.configuration
        return {
            **asdict(probe.point),
            "split": asked.split_name,
            "codec": asked.codecs,
            "load": asked.load.words,
            "what": probe.what,
            "predicted": probe.predicted,
            "predicted_low": probe.low,
            "predicted_high": probe.high,
            "measured": self.measured,
            "sustained": self.table_row.sustained,
            "within": self.expected,
            "reason": self.table_row.reason,
        }


def load_probes(asked: Sequence[Probe], carries: Carried, under: UnderLoad) -> list[LoadProbe]:
    """Of each option of the plan that is verified, both."""
    found = []
    for probe in asked:
        if probe.place is None:
            continue
        option, point = probe.place
        middle, fast, slow = under.medians_ms(option, point)
        response = replace(probe.configuration, load=under.load)
        found.append(LoadProbe(response, probe.point, "response_ms", middle, fast, slow))
        busy = replace(probe.configuration, load=_busy(carries, option, point))
        found.append(LoadProbe(busy, probe.point, "frames_per_s", *carries.ends_fps(option, point)))
    return found


def _busy(carries: Carried, option: int, point: int) -> Load:
    """So many frames under way that the slowest stage always has one."""
    alone_ms, slowest_ms = (
        max(float(one[option, point]) for one in every)
        for every in (
            [way.alone_ms for way in carries.stages],
            [way.slowest_ms for way in carries.stages],
        )
    )
    several = 2 + round(alone_ms / slowest_ms)
    return Load(in_flight=min(several, MOST_IN_FLIGHT))


def load_summary(found: Sequence[LoadMeasured]) -> str:
    """How many lie in their intervals, in a sentence."""
    words = []
    for what, name in (("response_ms", "responses"), ("frames_per_s", "frame rates")):
        told = [one.expected for one in found if one.probe.what == what]
        measured = [one for one in told if one is not None]
        words.append(f"{sum(measured)} of {len(measured)} {name}")
    return f"Under the load {' and '.join(words)} are within their intervals."
