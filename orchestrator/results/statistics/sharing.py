"""What frames had of parts that UEs share: how long each waited there, run with how many others."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from msgspec import UNSET

from orchestrator.results.records import FrameRecord
from splitbed.timeline import WAIT


@dataclass(frozen=True)
class Shared:
    """A frame at such a part: on how many it was run at once, what it waited before, in ms."""

    together: int
    wait_ms: float


def shared(frames: Sequence[FrameRecord]) -> tuple[Shared, ...]:
    """Of each frame and each such part that it went through."""
    return tuple(
        Shared(count, _wait_ms(frame, part))
        for frame in frames
        if frame.together is not UNSET
        for part, count in frame.together.items()
    )


def _wait_ms(frame: FrameRecord, part: str) -> float:
    place = [stage.name for stage in frame.stages].index(part)
    before = reversed(frame.stages[:place])
    return sum(stage.ms for stage in takewhile(lambda stage: stage.name == WAIT, before))
