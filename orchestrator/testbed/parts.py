"""What is loaded on the pair: part 2 on the edge, part 1 brought to the UE and opened there.

Beside them the codec that both nodes use, and the pace of the UE.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from netem.spec import LinkSpec
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.pair import Pair
from splitbed.codecs.stage import Range
from splitbed.v1 import nodes_pb2
from splitbed.wire import recipe_message

HELD_BYTES = 1 << 30
"""Model files of cuts that are open at once; runtimes take about as much again for each."""
SPARE_SESSIONS = 2
"""Of a node's, for what it runs beside the parts: the whole model."""


@dataclass(frozen=True)
class LoadedParts:
    """Both parts' files, and how long the slower node took to open its own and warm it up."""

    part1_bytes: int
    part2_bytes: int
    load_ms: float


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


@dataclass
class _Cut:
    """A cut that is held on the nodes, by the UE since part 1 was delivered to it."""

    loaded: LoadedParts
    opened: bool


class Parts:
    """Loads cuts on a pair; with delivery, part 1 crosses every link that is measured.

    A cut stays open while there is room, and the one used longest ago makes room for another.
    Coming back to one that is open costs a run of its parts.
    ``ranges`` are those of the calibration, ``full_ms`` what the UE takes for the whole model.
    Every method raises NodeError.
    """

    def __init__(self, pair: Pair, model: SweptModel, config: SweepConfig) -> None:
        self._pair = pair
        self._model = model
        self._config = config
        self.ranges: Mapping[str, Range] = {}
        self.full_ms: float | None = None
        self._held: dict[int, _Cut] = {}
        """The one used longest ago comes first."""
        self._layers: int | None = None
        self._delivered_ms: dict[tuple[int, LinkSpec], float] = {}
        self._slowed: dict[tuple[int | None, Pace], Slowed] = {}
        """By the cut; those of all that are held for frames by turns have one, None."""

    @property
    def room(self) -> int:
        """How many cuts may be held at once: both parts of one are about the whole model."""
        nodes = (self._pair.ue, self._pair.edge)
        fit = HELD_BYTES // max(self._model.file_bytes, 1)
        return max(1, min(fit, *(node.sessions - SPARE_SESSIONS for node in nodes)))

    def forget(self) -> None:
        """Nothing is held any more: the nodes were restarted."""
        self._held.clear()
        self._slowed.clear()
        self._layers = None

    @property
    def loaded(self) -> LoadedParts:
        """Those of the cut that was loaded last."""
        return self._cut.loaded

    @property
    def _cut(self) -> _Cut:
        assert self._layers is not None
        return self._held[self._layers]

    def load(self, layers: int) -> None:
        """Have the cut open on both nodes: cut and load it, unless it is held."""
        if layers in self._held:
            self._held[layers] = self._held.pop(layers)
            self._layers = layers
            return
        warmup, threads = self._config.warmup, (self._config.ue_threads, self._config.edge_threads)
        self._layers = None
        while len(self._held) >= self.room:
            del self._held[next(iter(self._held))]
        keep = [*self._held]
        if self._config.delivery:
            edge = self._pair.load_edge(layers, threads=threads[1], warmup=warmup, keep=keep)
            loaded = LoadedParts(edge.part1_bytes, edge.part_bytes, edge.load_ms)
            self._held[layers] = _Cut(loaded, opened=False)
        else:
            ue, edge = self._pair.load(layers, threads=threads, warmup=warmup, keep=keep)
            took_ms = max(ue.load_ms, edge.load_ms)
            loaded = LoadedParts(edge.part1_bytes, edge.part_bytes, took_ms)
            self._held[layers] = _Cut(loaded, opened=True)
        self._layers = layers

    def warm(self) -> None:
        """Come back to the cut that was loaded last, and run both parts as warm-up says.

        Right before its frames: caches are cold again once its link was proved.
        """
        assert self._layers is not None
        self._pair.use_part(self._layers, self._config.warmup)

    def hold(self, every: Sequence[Configuration]) -> None:
        """Have the cuts of them all open at once, each with its codecs, without delivery."""
        self._held.clear()
        self._layers = None
        threads = (self._config.ue_threads, self._config.edge_threads)
        held: dict[int, list[str]] = {}
        for one in every:
            if one.k not in held:
                keep = [*held]
                self._pair.load(one.k, threads=threads, warmup=self._config.warmup, keep=keep)
            codecs = held.setdefault(one.k, [])
            if one.crosses:
                self.use_codec(one, keep=codecs)
                codecs.append(one.codec)

    def deliver(self, link: LinkSpec, timeout_s: float) -> float | None:
        """Send part 1 to the UE over the link as it is now, and open it there unless it is held.

        How long it took to come, in ms; None without delivery. A link that it has crossed already
        is not taken twice, unless it is open no more: codec, pace and block change nothing.
        """
        if not self._config.delivery or self._layers is None:
            return None
        cut, crossing = self._cut, (self._layers, link)
        if cut.opened and crossing in self._delivered_ms:
            return self._delivered_ms[crossing]
        received = self._pair.receive_part(self._layers, timeout_s)
        if not cut.opened:
            keep = [layers for layers, held in self._held.items() if held.opened]
            ue = self._pair.open_part(self._config.ue_threads, self._config.warmup, keep)
            cut.loaded = replace(cut.loaded, load_ms=max(ue.load_ms, cut.loaded.load_ms))
            cut.opened = True
        self._delivered_ms[crossing] = received.receive_ms
        return received.receive_ms

    def use_codec(self, asked: Configuration, keep: Sequence[str] = ()) -> None:
        """Let both nodes use its codec, as new; of the cut's others only those to `keep`."""
        picture = self._model.recipe if asked.k == 0 else None
        self._pair.use_codec(
            nodes_pb2.CodecRequest(
                codec=asked.codec,
                layers=asked.k,
                keep=keep,
                channels_last=self._model.channels_last,
                picture=recipe_message(picture) if picture else None,
                ranges=[
                    nodes_pb2.ChannelRanges(
                        tensor=tensor.name,
                        low=self.ranges[tensor.name].low.tolist(),
                        high=self.ranges[tensor.name].high.tolist(),
                    )
                    for tensor in self._model.graph.cuts[asked.k].tensors
                    if tensor.name in self.ranges
                ],
            )
        )

    @contextmanager
    def paced(self, pace: Pace) -> Iterator[Slowed]:
        """Slow the UE for what happens inside; gives what that was measured to do to part 1.

        Raises UsageError for a device that the UE cannot stand in for.
        """
        if not pace.limits:
            yield Slowed()
            return
        of = self._layers, pace
        if slowed := self._slowed.get(of):
            # the same for every codec and link, or their rows could not be compared
            again = nodes_pb2.LimitRequest(cpus=slowed.ue_cpus or 0, slowdown=slowed.stretch or 0)
            self._pair.limit_ue(again, pace.most)
        else:
            self._slowed[of] = self._measured(pace)
        try:
            yield self._slowed[of]
        finally:
            self._pair.limit_ue(nodes_pb2.LimitRequest(slowdown=1), 1)

    def _measured(self, pace: Pace) -> Slowed:
        request = pace.request(self._model.facts.macs or 0, self.full_ms)
        request.measure = True
        limited = self._pair.limit_ue(request, max(pace.most, request.slowdown))
        return Slowed(
            ue_cpus=limited.cpus if limited.HasField("cpus") else None,
            stretch=limited.stretch if limited.HasField("stretch") else None,
            ue_slowdown=limited.limited_ms / limited.full_ms if limited.full_ms else None,
            asked=request.slowdown or None,
        )
