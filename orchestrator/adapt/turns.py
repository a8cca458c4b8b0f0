"""The turns that policies take over a bandwidth trace, and the rehearsal before them."""

import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from msgspec.structs import asdict

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.adapt.arms import Arm, FrameOutcome
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.losses import Losses
from orchestrator.adapt.policies import Policy
from orchestrator.adapt.replay import REFRESH_S, LinkReplay
from orchestrator.adapt.rows import LostFrame, TracedFrame, TraceRow, Turn, costs, policy_row
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.options import MAX_DROP
from orchestrator.measure.cell import proved
from orchestrator.measure.engine import Engine
from orchestrator.measure.frames import Choosing, Taken
from orchestrator.measure.time_limits import window_bytes
from orchestrator.results.judgement.accuracy import drawn
from orchestrator.results.records import ProofRecord, segment_of
from orchestrator.results.run_folder import SAMPLES_FILE
from splitbed.errors import NodeError, UsageError
from splitbed.timeline import Timeline

REHEARSAL = "rehearsal"
_REHEARSED = 4  # frames of each arm; the first one is left out


class _InOrder(Choosing):
    """Each of the cells so many times."""

    def __init__(self, cells: Sequence[Cell], replay: LinkReplay) -> None:
        self._left: Iterator[Cell] = iter([one for one in cells for _ in range(_REHEARSED)])
        self._replay = replay
        self.start_s = 0.0

    def next(self) -> Cell | None:
        self.start_s = self._replay.now_s
        return next(self._left, None)

    def tell(self, taken: Taken) -> None:
        """Nothing follows from it."""


class _Chosen(Choosing):
    """What a policy chooses, while the trace lasts."""

    def __init__(
        self, policy: Policy, turns: "Turns", replay: LinkReplay, seconds: float, frames: float
    ) -> None:
        self._policy, self._replay = policy, replay
        self._seconds, self._left = seconds, frames
        self._cells = dict(zip(turns.arms, turns.cells, strict=True))
        self._arm: Arm | None = None
        self.cell: Cell | None = None
        self.start_s = 0.0

    def next(self) -> Cell | None:
        self.start_s = self._replay.now_s
        if self.start_s >= self._seconds or self._left <= 0:
            return None
        self._left -= 1
        if (cell := self._cells.get(arm := self._policy.choose(self.start_s))) is None:
            raise UsageError(f"the policy chose {arm!r}, which is none of the arms that are held")
        self._arm, self.cell = arm, cell
        return cell

    def tell(self, taken: Taken) -> None:
        self._replay.check()
        assert self._arm is not None
        met = self._arm.goodput_mbit(taken.record.encoded_bytes, taken.uplink_ms)
        self._policy.tell(FrameOutcome(self._arm, self._replay.now_s, taken.e2e_ms, met))


