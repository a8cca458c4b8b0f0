"""What is loaded on the pair: each part on the node that runs it, as the flow says.

Beside them what the nodes are assigned to do with frames.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import chain

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration, Loading
from orchestrator.ask.crowd import crowds
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import kind_of
from orchestrator.testbed.loading.assignments import assignment_messages
from orchestrator.testbed.loading.at_once import at_once
from orchestrator.testbed.loading.loader import Loader, Placed
from orchestrator.testbed.loading.pacing import Pacing
from orchestrator.testbed.model import Known, SweptModel
from orchestrator.testbed.nodes.pair import Pair
from splitbed.errors import UsageError
from splitbed.runtime.provider import Computed, Share, together
from splitbed.v1 import nodes_pb2

HELD_BYTES = 1 << 30
"""Model files of cuts that are open at once; runtimes take about as much again for each."""
SPARE_SESSIONS = 2
"""Of a node's, for what it runs beside the parts: the whole model."""


@dataclass(frozen=True)
class LoadedParts:
    """The parts' files, all heads' together, and what the slowest node took to open and warm up."""

    part1_bytes: int
    part2_bytes: int
    further_bytes: tuple[int, ...]
    load_ms: float
    coded_bytes: int | None = None
    """Of those that were delivered encoded; None without a coder."""
    computed: dict[str, Computed] = field(default_factory=dict)
    """Who computes the parts of each node."""


@dataclass
class _Cut:
    """A cut that is held on the nodes: its parts with their numbers, and what loading each said.

    Of several UEs all have theirs, ``counted`` are those of the first. ``opened`` says whether
    those that are delivered are open: since they came.
    """

    parts: dict[Placed, int]
    counted: Collection[Placed]
    fetchers: Collection[str]
    said: dict[Placed, nodes_pb2.Loaded]
    opened: bool
    coded_bytes: int | None = None

    @property
    def delivered(self) -> list[Placed]:
        """The parts of ``fetchers``, nodes that dial the one that cuts."""
        return [one for one in self.parts if one[0] in self.fetchers]


