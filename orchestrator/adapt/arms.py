"""Arms: splits with codecs that a policy chooses from, and what each is predicted to take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netem.wire import SEGMENT_BYTES, wire_bytes
from orchestrator.ask.configuration import Configuration

ArmKey = tuple[int, str]
"""The layers before the cut, and the codec."""


@dataclass(frozen=True)
class Arm:
    """A configuration that is held: `up_bytes` and `down_bytes` cross the link whose rate changes.

    A frame takes `fixed_ms` beside the wire's own time; `uplink_ms` of it are in the stage uplink.
    A TCP segment carries `segment_bytes`. It loses `drop` of accuracy, as far as that is known.
    """

    configuration: Configuration
    up_bytes: int
    down_bytes: int
    fixed_ms: float
    uplink_ms: float = 0.0
    segment_bytes: int = SEGMENT_BYTES
    drop: float = 0.0

    def plain(self) -> dict[str, object]:
        """As JSON has it."""
        told = {name: value for name, value in vars(self).items() if name != "configuration"}
        asked = self.configuration
        return {"k": asked.k, "name": asked.split_name, "codec": asked.codec} | told

    @property
    def words(self) -> str:
        """Its split and codec; two arms have different words."""
        return self.configuration.words

    @property
    def key(self) -> ArmKey:
        """What of it a frame's record has."""
        return self.configuration.k, self.configuration.codec

    @property
    def crosses(self) -> bool:
        """Whether a frame of it says anything of the link."""
        return self.up_bytes > 0

    @property
    def wire_bytes(self) -> int:
        """What crosses the link, with headers, both ways."""
        return sum(wire_bytes(n, self.segment_bytes) for n in (self.up_bytes, self.down_bytes))

    def e2e_ms(self, rate_mbit: float) -> float:
        """What a frame is predicted to take at a rate of the link."""
        nbytes = self.wire_bytes
        return self.fixed_ms + (nbytes * 8 / (rate_mbit * 1e3) if nbytes else 0.0)

    def goodput_mbit(self, up_bytes: int, uplink_ms: float) -> float | None:
        """What the link gave a frame whose stage uplink took so long; None of the device anchor."""
        if not up_bytes:
            return None
        wire_ms = max(uplink_ms - self.uplink_ms, uplink_ms / 10)
        return wire_bytes(up_bytes, self.segment_bytes) * 8 / (wire_ms * 1e3)


@dataclass(frozen=True)
class FrameOutcome:
    """What became of a frame of `arm`; `now_s` is when it ended, of the trace."""

    arm: Arm
    now_s: float
    e2e_ms: float
    goodput_mbit: float | None


def fastest(arms: Sequence[Arm], rate_mbit: float) -> Arm:
    """The arm that is predicted to take least at a rate."""
    return min(arms, key=lambda arm: arm.e2e_ms(rate_mbit))


def equal_mbit(low: Arm, high: Arm) -> float:
    """From which rate on `high` takes no longer than `low`, which sends less; infinity if never."""
    gained_ms = low.fixed_ms - high.fixed_ms
    more_bytes = max(high.wire_bytes - low.wire_bytes, 0)
    return more_bytes * 8 / (gained_ms * 1e3) if gained_ms > 0 else math.inf
