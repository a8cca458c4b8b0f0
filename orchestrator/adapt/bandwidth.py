"""Bandwidth traces: what rate a link has when. :mod:`orchestrator.adapt.named` finds them.

A rate of 0 is an outage: what is sent waits for its end.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile

from netem.wire import SEGMENT_BYTES, wire_bytes


@dataclass(frozen=True)
class BandwidthTrace:
    """Rates by when they begin (``starts_s``, from 0 on); after ``length_s`` it begins again."""

    name: str
    starts_s: tuple[float, ...]
    rates_mbit: tuple[float, ...]
    length_s: float

    @property
    def words(self) -> str:
        """What it is, in words."""
        count = f"{len(self.rates_mbit)} rates" if len(self.rates_mbit) > 1 else "one rate"
        ends = f"{self.length_s:g} s, then again" if math.isfinite(self.length_s) else "once"
        out = f", outages of up to {self.longest_outage_s:g} s" if 0 in self.rates_mbit else ""
        rates = f"{count} from {self.least_mbit:g} to {max(self.rates_mbit):g} Mbit/s"
        return f"{self.name}: {rates}{out}, {ends}"

    @property
    def least_mbit(self) -> float:
        """The least rate outside of outages."""
        return min(filter(None, self.rates_mbit))

    @property
    def longest_outage_s(self) -> float:
        """Seconds of the longest time without a rate, 0 where there is none."""
        twice = pairwise([(0.0, self.rate_at(0)), *islice(self.changes(), 2 * len(self.starts_s))])
        return max((end_s - at_s for (at_s, rate), (end_s, _) in twice if not rate), default=0.0)

    def rate_at(self, at_s: float) -> float:
        """The rate in Mbit/s."""
        return self.rates_mbit[self._place(at_s)]

    def is_out(self, from_s: float, to_s: float) -> bool:
        """Whether there is an outage between the two."""
        meanwhile = takewhile(lambda change: change[0] < to_s, self.changes(from_s))
        return not (self.rate_at(from_s) and all(rate for _, rate in meanwhile))

    def _place(self, at_s: float) -> int:
        within_s = at_s % self.length_s if math.isfinite(self.length_s) else at_s
        return max(bisect_right(self.starts_s, within_s) - 1, 0)

    def changes(self, from_s: float = 0.0) -> Iterator[tuple[float, float]]:
        """When the rate changes after `from_s`, and to what, without end where the trace has none.

        A lone rate never changes.
        """
        round_ = int(from_s // self.length_s) if math.isfinite(self.length_s) else 0
        before, first = self.rate_at(from_s), self._place(from_s)
        while True:
            for start_s, rate_mbit in zip(
                self.starts_s[first:], self.rates_mbit[first:], strict=True
            ):
                at_s = start_s + (round_ * self.length_s if round_ else 0.0)
                if at_s > from_s and rate_mbit != before:
                    yield at_s, rate_mbit
                    before = rate_mbit
            if not math.isfinite(self.length_s) or len(set(self.rates_mbit)) == 1:
                return
            round_, first = round_ + 1, 0

    def air_ms(
        self, payload_bytes: int, from_s: float, segment_bytes: int = SEGMENT_BYTES
    ) -> float:
        """Milliseconds that `payload_bytes` and their headers take from then on.

        Without end where the trace ends in an outage.
        """
        left_mbit = wire_bytes(payload_bytes, segment_bytes) * 8 / 1e6
        if not left_mbit:
            return 0.0
        now_s, rate_mbit = from_s, self.rate_at(from_s)
        for at_s, next_mbit in self.changes(from_s):
            if left_mbit <= rate_mbit * (at_s - now_s):
                break
            left_mbit -= rate_mbit * (at_s - now_s)
            now_s, rate_mbit = at_s, next_mbit
        return (now_s - from_s + left_mbit / rate_mbit) * 1e3 if rate_mbit else math.inf
