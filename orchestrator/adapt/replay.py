"""Replays a bandwidth trace on a real link, beside whatever crosses it."""

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from netem.link import ShapedLink
from netem.spec import LinkSpec
from orchestrator.adapt.bandwidth import BandwidthTrace
from splitbed.errors import SplitbedError

_END_S = 10.0


class LinkReplay:
    """Shapes `link` as `trace` goes on, from its beginning, in a thread, while the context lasts.

    `links` has the link at each of its rates. What waits in the link's queue when a rate changes
    leaves it as the earlier rate had planned.
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
        first = self._trace.rate_at(0)
        self._link.shape(self._links[first])
        self._began_s = time.monotonic()
        self.changes.append((0.0, 0.0, first))
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

    @property
    def now_s(self) -> float:
        """Seconds of the trace."""
        return time.monotonic() - self._began_s

    @property
    def applied(self) -> BandwidthTrace:
        """What the link really was, so far."""
        _, starts_s, rates_mbit = zip(*self.changes, strict=True)
        return BandwidthTrace(self._trace.name, starts_s, rates_mbit, float("inf"))

    def check(self) -> None:
        """Raise the LinkError or NodeError that shaping the link ended with."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        changes = self._trace.changes()
        due = next(changes, None)
        while due is not None and not self._done.wait(max(due[0] - self.now_s, 0)):
            # of changes that are overdue only the last still matters
            following = next(changes, None)
            if following is None or following[0] > self.now_s:
                try:
                    self._link.shape(self._links[due[1]])
                except SplitbedError as error:
                    self._error = error
                    return
                self.changes.append((due[0], self.now_s, due[1]))
            due = following
