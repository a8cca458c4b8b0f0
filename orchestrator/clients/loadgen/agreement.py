"""Do LoadGen and we agree on how long its queries took?

LoadGen times a query from when it was to be issued, we from when it came here; LoadGen until it was
told, we until we tell it. A percentile of both is that of the same rank.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from orchestrator.clients.loadgen.system import AskedSample
from orchestrator.results.json_record import Record
from orchestrator.results.statistics.intervals import COVERAGE, quantile_interval
from splitbed.timeline import NS_PER_MS

QUANTILES = (0.5, 0.9, 0.99)
HANDED_MS = 1.0
"""A query passes between LoadGen's process and ours twice, on an idle machine within this."""


class Percentile(Record, frozen=True, kw_only=True):
    """A percentile of latencies as we and as LoadGen have it, in ms; ``covers`` tells ours.

    Of fewer than it ``needs`` there is no interval: their range has LoadGen's always.
    """

    quantile: float
    ours_ms: float
    low_ms: float
    high_ms: float
    covers: str
    loadgen_ms: float
    count: int

    @property
    def needs(self) -> int:
        """How many latencies the largest and the least of which hold it in 95 % of cases."""
        return math.ceil(math.log((1 - COVERAGE) / 2) / math.log(self.quantile))

    @property
    def unjudged(self) -> str:
        """Why it is not told whether both agree, as a sentence; empty where it is."""
        if self.count >= self.needs:
            return ""
        return (
            f"p{100 * self.quantile:g} is not held against LoadGen's: that takes {self.needs} "
            f"latencies, and there are {self.count} (--queries {self.needs})"
        )

    @property
    def agrees(self) -> bool:
        """Whether LoadGen's lies in our interval, but for what handing a query over takes."""
        return (
            bool(self.unjudged)
            or self.low_ms - HANDED_MS <= self.loadgen_ms <= self.high_ms + HANDED_MS
        )

    @property
    def words(self) -> str:
        """Both, as a sentence has them."""
        return (
            f"p{100 * self.quantile:g} is {self.ours_ms:.2f} ms "
            f"({self.low_ms:.2f} to {self.high_ms:.2f}, {self.covers}), and "
            f"{self.loadgen_ms:.2f} ms by LoadGen"
        )


def latencies_ms(asked: Sequence[AskedSample], *, by_query: bool) -> list[float]:
    """How long each sample took, or each query until its last one."""
    ends: dict[tuple[int, int], int] = defaultdict(int)
    for one in asked:
        key = one.query, (0 if by_query else one.frame)
        ends[key] = max(ends[key], one.answered_ns - one.issued_ns)
    return [took_ns / NS_PER_MS for took_ns in ends.values()]


def percentiles(ours_ms: Sequence[float], loadgen_ms: Mapping[float, float]) -> list[Percentile]:
    """Each percentile of our latencies beside LoadGen's, by quantile."""
    ordered = sorted(ours_ms)
    found = []
    for quantile in QUANTILES:
        interval = quantile_interval(ordered, quantile)
        found.append(
            Percentile(
                quantile=quantile,
                ours_ms=ordered[int(quantile * len(ordered))],
                low_ms=interval.low,
                high_ms=interval.high,
                covers=interval.words(len(ordered)),
                loadgen_ms=loadgen_ms[quantile],
                count=len(ordered),
            )
        )
    return found


def disagreements(found: Sequence[Percentile]) -> list[str]:
    """Why these do not agree, where they do not."""
    return [f"LoadGen and this run do not agree: {one.words}" for one in found if not one.agrees]
