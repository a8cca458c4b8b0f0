"""What became of the frames that a load offered, and whether the load was sustained.

A load is sustained when no more than MAX_LOST of its frames were dropped, failed or were late, and
the time from due to done did not grow: what comes in goes out. Above that a queue grows as long as
one watches, or is cut by what drops frames, and percentiles tell how long one watched: there are
none then. All count from when a frame was due, whatever kept it from beginning (coordinated
omission), and one that was lost took longer than any other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from orchestrator.ask.load import LEAST_TOLD
from orchestrator.results.statistics.intervals import frames_for
from splitbed.timeline import NS_PER_MS

Array = NDArray[np.float64]
Outcome = Literal["ok", "late", "dropped_source", "dropped_edge", "error"]

MAX_LOST = 0.01
"""Of the frames offered."""
MAX_GROWTH, MIN_GROWN_MS = 0.03, 5.0
"""A load beyond what is carried by so much makes each ms of the run a response so much longer; and
in all it has to come to something."""
_IDLE_NS = 5_000_000
"""Who was done with a frame so long before is free: he says what became of it first."""


class Fate(NamedTuple):
    """What became of a frame that was offered, in ns of the clock of its source.

    ``start_ns`` is None for one that did not begin, ``done_ns`` when it was done, dropped or
    failed; ``wait_ns`` what it waited at stations once it had begun, ``heard_ns`` when its source
    knew that it was done, where that is later.
    """

    outcome: Outcome
    due_ns: int
    start_ns: int | None
    done_ns: int
    wait_ns: int = 0
    ue: str = ""
    heard_ns: int = 0


@dataclass(frozen=True)
class Offered:
    """The fates of a load's frames in numbers.

    ``offered`` is the sum of ``done`` (in time), ``late``, ``dropped_source``, ``dropped_edge`` and
    ``errors``. Percentiles are of response times, from due to done; None where the frames are too
    few, where so many were lost that it is one of them, and where the load was not sustained.
    ``schedule_error_ms`` is the 99th percentile of how late those began that waited for nobody.
    ``growth`` is by how many ms a ms of the run made responses longer; None of too few frames.
    ``why`` says why it was not ``sustained``, nothing where it was.
    """

    offered: int
    done: int
    late: int
    dropped_source: int
    dropped_edge: int
    errors: int
    offered_fps: float | None
    delivered_fps: float | None
    response_ms: float | None
    response_p95_ms: float | None
    response_p99_ms: float | None
    wait_ms: float | None
    schedule_error_ms: float | None
    growth: float | None
    why: str

    @property
    def sustained(self) -> bool:
        """Whether what was offered came through, and no queue grew."""
        return not self.why

    @property
    def lost(self) -> int:
        """Frames without a result in time."""
        return self.offered - self.done


def offered(fates: Sequence[Fate], in_flight: int = 1, max_lost: float = MAX_LOST) -> Offered:
    """The numbers of at least one frame, at most so many of which were under way at once.

    More than `max_lost` of them dropped, failed or late is not sustained.
    """
    return _offered(tuple(sorted(fates, key=lambda one: one.due_ns)), in_flight, max_lost)


@lru_cache(maxsize=1024)  # tables are written anew after each visit, of all that there are
def _offered(fates: tuple[Fate, ...], in_flight: int, max_lost: float) -> Offered:
    counts = {name: sum(one.outcome == name for one in fates) for name in get_args(Outcome)}
    ended = [one for one in fates if one.outcome in ("ok", "late")]
    growth = _growth(ended)
    why = _why_not(len(fates), counts, growth, max_lost, ended)
    if len({one.ue for one in fates}) > 1:  # one that is starved does not hide among the others
        each = by_ue(fates, in_flight, max_lost)
        why = next((f"{ue}: {one.why}" for ue, one in each.items() if one.why), "")
        growth = max(_known([*each.values()], "growth"), default=None)
    told = _percentiles(fates) if not why else _NONE
    waited = [one.wait_ns + (one.start_ns or one.due_ns) - one.due_ns for one in ended]
    return Offered(
        offered=len(fates),
        done=counts["ok"],
        late=counts["late"],
        dropped_source=counts["dropped_source"],
        dropped_edge=counts["dropped_edge"],
        errors=counts["error"],
        offered_fps=_rate_fps([one.due_ns for one in fates]),
        delivered_fps=_rate_fps([one.done_ns for one in ended]),
        response_ms=told[0],
        response_p95_ms=told[1],
        response_p99_ms=told[2],
        wait_ms=float(np.median(waited)) / NS_PER_MS if waited and not why else None,
        schedule_error_ms=_schedule_error_ms(fates, in_flight),
        growth=growth,
        why=why,
    )


def together(
    runs: Sequence[Sequence[Fate]], in_flight: int = 1, max_lost: float = MAX_LOST
) -> Offered:
    """Those of some runs of one load: each must be sustained, percentiles are of all frames."""
    every = [offered(fates, in_flight, max_lost) for fates in runs]
    if len(every) == 1:
        return every[0]
    why = next((one.why for one in every if one.why), "")
    told = _percentiles([fate for fates in runs for fate in fates]) if not why else _NONE

    def mean(name: str) -> float | None:
        return fmean(found) if (found := _known(every, name)) else None

    return Offered(
        offered=sum(one.offered for one in every),
        done=sum(one.done for one in every),
        late=sum(one.late for one in every),
        dropped_source=sum(one.dropped_source for one in every),
        dropped_edge=sum(one.dropped_edge for one in every),
        errors=sum(one.errors for one in every),
        offered_fps=mean("offered_fps"),
        delivered_fps=mean("delivered_fps"),
        response_ms=told[0],
        response_p95_ms=told[1],
        response_p99_ms=told[2],
        wait_ms=mean("wait_ms"),
        schedule_error_ms=max(_known(every, "schedule_error_ms"), default=None),
        growth=max(_known(every, "growth"), default=None),
        why=why,
    )


def _known(every: Sequence[Offered], name: str) -> list[float]:
    return [value for one in every if (value := getattr(one, name)) is not None]


def by_ue(
    fates: Sequence[Fate], in_flight: int = 1, max_lost: float = MAX_LOST
) -> Mapping[str, Offered]:
    """Those of each UE, by its name."""
    return {
        ue: offered([one for one in fates if one.ue == ue], in_flight, max_lost)
        for ue in dict.fromkeys(one.ue for one in fates)
    }


def response_ms(fates: Sequence[Fate]) -> Array:
    """From due to done; of those that were lost, infinity."""
    return np.array(
        [
            (one.done_ns - one.due_ns) / NS_PER_MS if one.outcome in ("ok", "late") else math.inf
            for one in fates
        ]
    )


_Percentiles = tuple[float | None, float | None, float | None]
_NONE: _Percentiles = (None, None, None)


def _percentiles(fates: Sequence[Fate]) -> _Percentiles:
    """The median, the 95th and the 99th, that so many frames support."""
    ranked = np.sort(response_ms(fates))

    def of(quantile: float) -> float | None:
        if quantile > 0.5 and len(ranked) < frames_for(quantile):
            return None
        found = float(np.quantile(ranked, quantile, method="higher"))
        return found if math.isfinite(found) else None

    return of(0.5), of(0.95), of(0.99)


def _rate_fps(at_ns: Sequence[int]) -> float | None:
    """How many a second there are of these, those of the first moment left out."""
    first_ns = min(at_ns, default=0)
    span_ns = max(at_ns, default=0) - first_ns
    return sum(at != first_ns for at in at_ns) / span_ns * 1e9 if span_ns else None


def _growth(ended: Sequence[Fate]) -> float | None:
    """By how many ms responses grew in a ms of the run, once its beginning was over.

    Of the frames' second quarter and their last.
    """
    if len(ended) < LEAST_TOLD:
        return None
    quarter = len(ended) // 4
    took_ms, due_ms = response_ms(ended), np.array([one.due_ns for one in ended]) / NS_PER_MS
    early, last = slice(quarter, 2 * quarter), slice(-quarter, None)
    # of the last those that took least: a queue that is short now and then does not grow
    apart_ms, grown_ms = (
        float(np.quantile(one[last], 0.1, method="higher") - np.median(one[early]))
        for one in (due_ms, took_ms)
    )
    return grown_ms / apart_ms if apart_ms > 0 and grown_ms > MIN_GROWN_MS else 0.0


def _why_not(
    count: int,
    counts: Mapping[str, int],
    growth: float | None,
    max_lost: float,
    ended: Sequence[Fate],
) -> str:
    words = {
        "dropped_source": "dropped at the source",
        "dropped_edge": "dropped at the edge",
        "error": "failed",
        "late": "late",
    }
    if not ended:
        return f"none of its {count} frames came through"
    lost = sum(counts[name] for name in words)
    if lost > max_lost * count:
        said = [f"{counts[name]} {word}" for name, word in words.items() if counts[name]]
        return f"of {count} frames {', '.join(said)}"
    if growth is not None and growth > MAX_GROWTH:
        return (
            f"each second of the run made responses {1e3 * growth:.0f} ms longer: its queue grows"
        )
    return ""


def _schedule_error_ms(fates: Sequence[Fate], in_flight: int) -> float | None:
    """How late those began that met somebody free, the 99th percentile of what there are."""
    busy_until: dict[str, list[int]] = {}
    late_ns = []
    for one in fates:
        if one.start_ns is None:
            continue
        busy = [end for end in busy_until.get(one.ue, ()) if end + _IDLE_NS > one.due_ns]
        if len(busy) < in_flight:
            late_ns.append(one.start_ns - one.due_ns)
        busy_until[one.ue] = [*busy, max(one.done_ns, one.heard_ns)]
    if not late_ns:
        return None
    return float(np.quantile(late_ns, 0.99, method="higher")) / NS_PER_MS
