"""Rate, accuracy and latency of codecs at the splits of a model, computed here, without a link.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result     for each split and codec

A codec that has a quality stands, where none is given, for a ladder of them: a curve. Accuracy is
that of the frames of all videos together, each of which is coded by itself. Node times
are measured in this process; what the link would add is computed, so latencies are bounds.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from netem.spec import LinkSpec
from netem.wire import wire_ms
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy import Judge, Judged
from orchestrator.measure.dials.finding import find_dials
from orchestrator.offline.curves import curve_of, expanded
from orchestrator.offline.pool import Pool
from orchestrator.results.records import Accuracy
from orchestrator.testbed.local import Ends, LocalModel
from orchestrator.testbed.model import Known
from splitbed.codecs import codec_named
from splitbed.errors import SplitbedError
from splitbed.graphs.parts import extract
from splitbed.metrics.resampling import mean_of
from splitbed.tensors import Tensors, nbytes_of

TIMED = ("part1_ms", "encode_ms", "decode_ms", "part2_ms", "result_ms")
POINT_COLUMNS = (
    "split", "split_name", "codec", "curve", "videos", "frames", "intermediate_bytes",
    "kbit_per_frame", "bitrate_mbit", "accuracy_metric", "accuracy", "accuracy_drop", *TIMED,
)  # fmt: skip


@dataclass(frozen=True)
class RatePoint:
    """What a configuration came to; times are medians, ``error`` says why there is nothing.

    ``plain_bytes`` is what crosses as it is. ``again`` has the rate and the accuracy of each
    resample of the pictures, in the order of :attr:`orchestrator.offline.pool.Pool.drawn`.
    """

    configuration: Configuration
    frames: int = 0
    kbit_per_frame: float = 0.0
    result_bytes: float = 0.0
    accuracy: Accuracy | None = None
    drop: float | None = None
    times: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    plain_bytes: int = 0
    videos: int = 1
    again: Sequence[tuple[float, float]] = ()

    @property
    def value(self) -> float | None:
        """Its accuracy; None where there is none."""
        return self.accuracy.value if self.accuracy else None

    @property
    def crosses(self) -> bool:
        """Whether anything crosses the link."""
        return self.configuration.crosses

    def bound_ms(self, link: LinkSpec) -> float:
        """The least that a frame takes over the link, at the median times and the mean sizes.

        No path is measured here: its MTU is taken to be 1500.
        """
        on_nodes = sum(self.times.values())
        if not self.crosses:
            return on_nodes
        up = wire_ms(round(self.kbit_per_frame * 125), link.uplink)
        return on_nodes + up + wire_ms(round(self.result_bytes), link.downlink)

    def row(self, links: Sequence[LinkSpec], fps: float) -> dict[str, object]:
        """With :data:`POINT_COLUMNS`, a bound for every link, and the error."""
        told: dict[str, object] = {
            "split": self.configuration.split,
            "split_name": self.configuration.split_name,
            "codec": self.configuration.codec,
            "curve": curve_of(self.configuration) if self.crosses else "",
            "videos": self.videos,
            "frames": self.frames,
        }
        if not self.error:
            told |= {
                "intermediate_bytes": self.plain_bytes,
                "kbit_per_frame": self.kbit_per_frame,
                "bitrate_mbit": self.kbit_per_frame * fps / 1e3,
                "accuracy_metric": self.accuracy.metric if self.accuracy else None,
                "accuracy": self.value,
                "accuracy_drop": self.drop,
                **self.times,
                **{bound_column(link, links): self.bound_ms(link) for link in links},
            }
        return told | {"error": self.error}


def bound_column(link: LinkSpec, links: Sequence[LinkSpec]) -> str:
    """``bound_ms_at_20`` for 20 Mbit/s; the link in words where several have this rate."""
    rates = [other.uplink.rate_mbit for other in links]
    rate = link.uplink.rate_mbit
    return f"bound_ms_at_{f'{rate:g}' if rates.count(rate) == 1 else link.words}"


def plan(
    config: SweepConfig, local: LocalModel, note: Callable[[str], None] = lambda _: None
) -> list[Configuration]:
    """The input's codecs, then those of every split; what a target asks for besides ladders.

    Raises UsageError for what cannot be named.
    """
    config.only_fp32("codecs are held against each other on the model as it is")
    asked = {0: config.input_codec, local.model.graph.n: config.output_codec}

    def setups(codecs: Callable[[int], Sequence[str]]) -> list[Configuration]:
        return [one for one in configurations(config, local.model, codecs) if one.coding]

    def named(cut: int) -> list[str]:
        return [codec_named(name).name for name in asked.get(cut, config.codec)]

    def codecs(cut: int) -> list[str]:
        own = named(cut)
        return list(dict.fromkeys([*expanded(own), *(steps.get((cut, one), one) for one in own)]))

    steps: Mapping[tuple[int, str], str] = {}
    if config.target is None:
        return setups(lambda cut: expanded(named(cut)))
    steps = find_dials(config, local.model, setups(named), note).steps
    return setups(codecs)


class Bench:
    """Measures setups on one model, whose whole results are had once."""

    def __init__(self, config: SweepConfig, local: LocalModel, pool: Pool | None = None) -> None:
        self._local = local
        self._pool = pool or Pool(local, (len(local.model.inputs),))
        self._model = local.model
        self._warmup = config.warmup
        taken, shared = _Taken(), _Taken()
        with local.whole() as session:
            session.warm(self._warmup)
            for one in self._model.inputs:
                outputs = shared.timed("part1_ms", session.run, one.tensors)
                taken.end(0, shared.timed("result_ms", self._model.info.result_of, outputs))
        self._judge = Judge(self._model, dict(enumerate(taken.results)))
        self._result_ms = shared.ms["result_ms"]  # the same work at every cut
        n = self._model.graph.n
        self.whole = self._point(Configuration(n, n, DEVICE_ANCHOR, NOTHING), taken, shared)

    def points(self, setups: Sequence[Configuration], known: Known) -> Iterator[RatePoint]:
        """A point of each, in order of the cuts; those of one cut share the times of its parts."""
        for k in dict.fromkeys(setup.k for setup in setups):
            here = [_Measured(setup) for setup in setups if setup.k == k]
            shared = self._measure(k, here, known)
            for one in here:
                yield one.failed or self._point(one.setup, one.taken, shared)

    def _measure(self, k: int, here: Sequence["_Measured"], known: Known) -> "_Taken":
        """Run every frame through part 1 once, then through each codec and part 2.

        What the parts took, whose work is the same whatever the codec.
        """
        shared = _Taken()
        part1, part2 = map(self._local.session, extract(self._model.stored, k))
        with part1, part2:
            part1.warm(self._warmup)
            part2.warm(self._warmup, part1.run(self._model.inputs[0].tensors))
            for place, frame in enumerate(self._model.inputs):
                crossing: Tensors | None = None
                for one in here:
                    if place in self._pool.starts:
                        self._begin(k, one, known)
                    if one.failed:
                        continue
                    with one.failing(f"at {frame.name}: "):
                        if crossing is None:
                            crossing = shared.timed("part1_ms", part1.run, frame.tensors)
                        crossed = one.ends.cross(crossing)
                        outputs = shared.timed("part2_ms", part2.run, crossed.decoded)
                        one.taken.plain_bytes = nbytes_of(crossing)
                        one.taken.add("encode_ms", crossed.encode_ms)
                        one.taken.add("decode_ms", crossed.decode_ms)
                        one.taken.end(crossed.nbytes, self._model.info.result_of(outputs))
        return shared

    def _begin(self, k: int, one: "_Measured", known: Known) -> None:
        """New coders: a video is coded without what is known of the one before."""
        if not one.failed:
            with one.failing():
                one.ends = Ends(self._model, k, one.setup.codec, known)

    def _point(self, setup: Configuration, taken: "_Taken", shared: "_Taken") -> RatePoint:
        judged = self._judge.judged(dict(enumerate(taken.results)))
        value = judged.accuracy.value
        whole = value if setup.codec == NOTHING else self.whole.value
        took = taken.ms | shared.ms | {"result_ms": self._result_ms}
        return RatePoint(
            setup,
            frames=len(taken.results),
            plain_bytes=taken.plain_bytes,
            kbit_per_frame=statistics.mean(taken.sizes) * 8 / 1e3,
            result_bytes=statistics.mean(nbytes_of(result) for result in taken.results),
            accuracy=judged.accuracy,
            drop=None if whole is None or value is None else whole - value,
            times={stage: statistics.median(took.get(stage, [0.0])) for stage in TIMED},
            videos=len(self._pool.frames),
            again=self._again(judged, taken.sizes) if setup.crosses else (),
        )

    def _again(self, judged: Judged, sizes: Sequence[int]) -> Sequence[tuple[float, float]]:
        drawn = self._pool.drawn
        values = None if drawn is None else judged.resampled(drawn)
        if drawn is None or values is None:
            return ()
        kbit = mean_of(np.array(sizes, np.float64) * 8 / 1e3, drawn)
        return list(zip(kbit.tolist(), values.tolist(), strict=True))


class _Taken:
    """What frames took and gave."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {}
        self.results: list[Tensors] = []
        self.sizes: list[int] = []
        self.plain_bytes = 0

    def timed(self, stage: str, work: Callable[[Tensors], Tensors], given: Tensors) -> Tensors:
        start = time.perf_counter()
        made = work(given)
        self.add(stage, (time.perf_counter() - start) * 1e3)
        return made

    def add(self, stage: str, ms: float) -> None:
        self.ms.setdefault(stage, []).append(ms)

    def end(self, nbytes: int, result: Tensors) -> None:
        self.sizes.append(nbytes)
        self.results.append(result)


class _Measured:
    """A codec at a cut while it is measured; `failed` says at which frame it ended, and why."""

    def __init__(self, setup: Configuration) -> None:
        self.setup = setup
        self.taken = _Taken()
        self.failed: RatePoint | None = None
        self.ends: Ends

    @contextmanager
    def failing(self, where: str = "") -> Iterator[None]:
        """What goes wrong ends this codec and leaves the others."""
        try:
            yield
        except SplitbedError as error:
            frames = len(self.taken.results)
            self.failed = RatePoint(self.setup, frames, error=f"{where}{error}")
