"""A policy: every split in turn, the same one for as many frames as stand behind the colon."""

from orchestrator.adapt.arms import Arm, FrameOutcome
from orchestrator.adapt.policies import PolicyKind, PolicySetting
from splitbed.errors import UsageError


class _Turns:
    def __init__(self, asked: PolicySetting) -> None:
        self._arms = asked.arms
        self._each = _frames(asked.value)
        self._frame = 0

    def choose(self, now_s: float) -> Arm:
        del now_s  # it counts frames, not seconds
        return self._arms[self._frame // self._each % len(self._arms)]

    def tell(self, outcome: FrameOutcome) -> None:
        self._frame += 1


def _frames(value: str) -> int:
    if not (value or "1").isdecimal() or value == "0":
        raise UsageError("give the frames of a turn, as in turns:10")
    return int(value or 1)


TURNS = PolicyKind(_Turns, _frames)
