"""Do LoadGen and we agree on how long its queries took?

LoadGen times a query from when it was to be issued, we from when it came here; LoadGen until it was
told, we until we tell it. A percentile of both is that of the same rank.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from orchestrator.clients.loadgen.system import AskedSample
from orchestrator.results.json_record import Record
from orchestrator.results.statistics.intervals import quantile_interval
from splitbed.timeline import NS_PER_MS

QUANTILES = (0.5, 0.9, 0.99)
HANDED_MS = 1.0
"""A query passes between LoadGen's threads and ours twice, on an idle machine within this."""


class Percentile(Record, frozen=True, kw_only=True):
    """A percentile of latencies as we and as LoadGen have it, in ms; ``covers`` tells ours."""

    quantile: float
    ours_ms: float
    low_ms: float
    high_ms: float
    covers: str
    loadgen_ms: float

    @property
    def agrees(self) -> bool:
        """Whether LoadGen's lies in our interval, but for what handing a query over takes."""
        return self.low_ms - HANDED_MS <= self.loadgen_ms <= self.high_ms + HANDED_MS

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
            )
        )
    return found


def disagreements(found: Sequence[Percentile]) -> list[str]:
    """Why these do not agree, where they do not."""
    return [f"LoadGen and this run do not agree: {one.words}" for one in found if not one.agrees]
