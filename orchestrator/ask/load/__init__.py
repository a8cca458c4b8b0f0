"""When frames are due: one after another, or at times of their own, whether or not one is done.

closed         the next when one is done; --in-flight N: of N
fps:30         evenly, so many a second
poisson:20     at random, so many a second in the mean, drawn with the run's seed
burst:8/0.5    8 at once, every 0.5 s
trace:FILE     a time in seconds a line, from the cell's first frame on
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from orchestrator.ask.load.trace_file import MOST_FRAMES, read_trace, trace_text
from splitbed.errors import UsageError, shorten

Kind = Literal["closed", "fps", "poisson", "burst", "trace"]
Drop = Literal["newest", "oldest", "none"]

MOST_FPS, LEAST_FPS = 1000.0, 0.001
"""A node's clock wakes whoever sleeps within 0.1 ms: frames nearer to one another have no times."""
MOST_IN_FLIGHT, MOST_QUEUE = 64, 1024
USUAL_FRAMES, USUAL_S, LEAST_FRAMES = 300, 60.0, 60
"""A 99th percentile takes 299 frames, a 95th 59: as many, where a minute is enough for them."""
LEAST_TOLD = 12
"""Fewer frames do not tell whether a queue grows."""
_NUMBER = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True)
class Load:
    """When the frames of a UE are due, and what becomes of those that must wait.

    At most `in_flight` are under way at once. Of others that are due `queue` may wait at a station,
    also at the source; where there is no room, the newest or the oldest is dropped; of none that is
    dropped all wait. What takes longer than `deadline_ms` from when it was due is late.
    """

    kind: Kind = "closed"
    rate_fps: float = 0.0
    """In the mean; of a closed one 0."""
    burst: int = 1
    """How many are due at once."""
    times_s: tuple[float, ...] = field(default=(), repr=False)
    name: str = "closed"
    """As it was asked."""
    in_flight: int = 1
    queue: int = 1
    drop: Drop = "none"
    deadline_ms: float | None = None

    @property
    def offered(self) -> bool:
        """Whether frames are offered at the node of their source, not asked for one by one."""
        return self.kind != "closed" or self.in_flight > 1

    @property
    def open(self) -> bool:
        """Whether frames are due at times of their own."""
        return self.kind != "closed"

    @property
    def words(self) -> str:
        """As a row tells it, with what is not as usual; nothing for one frame at a time."""
        if not self.offered:
            return ""
        said = [self.name]
        if self.in_flight > 1:
            said.append(f"{self.in_flight} in flight")
        if self.open and (self.queue, self.drop) != (1, _usual_drop(self.kind)):
            gone = "none" if self.drop == "none" else f"the {self.drop}"
            said.append(f"queue {self.queue}, {gone} dropped")
        if self.deadline_ms is not None:
            said.append(f"deadline {self.deadline_ms:g} ms")
        return ", ".join(said)

    def frames(self, asked: int | None) -> int:
        """How many are offered where so many are asked for; None: as many as tell its percentiles.

        Of a trace no more than it has.
        """
        if self.kind == "trace":
            return min(asked or MOST_FRAMES, len(self.times_s))
        if asked or not self.open:
            return asked or LEAST_FRAMES
        return max(LEAST_FRAMES, min(USUAL_FRAMES, round(self.rate_fps * USUAL_S)))

    @property
    def trace_text(self) -> str:
        """What a run keeps of a trace: another's is another text; nothing for other loads."""
        if self.kind != "trace":
            return ""
        return trace_text(self.name.removeprefix("trace:").rpartition("@")[0], self.times_s)

    def due_ns(self, frames: int, seed: int, ue: str = "") -> list[int]:
        """When each of so many is due, after the first moment; none for a closed one.

        Of several UEs each draws its own times, of a trace how much later it begins: they are not
        in step.
        """
        dice = np.random.default_rng([seed, *ue.encode()])
        late_s = dice.uniform(0, self.burst / self.rate_fps) if ue and self.rate_fps else 0.0
        match self.kind:
            case "fps":
                due_s: NDArray[np.floating] = late_s + np.arange(frames) / self.rate_fps
            case "burst":
                due_s = late_s + np.arange(frames) // self.burst * (self.burst / self.rate_fps)
            case "poisson":
                gaps_s = dice.exponential(1 / self.rate_fps, frames)
                due_s = np.cumsum(gaps_s)
            case "trace":
                due_s = late_s + np.array(self.times_s[:frames])
            case "closed":
                return []
        due_ns: list[int] = np.rint(due_s * 1e9).astype(np.int64).tolist()
        return due_ns


