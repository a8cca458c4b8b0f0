"""The clocks of a flow's nodes, and a frame told on one of them, the user's.

    how far each clock is ahead of the user's  ┐
    how far it can be, by the frame's own hops ┴─> stages of all nodes on the user's clock

A frame knows more than the clocks: over every hop it came in after it was sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from orchestrator.ask.flow import FLOWS, ends_of
from orchestrator.results.clock import ClockModel, jumped
from splitbed.timeline import Stage

_FAR_NS = 1 << 63
"""No clock of this kind reaches it."""
_Limits = dict[tuple[str, str], tuple[int, int]]
"""Of a clock's lead over another, at least and at most."""


@dataclass(frozen=True)
class NodeClocks:
    """How far the clock of each node of a flow is ahead of its user's.

    A node that shares the user's is not among the `models`; nodes that share one have equal models.
    """

    flow: str
    models: Mapping[str, ClockModel]

    def on_one(self, stages: Sequence[Stage]) -> list[Stage]:
        """A frame's stages on the user's clock.

        Those of a node keep their durations, and so do the ways to and fro between two together;
        only how much of it is which depends on the clocks, and no way takes less than no time. Of a
        frame that ends on another clock than it began, end-to-end time is as unsure.
        """
        if not self.models:
            return list(stages)
        ends = self._clocks_at(stages)
        leads = self._leads(stages, ends)
        return [
            Stage(stage.name, stage.start_ns - leads[one], stage.end_ns - leads[other])
            for stage, (one, other) in zip(stages, ends, strict=True)
        ]

    def fault(self, frames: Iterable[Sequence[Stage]] = ()) -> str | None:
        """Why the one-way times of these frames, as their nodes saw them, are not known."""
        readings = (model.readings for model in self.models.values())
        if any(jumped(*two) for of_node in readings for two in pairwise(of_node)):
            return "one-way times are not known: the clock of a node jumped"
        if not all(map(self._agree, frames)):
            return "one-way times are not known: by its clocks a frame came in before it was sent"
        return None

    def uncertainty_ms(self, one: str, other: str) -> float:
        """How unsure a time is that begins on one node and ends on the other; 0 on one clock."""
        both = {self._clock_of[one], self._clock_of[other]}
        if len(both) == 1:
            return 0.0
        return sum(model.uncertainty_ms for node, model in self.models.items() if node in both)

    @cached_property
    def _clock_of(self) -> dict[str, str]:
        """By a node's name, the first that has its clock, the user before all."""
        found: dict[str, str] = {}
        for node in (FLOWS[self.flow].user, *FLOWS[self.flow].nodes):
            own = self.models.get(node)
            found[node] = next((one for one in found if self.models.get(one) == own), node)
        return found

    def _clocks_at(self, stages: Sequence[Stage]) -> list[tuple[str, str]]:
        """Of each stage, the clock that it starts on, and the one that it ends on."""
        ends = ends_of(self.flow, [stage.name for stage in stages])
        return [(self._clock_of[one], self._clock_of[other]) for one, other in ends]

    def _leads(self, stages: Sequence[Stage], ends: Sequence[tuple[str, str]]) -> Mapping[str, int]:
        """Of each clock over the user's, as far as the hops allow what is estimated."""
        at_ns, user = self._moment(stages, ends), FLOWS[self.flow].user
        likely = {node: model.at(at_ns).offset_ns for node, model in self.models.items()}
        likely[user] = 0
        leads, reached, limits = {user: 0}, [user], _limits(stages, ends)
        for known in reached:  # which grows, hop by hop
            for (one, other), (low_ns, high_ns) in limits.items():
                if one == known and other not in leads:
                    lead_ns = likely[other] - likely[one]
                    leads[other] = leads[one] + max(low_ns, min(high_ns, lead_ns))
                    reached.append(other)
        return likely | leads

    def _moment(self, stages: Sequence[Stage], ends: Sequence[tuple[str, str]]) -> int:
        """When the frame was first seen on the user's clock; of one that never was, any time."""
        user = FLOWS[self.flow].user
        for stage, (one, other) in zip(stages, ends, strict=True):
            if user in (one, other):
                return stage.start_ns if one == user else stage.end_ns
        return stages[0].start_ns

    def _agree(self, stages: Sequence[Stage]) -> bool:
        """Whether the clocks can be as far apart as the frame's hops say."""
        ends = self._clocks_at(stages)
        if all(one == other for one, other in ends):
            return True
        at_ns = self._moment(stages, ends)
        known = {node: model.at(at_ns) for node, model in self.models.items()}
        ranges = {node: (one.low_ns, one.high_ns) for node, one in known.items()}
        ranges[FLOWS[self.flow].user] = (0, 0)
        return all(
            ranges[other][0] - ranges[one][1] <= high_ns
            and ranges[other][1] - ranges[one][0] >= low_ns
            for (one, other), (low_ns, high_ns) in _limits(stages, ends).items()
        )


def _limits(stages: Sequence[Stage], ends: Sequence[tuple[str, str]]) -> _Limits:
    """Of the second of two clocks over the first: no hop between them took less than no time."""
    found: _Limits = {}
    for stage, (one, other) in zip(stages, ends, strict=True):
        if one != other:
            took_ns = stage.end_ns - stage.start_ns
            low_ns, high_ns = found.get((one, other), (-_FAR_NS, _FAR_NS))
            found[one, other] = low_ns, min(high_ns, took_ns)
            found[other, one] = -found[one, other][1], -low_ns
    return found