class Parts:
    """Loads cuts on a pair; with delivery, parts cross every link that is measured.

    A cut stays open while there is room, and the one used longest ago makes room for another.
    Coming back to one that is open costs a run of its parts.
    ``known`` is what codecs are told of calibration frames, ``pacing`` how fast UEs run what is
    loaded. Every method raises NodeError.
    """

    def __init__(self, pair: Pair, model: SweptModel, config: SweepConfig) -> None:
        self._pair = pair
        self._model = model
        self._config = config
        threads = {"ue": config.ue_threads, "edge": config.edge_threads}
        self._loader = Loader(pair, model, {name: threads[kind_of(name)] for name in pair.nodes})
        self._loader.coder = config.part_coder
        self.known = Known()
        self.pacing = Pacing(pair, model)
        self.batch_off: float | None = None
        """How far parts that run frames together are off from each alone, as assigned last."""
        self._held: dict[Loading, _Cut] = {}
        """The one used longest ago comes first."""
        self._cuts: Loading | None = None
        self._assigned: dict[str, int] = {}
        """The number of each configuration's assignment, by its key."""
        self._numbers = 0
        self._delivered_ms: dict[tuple[Loading, tuple[LinkSpec, ...]], float] = {}

    @property
    def room(self) -> int:
        """How many cuts may be held at once: both parts of one are about the whole model."""
        nodes = [node.says for node in self._pair.nodes.values()]
        fit = HELD_BYTES // max(self._model.file_bytes, 1)
        fit = min(fit, *(node.sessions - SPARE_SESSIONS for node in nodes))
        # the edge has a part of each split that UEs have of their own
        splits = {own.split for own in crowds(self._config)[-1]}
        return max(1, fit // max(1, len(splits)))

    def forget(self) -> None:
        """Nothing is held any more: the nodes were restarted."""
        self._held.clear()
        self.pacing.forget()
        self._cuts = None

    @property
    def loaded(self) -> LoadedParts:
        """Those of the cut that was loaded last."""
        assert self._cuts is not None
        cut, nbytes = self._cut, Counter[int]()
        for placed in cut.counted:
            nbytes[cut.parts[placed]] += cut.said[placed].part_bytes
        one, two, *more = (nbytes[number] for number in range(1, len(self._cuts[0]) + 2))
        load_ms = max(cut.said[placed].load_ms for placed in cut.parts)
        return LoadedParts(one, two, tuple(more), load_ms, cut.coded_bytes, self._computed())

    def _computed(self) -> dict[str, Computed]:
        cut, parts = self._cut, defaultdict[str, list[Computed]](list)
        for placed in cut.counted:
            said = cut.said[placed]
            shares = (Share(one.provider, one.nodes, tuple(one.ops)) for one in said.used)
            off = said.provider_off if said.HasField("provider_off") else None
            parts[placed[0]].append(Computed("", tuple(shares), off, dict(said.types)))
        nodes = self._pair.nodes
        return {name: together(nodes[name].says.provider, of) for name, of in parts.items()}

    @property
    def delivered_bytes(self) -> int:
        """Of the parts that are delivered."""
        return sum(self._cut.said[one].part_bytes for one in self._cut.delivered)

    @property
    def _cut(self) -> _Cut:
        assert self._cuts is not None
        return self._held[self._cuts]

    def load(self, asked: Configuration) -> None:
        """Have its cut open on all nodes: cut and load it, unless it is held."""
        if asked.loading in self._held:
            self._held[asked.loading] = self._held.pop(asked.loading)
            self._cuts = asked.loading
            return
        self._cuts = None
        while len(self._held) >= self.room:
            del self._held[next(iter(self._held))]
        beside = [*self._held.values()]
        self._held[asked.loading] = self._loaded(asked, beside, self._config.delivery)
        self._cuts = asked.loading

    def _loaded(self, asked: Configuration, beside: Sequence[_Cut], delivery: bool) -> _Cut:
        first, *others = map(_parts, asked.each)
        parts = dict(first)
        for other in others:
            parts |= other
        fetched = [one for one in parts if delivery and one[0] in self._pair.fetchers]
        said = self._loader.load([*parts], self._config.warmup, _parts_of(beside), fetched)
        coded = [one.bytes for part in fetched if part in first for one in said[part].coded]
        coded_bytes = sum(coded) if self._loader.coder and delivery else None
        return _Cut(parts, first, self._pair.fetchers, said, not delivery, coded_bytes)

    def warm(self) -> None:
        """Come back to the cut that was loaded last, and run its parts as warm-up says.

        Right before its frames: caches are cold again once its link was proved.
        """
        for placed in self._cut.parts:
            self._loader.warm(placed, self._config.warmup)

    def hold(self, every: Sequence[Configuration]) -> None:
        """Have the cuts of them all open at once, each with its codecs, without delivery.

        Raises UsageError where parts are to be delivered in a coder.
        """
        if coder := self._config.part_coder:
            raise UsageError(
                f"--part-coder {coder} codes parts that are delivered, and here none are: leave it"
            )
        self._held.clear()
        self._cuts = None
        self._assigned.clear()
        held: dict[Loading, _Cut] = {}
        for asked in every:
            if asked.loading not in held:
                held[asked.loading] = self._loaded(asked, [*held.values()], delivery=False)
            # who chooses among them knows what each takes beside a link that carries all of it
            self.assign(asked, keep=[*self._assigned.values()], whole=True)

    def deliver(self, *links: LinkSpec, timeout_s: float) -> float | None:
        """Send parts to their nodes over links as they are now, and open them unless they are held.

        How long they took to come, in ms; None without delivery. Of several UEs all fetch theirs at
        once, until the last has it. A link that they have crossed already is not taken twice,
        unless they are open no more: codec, pace and block change nothing.
        """
        if not self._config.delivery or self._cuts is None:
            return None
        cut, crossing = self._cut, (self._cuts, links)
        if cut.opened and crossing in self._delivered_ms:
            return self._delivered_ms[crossing]
        own = [[one for one in cut.delivered if one[0] == name] for name in self._pair.ues]
        took_ms = max(at_once(self._fetched, own or [cut.delivered], timeout_s))
        cut.opened = True
        self._delivered_ms[crossing] = took_ms
        return took_ms

    def _fetched(self, parts: Sequence[Placed], timeout_s: float) -> float:
        took_ms = 0.0
        for placed in parts:
            took_ms += self._loader.deliver(placed, timeout_s).receive_ms
            if not self._cut.opened:
                self._cut.said[placed] = self._opened(placed)
        return took_ms

    def _opened(self, placed: Placed) -> nodes_pb2.Loaded:
        beside = _parts_of([cut for cut in self._held.values() if cut.opened])
        return self._loader.open(placed[0], self._config.warmup, beside)

    def assign(
        self,
        asked: Configuration,
        keep: Sequence[int] = (),
        *,
        clients: bool = False,
        whole: bool = False,
    ) -> None:
        """Tell all nodes what to do with its frames, codecs as new; `keep` other assignments.

        With `clients` the UE takes theirs, too, until another is assigned. Frames are encoded
        `whole` before they are sent, or, where there is much of them, meanwhile.
        """
        keep, offs = [*keep], list[float | None]()
        for one in asked.each:
            first = self._numbers + 1
            how = {"clients": clients, "whole": whole}
            ways = assignment_messages(first, one, self._model, self.known, **how)
            self._numbers += len(ways)
            offs.append(self._pair.ways.assign(ways, keep, self._config.edge_work))
            kept = {key: number for key, number in self._assigned.items() if number in keep}
            self._assigned = kept | {one.key: ways[0].number}
            keep.append(ways[0].number)
        self.batch_off = max((off for off in offs if off is not None), default=None)

    def assignment(self, asked: Configuration) -> int:
        """The number of what nodes do with its frames, those of one UE: of the first way."""
        return self._assigned[asked.key]


def _parts(asked: Configuration) -> dict[Placed, int]:
    """Those of a UE and the edge, with their numbers."""
    # one of no layers says what crosses there; its delivery takes what every delivery takes
    return {
        (asked.node(one.node), one.span): one.part
        for one in chain(*asked.itineraries)
        if one.part and (one.first < one.last or one.last < asked.n)
    }


def _parts_of(cuts: Sequence[_Cut]) -> list[Placed]:
    return [one for cut in cuts for one in cut.parts]