def load_named(
    word: str,
    in_flight: int = 1,
    queue: int | None = None,
    drop: Drop | None = None,
    deadline_ms: float | None = None,
) -> Load:
    """The load of a word such as ``fps:30``; UsageError for one that cannot be, with the reason.

    Where nothing else is said, of live media (``fps``) the latest frame wins: one waits, and the
    next takes its place. Of all others none is dropped.
    """
    kind, _, told = word.strip().partition(":")
    waits = queue or 1, drop or _usual_drop(kind), deadline_ms
    match kind:
        case "closed" if not told:
            if queue is not None or drop is not None:
                raise UsageError(
                    "--queue and --drop are for frames that are due whether or not one is done: "
                    "give them with --load fps:30, poisson:20, burst:8/0.5 or trace:FILE"
                )
            if deadline_ms is not None and in_flight == 1:
                raise UsageError(
                    f"--deadline-ms {deadline_ms:g}: of a closed load the next frame waits for the "
                    "one before, which is never late: give --load fps:30"
                )
            return Load(in_flight=in_flight, deadline_ms=deadline_ms)
        case "fps" | "poisson":
            rate_fps = _number(word, told, "frames a second")
            load = Load(kind, rate_fps, 1, (), f"{kind}:{rate_fps:.10g}", in_flight, *waits)
        case "burst":
            count, _, every = told.partition("/")
            if not count.isdecimal() or not 0 < (size := int(count[:9])) <= MOST_FRAMES:
                raise UsageError(_refused(word, f"it has 1 to {MOST_FRAMES} frames at once"))
            period_s = _number(word, every, "seconds between bursts")
            name = f"burst:{size}/{period_s:.10g}"
            load = Load("burst", size / period_s, size, (), name, in_flight, *waits)
        case "trace":
            file, times_s = read_trace(Path(told))
            name = f"trace:{file}@{_digest(times_s)}"
            load = Load("trace", _mean_fps(times_s), 1, times_s, name, in_flight, *waits)
        case _:
            raise UsageError(_refused(word, "there is no such load"))
    _check_rate(load)
    return load


def _usual_drop(kind: str) -> Drop:
    """Of live media the latest frame wins."""
    return "oldest" if kind == "fps" else "none"


def _refused(word: str, why: str) -> str:
    kinds = "closed, fps:30, poisson:20, burst:8/0.5 (8 at once, every 0.5 s) or trace:FILE"
    return f"--load {shorten(word)}: {why}; give {kinds}"


def _number(word: str, told: str, what: str) -> float:
    if not _NUMBER.fullmatch(told) or not float(told):
        raise UsageError(_refused(word, f"{shorten(told) or 'nothing'} is no number of {what}"))
    return float(told)


def _check_rate(load: Load) -> None:
    rate_fps = load.rate_fps / load.burst
    if load.kind != "trace" and not LEAST_FPS <= rate_fps <= MOST_FPS:
        raise UsageError(
            f"--load {load.name}: {1e3 / rate_fps:g} ms between frames, and no clock here keeps "
            f"that: give {1e3 / MOST_FPS:g} ms to {1 / LEAST_FPS:g} s"
        )


def _digest(times_s: Sequence[float]) -> str:
    """Tells a file's times from others of that name."""
    return sha256(np.array(times_s).tobytes()).hexdigest()[:8]


def _mean_fps(times_s: Sequence[float]) -> float:
    span_s = times_s[-1] - times_s[0]
    return (len(times_s) - 1) / span_s if span_s else math.inf
