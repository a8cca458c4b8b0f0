"""The pace of UEs: slowed for a while, as rows that are compared had it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from orchestrator.ask.configuration import Configuration, Loading
from orchestrator.ask.pace import Pace
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.v1 import nodes_pb2


@dataclass(frozen=True)
class Slowed:
    """What slows the UE, a quota of CPUs or stages stretched so many times, and what came of it.

    ``ue_slowdown`` is how many times slower part 1 was, where there is one, ``asked`` how many it
    should be; None for a quota.
    """

    ue_cpus: float | None = None
    stretch: float | None = None
    ue_slowdown: float | None = None
    asked: float | None = None


class Pacing:
    """Slows the UEs of a pair; ``full_ms`` is what one takes for the whole model.

    What a pace does to part 1 of a cut is measured once, and set again for every codec and link:
    their rows could not be compared otherwise. Every method raises NodeError, and UsageError for a
    device that the UE cannot stand in for.
    """

    def __init__(self, pair: Pair, model: SweptModel) -> None:
        self.full_ms: float | None = None
        self._pair, self._model = pair, model
        self._slowed: dict[tuple[Loading | None, Pace], Slowed] = {}

    def forget(self) -> None:
        """Nothing was measured: the nodes were restarted."""
        self._slowed.clear()

    @contextmanager
    def each(self, asked: Configuration) -> Iterator[Slowed]:
        """Slow each UE as `asked`, which is loaded; otherwise as :meth:`paced`, of the first."""
        ues: dict[Pace, list[str]] = {}
        for one in asked.each:
            ues.setdefault(one.pace, []).append(one.ue)
        with ExitStack() as stack:
            told = [
                stack.enter_context(self.paced(pace, asked.loading, of if asked.ues else ()))
                for pace, of in ues.items()
            ]
            yield told[0]

    @contextmanager
    def paced(
        self, pace: Pace, loading: Loading | None = None, ues: Sequence[str] = ()
    ) -> Iterator[Slowed]:
        """Slow the UE for what happens inside; gives what that was measured to do to part 1.

        Of several, these `ues`, as what was measured on the first. Without `loading`, the cut that
        is loaded, all that are held for frames by turns have one measurement.

        Where that fails it stays slow: its nodes are brought up again, or the run ends, and to ask
        one first that may be what failed would take minutes.
        """
        if not pace.limits:
            yield Slowed()
            return
        of = loading, pace
        if slowed := self._slowed.get(of):
            again = nodes_pb2.LimitRequest(cpus=slowed.ue_cpus or 0, slowdown=slowed.stretch or 0)
            self._pair.limit_ue(again, pace.most, ues)
        else:
            self._slowed[of] = self._measured(pace, ues)
        yield self._slowed[of]
        self._pair.limit_ue(nodes_pb2.LimitRequest(slowdown=1), 1, ues)

    def _measured(self, pace: Pace, ues: Sequence[str]) -> Slowed:
        request = pace.request(self._model.facts.macs or 0, self.full_ms)
        request.measure = True
        limited = self._pair.limit_ue(request, max(pace.most, request.slowdown), ues)
        return Slowed(
            ue_cpus=limited.cpus if limited.HasField("cpus") else None,
            stretch=limited.stretch if limited.HasField("stretch") else None,
            ue_slowdown=limited.limited_ms / limited.full_ms if limited.full_ms else None,
            asked=request.slowdown or None,
        )
