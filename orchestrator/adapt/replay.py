"""Replays a bandwidth trace on a real link, beside whatever crosses it."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import Self

from netem.link import ShapedLink
from netem.spec import LinkSpec
from orchestrator.adapt.bandwidth import BandwidthTrace
from splitbed.errors import SplitbedError

REFRESH_S, REFRESH = 0.02, 0.02
"""By how much the end of an outage may be late: so long, or that share of what was left of it."""

_END_S = 10.0


class LinkReplay:
    """Shapes `link` as `trace` goes on, from its beginning, in a thread, while the context lasts.

    `links` has the link at each of its rates. What waits in the link's queue when a rate changes
    leaves it as the earlier rate had planned.

    In an outage, a rate of 0, what is on its way still arrives, and what is sent waits for the end,
    then goes at the rate that follows: radio links hold it so. (A loss of 100 % would have TCP send
    it again a while after the end, and the longer the outage was the later; a tiny rate would plan
    what waits for long after.) netem plans when a packet leaves as it comes in, so it is told every
    :data:`REFRESH_S` or so to delay what comes by what is left of the outage.
    """

    def __init__(
        self, link: ShapedLink, trace: BandwidthTrace, links: Mapping[float, LinkSpec]
    ) -> None:
        self._link = link
        self._trace = trace
        self._links = links
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay", daemon=True)
        self._error: SplitbedError | None = None
        self.changes: list[tuple[float, float, float]] = []
        """When each rate should have begun, when it had, in seconds; and the rate in Mbit/s."""

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        self._shape(self._trace.rate_at(0), next(self._trace.changes(), None))
        self._began_s = time.monotonic()
        self.changes.append((0.0, 0.0, self._trace.rate_at(0)))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join(_END_S)
        if self.is_out and self._error is None:
            [(_, after_mbit)] = islice(self._trace.changes(self.changes[-1][0]), 1)
            with suppress(SplitbedError):  # the nodes that shape may have been ended
                self._link.shape(self._links[after_mbit])

    @property
    def is_out(self) -> bool:
        """Whether there is an outage, for whose end what was sent in it waits."""
        return not self.changes[-1][2]

    @property
    def now_s(self) -> float:
        """Seconds of the trace."""
        return time.monotonic() - self._began_s

    @property
    def applied(self) -> BandwidthTrace:
        """What the link really was, so far; an outage that lasts has its end before it."""
        changes = list(self.changes)
        if self.is_out:
            due_s = changes[-1][0]
            changes += [(at_s, at_s, mbit) for at_s, mbit in islice(self._trace.changes(due_s), 1)]
        _, starts_s, rates_mbit = zip(*changes, strict=True)
        return BandwidthTrace(self._trace.name, starts_s, rates_mbit, float("inf"))

    def check(self) -> None:
        """Raise the LinkError or NodeError that shaping the link ended with."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        changes = self._trace.changes()
        due = next(changes, None)
        try:
            while due is not None and self._lasts_until(due):
                # of changes that are overdue only the last still matters
                following = next(changes, None)
                if following is None or following[0] > self.now_s:
                    self._shape(due[1], following)
                    self.changes.append((due[0], self.now_s, due[1]))
                due = following
        except SplitbedError as error:
            self._error = error

    def _lasts_until(self, due: tuple[float, float]) -> bool:
        """Wait until then; False when the context ends before."""
        while (left_s := due[0] - self.now_s) > 0:
            out = self.is_out
            wait_s = min(left_s, max(REFRESH_S, REFRESH * left_s)) if out else left_s
            if self._done.wait(wait_s):
                return False
            if out:
                self._shape(0.0, due)
        return not self._done.is_set()

    def _shape(self, rate_mbit: float, following: tuple[float, float] | None) -> None:
        if rate_mbit or following is None:
            self._link.shape(self._links[rate_mbit])
        else:
            end_s, after_mbit = following
            left_ms = max(end_s - self.now_s, 0.0) * 1e3
            self._link.shape(self._links[after_mbit].held(left_ms))