class Turns:
    """Runs each policy over the trace from its beginning; a lost frame ends that policy's turn.

    `links` has the link at each rate of the trace.
    """

    def __init__(
        self,
        engine: Engine,
        cells: Sequence[Cell],
        trace: BandwidthTrace,
        links: Mapping[float, LinkSpec],
        max_drop: float = MAX_DROP,
    ) -> None:
        self.engine = engine
        self.cells = cells
        self.arms: list[Arm] = []
        """What each cell takes, in their order, from the rehearsal on."""
        self.losses = Losses("", max_drop, {})
        """What each loses, likewise."""
        self.proofs: list[tuple[LinkSpec, ProofRecord]] = []
        """The link at its least and its greatest rate, before the turns and after them."""
        self.trace, self.links = trace, links
        self._pace = cells[-1].configuration.pace
        still = BandwidthTrace(REHEARSAL, (0.0,), (max(links),), math.inf)
        self._rehearsal = Turn(still)
        self.ran: dict[str, Turn] = {}
        """The turn of each policy that had a frame, or lost one."""

    @property
    def fit(self) -> list[Arm]:
        """The arms that a policy may choose."""
        return [arm for arm in self.arms if self.losses.is_fit(arm.configuration)]

    def rows(self) -> list[TraceRow]:
        """A row for each policy that ran."""
        known = costs(self.arms, [self._rehearsal, *self.ran.values()])
        return [
            policy_row(name, turn.frames, turn.applied, known, lost=int(turn.lost is not None))
            for name, turn in self.ran.items()
        ]

    def prove(self) -> None:
        """Measure the link at its least and its greatest rate. Raises NodeError and LinkError."""
        bed = self.engine.bed
        for rate_mbit in sorted({min(self.links), max(self.links)}):
            bed.interruption.check()
            bed.link.shape(link := self.links[rate_mbit])
            (proof,) = proved(bed, self.engine.watcher, [link])
            self.proofs.append((link, proof))

    def prepare(self) -> None:
        """Hold the cells; run each over the fastest link: what does it take beside the wire?"""
        bed = self.engine.bed
        self.engine.calibrate(self.cells)
        weights = bed.model.facts.weights
        judged = {} if drawn(weights) else self.engine.judged(self.cells)
        self.losses = replace(self.losses, weights=weights, accuracy=judged)
        self.engine.hold(self.cells)
        self.engine.watcher.note("rehearsing the arms")
        still, fastest = self._rehearsal.applied, self.links[max(self.links)]
        if bed.pair.clocks:
            bed.pair.clocks.begin()
        with LinkReplay(bed.link, still, self.links) as replay:
            timeout_s = self.engine.limits.frame_s(self.cells[0])
            bed.pair.warm_link({"uplink": window_bytes(fastest)}, timeout_s)
            with self.engine.parts.pacing.paced(self._pace):
                self._take(REHEARSAL, self._rehearsal, _InOrder(self.cells, replay))
        del self._rehearsal.frames[::_REHEARSED]
        bare = [self._bare(cell) for cell in self.cells]
        known = costs(bare, [self._rehearsal])
        self.arms = [replace(cost.arm, fixed_ms=cost.fixed_ms) for cost in known]

    def _bare(self, cell: Cell) -> Arm:
        """As an arm, but for what it takes beside the wire."""
        asked, fastest = cell.configuration, self.links[max(self.links)]
        mine = [frame for frame in self._rehearsal.frames if frame.key == (asked.k, asked.codec)]
        up_bytes = int(statistics.median(frame.encoded_bytes for frame in mine))
        # the result travels in no time of the trace's where the downlink has a rate of its own
        follows = all(link.downlink.rate_mbit == rate for rate, link in self.links.items())
        back = asked.crosses and follows
        down_bytes = int(statistics.median(frame.result_bytes for frame in mine)) if back else 0
        carried = segment_of([proof for _, proof in self.proofs]).payload_bytes
        air_ms = wire_ms(up_bytes, fastest.uplink, carried) - fastest.uplink.delay_ms
        beside_ms = statistics.median(frame.uplink_ms - air_ms for frame in mine)
        uplink_ms = max(beside_ms, 0.0) if asked.crosses else 0.0
        drop = self.losses.drop(asked) or 0.0  # of one that was not judged nobody chooses
        return Arm(asked, up_bytes, down_bytes, 0.0, uplink_ms, carried, drop)

    def turn(self, name: str, policy: Policy, seconds: float, frames: int | None) -> None:
        """One policy over the trace; a frame that is lost ends it, and the nodes begin anew."""
        replay = LinkReplay(self.engine.bed.link, self.trace, self.links)
        turn = Turn(self.trace)
        chosen = _Chosen(policy, self, replay, seconds, math.inf if frames is None else frames)
        try:
            with self.engine.parts.pacing.paced(self._pace), replay:
                self._take(name, turn, chosen)
                while replay.is_out:  # what waits would be in the next policy's way
                    self.engine.bed.interruption.check()
                    replay.check()
                    time.sleep(REFRESH_S)
        except NodeError as error:
            self.engine.bed.interruption.check()
            if chosen.cell is None:
                raise  # nothing was asked of this policy: that stops the run
            turn.lost = self._lose(name, chosen.cell, chosen.start_s, str(error))
        finally:
            if turn.frames or turn.lost:
                turn.changes, turn.applied = replay.changes, replay.applied
                self.ran[name] = turn

    def _take(self, name: str, turn: Turn, choosing: _InOrder | _Chosen) -> None:
        def keep(taken: Taken) -> None:
            asked = taken.cell.configuration
            timeline = Timeline(list(taken.stages))
            frame = TracedFrame(
                **asdict(taken.record)
                | {"k": asked.k, "split": asked.split_name, "codec": asked.codec}
                | {"start_s": choosing.start_s, "e2e_ms": taken.e2e_ms}
                | {"uplink_ms": taken.uplink_ms, "gap_ms": timeline.gap_share * taken.e2e_ms}
            )
            self.engine.folder.append(SAMPLES_FILE, frame.line())
            turn.frames.append(frame)

        for _ in self.engine.frames(choosing, name, keep):
            pass

    def _lose(self, name: str, cell: Cell, start_s: float, reason: str) -> LostFrame:
        """Write down the frame that did not come back, and bring both nodes up again."""
        asked = cell.configuration
        lost = LostFrame(
            attempt=name,
            k=asked.k,
            split=asked.split_name,
            codec=asked.codec,
            start_s=start_s,
            error=reason,
        )
        self.engine.folder.append(SAMPLES_FILE, lost.line())
        self.engine.watcher.note(f"{name}: {reason}")
        self.engine.restart()
        self.engine.hold(self.cells)
        return lost
