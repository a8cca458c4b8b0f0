"""Part 1 grows on the UE while frames go on, each by the split that is possible then.

    frames   0:n 0:n 0:n 0:n │ 5:n-5 5:n-5 5:n-5 │ 9:n-9 9:n-9 …
    link     part 1 of 5 ────┘ the rest of 9 ────┘

The rest of a part are the tensors that the UE does not have yet.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.cell import cell_of
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.cell import proved
from orchestrator.measure.frames import stages_of
from orchestrator.measure.machine import MachineMeter
from orchestrator.measure.time_limits import TimeLimits, arrival_s, window_bytes
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.testbed.loading.assignments import assignment_messages
from orchestrator.testbed.loading.loader import Loader, Placed
from orchestrator.testbed.loading.parts import SPARE_SESSIONS
from orchestrator.testbed.model import Known
from orchestrator.testbed.testbed import Testbed
from orchestrator.transit.inferring import Inferring
from splitbed.errors import NodeError, RunError
from splitbed.flow import Span
from splitbed.timeline import NS_PER_MS, Timeline
from splitbed.v1 import nodes_pb2


@dataclass(frozen=True)
class FrameTaken:
    """A frame: its split, when it was done here, and its time."""

    split: str
    done_ns: int
    e2e_ms: float
    max_abs_diff: float | None


@dataclass(frozen=True)
class Grown:
    """A split that became possible.

    ``coded`` is its part 1 as a bitstream, whole; ``received`` what came of it. ``since_ms`` is
    from when the first part was asked for until the first frame by this split was done.
    """

    asked: Configuration
    coded: nodes_pb2.CodedPart
    received: nodes_pb2.PartReceived
    open_ms: float
    since_ms: float


@dataclass
class Growth:
    """What became possible over a link, all frames meanwhile, and what ended it too soon.

    ``machine`` is None where something did while it grew.
    """

    link: LinkSpec
    start_ns: int = 0
    """When the first part was asked for."""
    grown: list[Grown] = field(default_factory=list)
    frames: list[FrameTaken] = field(default_factory=list)
    proofs: Sequence[ProofRecord] = ()
    machine: MachineRecord | None = None
    error: NodeError | KeyboardInterrupt | None = None


class Growing:
    """Has part 1 of the model of a testbed grow.

    ``splits`` are configurations whose parts 1 ascend; the first has none. Their codecs are
    told what is ``known``. Raises RunError where nodes hold fewer.
    """

    def __init__(
        self,
        bed: Testbed,
        config: SweepConfig,
        splits: Sequence[Configuration],
        known: Known,
    ) -> None:
        self._bed, self._config, self._splits, self._known = bed, config, splits, known
        threads = {"ue": config.ue_threads, "edge": config.edge_threads}
        self._loader = Loader(bed.pair, bed.model, threads)
        self._loader.coder = config.part_coder
        self._numbers = 0
        self._warmed = False
        """Whether the UE has had a decoder and a runtime at work before anything is timed."""
        room = min(node.says.sessions for node in bed.pair.nodes.values()) - SPARE_SESSIONS
        if len(splits) > room:
            raise RunError(
                f"{len(splits)} splits are to be possible at once, and a node may have {room} parts"
                " open beside the whole model: name fewer with --split, or raise limits.sessions"
            )

    def over(self, links: Sequence[LinkSpec], *, at_once: bool = False) -> Growth:
        """All splits over a link, each part 1 with what the one before lacks of it.

        Or, `at_once`, the last split alone, whose part 1 comes whole. Raises NodeError where nodes
        fail before that; what ends it later is its error.
        """
        splits = [one.over(links, Pace()) for one in self._splits]
        splits = [splits[0], splits[-1]] if at_once else splits
        ready, (link, *_) = self._made_ready(splits), links
        self._bed.shape(links)
        if not self._warmed:
            self._come(splits[0], splits[1], ready, link, rest=False)
            self._warmed = True
        opening = window_bytes(link, hop="downlink")
        self._bed.pair.warm_link({"downlink": opening}, arrival_s(link, opening))
        growth = Growth(link, proofs=proved(self._bed, Watcher(), links))
        meter = MachineMeter(self._bed.pair)
        try:
            self._grow(growth, splits, ready)
            growth.machine = meter.read()
            growth.proofs = (*growth.proofs, *proved(self._bed, Watcher(), links))
        except (NodeError, KeyboardInterrupt) as error:
            growth.error = error
        return growth

    def _made_ready(self, splits: Sequence[Configuration]) -> Mapping[int, nodes_pb2.Loaded]:
        """All parts 2 open beside each other, and parts 1 as bitstreams, by their layers."""
        held, ready = list[Placed](), dict[int, nodes_pb2.Loaded]()
        for asked in splits:
            parts = [
                (one.node, one.span)
                for one in asked.itinerary
                if one.first < one.last or not asked.k
            ]
            fetched = [self._part1(asked)] if asked.k else []
            said = self._loader.load(parts, self._config.warmup, held, fetched)
            held += parts
            for part1 in fetched:
                ready[asked.k] = said[part1]
        return ready

    def _grow(
        self,
        growth: Growth,
        splits: Sequence[Configuration],
        ready: Mapping[int, nodes_pb2.Loaded],
    ) -> None:
        first, *others = splits
        frames = _Frames(self._bed, growth, self._frame_s(splits))
        number = self._assign(first, ())
        frames.by = number, first.split
        inferring = Inferring(frames.take)
        with inferring.going_on():
            inferring.until(lambda: frames.count[frames.number] > 0)
            growth.start_ns = time.monotonic_ns()
            for place, asked in enumerate(others):
                before, rest = splits[place], place > 0
                received, loaded = self._come(before, asked, ready, growth.link, rest=rest)
                number = self._assign(asked, [number])
                frames.by = number, asked.split
                inferring.until(lambda: frames.count[frames.number] > 0)
                since_ms = (frames.first_ns[number] - growth.start_ns) / NS_PER_MS
                (coded,) = ready[asked.k].coded
                growth.grown.append(Grown(asked, coded, received, loaded.load_ms, since_ms))
            inferring.until(lambda: frames.count[frames.number] >= self._config.least_runs)

    def _come(
        self,
        before: Configuration,
        asked: Configuration,
        ready: Mapping[int, nodes_pb2.Loaded],
        link: LinkSpec,
        *,
        rest: bool,
    ) -> tuple[nodes_pb2.PartReceived, nodes_pb2.Loaded]:
        """Part 1 of a split comes, or the `rest` of it, and is opened beside the one `before`."""
        part, made = self._part1(asked), ready[asked.k]
        limit_s = arrival_s(link, made.coded[0].bytes, made.part_bytes)
        received = self._loader.deliver(part, limit_s, rest=rest)
        return received, self._loader.open(part[0], 0, [self._part1(before)])

    def _assign(self, asked: Configuration, keep: Sequence[int]) -> int:
        """The number of what nodes do with frames by a split, beside what they keep."""
        self._numbers += 1
        messages = assignment_messages(self._numbers, asked, self._bed.model, self._known)
        self._bed.pair.ways.assign(messages, keep)
        return self._numbers

    def _part1(self, asked: Configuration) -> Placed:
        return self._bed.pair.user, Span(0, asked.k)

    def _frame_s(self, splits: Sequence[Configuration]) -> float:
        """What a frame may take."""
        limits = TimeLimits.of(self._config, self._bed.model, 0.0)
        cells = [cell_of(one, self._bed.model, self._config) for one in splits]
        return max(map(limits.frame_s, cells))


class _Frames:
    """Takes one frame after another, by the split that is told last."""

    def __init__(self, bed: Testbed, growth: Growth, timeout_s: float) -> None:
        self._bed, self._growth, self._timeout_s = bed, growth, timeout_s
        self.by = 0, ""
        """From the next frame on: the number of what nodes do with it, and the split."""
        self.count = Counter[int]()
        """Of frames, by such a number."""
        self.first_ns: dict[int, int] = {}
        """When the first of them was done."""

    @property
    def number(self) -> int:
        """Of what nodes do with the next one."""
        return self.by[0]

    def take(self) -> None:
        """Take the next input through. Raises NodeError, and KeyboardInterrupt between frames."""
        (number, split), pair, done = self.by, self._bed.pair, self.count.total()
        if pair.clocks:
            pair.clocks.read_if_due()
        place = done % len(self._bed.model.inputs)
        said = pair.ways.run_frame(done, place, self._timeout_s, number)
        done_ns = time.monotonic_ns()
        self._bed.interruption.check()
        e2e_ms = Timeline(pair.node_clocks().on_one(stages_of(said))).e2e_ms
        difference = said.max_abs_diff if said.HasField("max_abs_diff") else None
        self._growth.frames.append(FrameTaken(split, done_ns, e2e_ms, difference))
        self.first_ns.setdefault(number, done_ns)
        self.count[number] += 1
