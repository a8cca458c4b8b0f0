"""What a plan knows of a model besides its profile: what crosses each cut, and coding it.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result      here, without a link

They are kept in the plan's folder: a plan of the same model can be made from them at once.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.measure.accuracy import Judge, check_classes
from orchestrator.measure.calibration import calibrate
from orchestrator.offline.rd import cuts_to_calibrate, plan
from orchestrator.results.profile import Profile
from orchestrator.testbed.local import LocalModel
from splitbed.checked import Frozen
from splitbed.codecs import codec_named
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import UsageError
from splitbed.graphs.mincut import Dag, dag_of
from splitbed.graphs.parts import extract
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors

FACTS_FILE = "facts.json"
ROUNDS, FRAMES = 5, 3
PAUSE_S = 0.02
"""Before each work that is timed: a node waits for its turn, and caches are cold then."""
ASKED = (
    "model", "weights", "width", "runtime", "shape", "seed", "task", "input", "split", "codec",
    "input_codec", "calibration",
)  # fmt: skip
"""What facts depend on."""

Made = TypeVar("Made")


class Option(Frozen):
    """What a configuration sends, and what coding that takes on a UE at its own pace."""

    configuration: Configuration
    encoded_bytes: int = 0
    encode_ms: float = 0.0
    decode_ms: float = 0.0
    accuracy_drop: float | None = None


class Facts(Frozen):
    """Of one model and its frames; `dag` is of the profile's layers."""

    asked: dict[str, object]
    model: str
    weights: str
    sha256: str
    frames: tuple[str, ...]
    result_ms: float
    result_bytes: int
    options: tuple[Option, ...]
    dag: Dag

    def answer(self, config: SweepConfig) -> bool:
        """Whether they are what `config` asks for, of the very same model."""
        file = Path(config.model)
        return self.asked == _asked(config) and (
            not file.is_file() or self.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
        )


def _asked(config: SweepConfig) -> dict[str, object]:
    told = config.model_dump(mode="json")
    return {name: told[name] for name in ASKED}


def read_facts(folder: Path) -> Facts | None:
    """Those that an earlier plan left in its folder; None where there are none to be read."""
    try:
        return Facts.model_validate_json((folder / FACTS_FILE).read_text())
    except (OSError, ValueError):
        return None


def take_facts(
    config: SweepConfig, local: LocalModel, profile: Profile, note: Callable[[str], None]
) -> Facts:
    """Code what crosses at each split, here. Raises UsageError for codecs that cannot be."""
    model, told = local.model, local.model.facts
    check_classes(model)
    setups = plan(config, local)
    places = [cut.k for cut in profile.cuts]
    sizes = {cut.k: cut.intermediate_bytes for cut in profile.cuts}
    if profile.n != model.graph.n or any(
        sizes.get(setup.k) != model.graph.cuts[setup.k].nbytes for setup in setups
    ):
        raise UsageError(
            f"the profile is of another model: it has {profile.n} layers, {model.name} has "
            f"{model.graph.n}; give a profile of this one, or none"
        )
    needing = cuts_to_calibrate(setups)
    ranges = calibrate(config, model, needing, note=note).ranges if needing else {}
    bench = _Bench(local, ranges)
    note(f"coding what crosses, at {len(setups)} splits and codecs")
    options = [bench.option(setup) for setup in setups]
    bench.close()
    n = model.graph.n
    device = Option(configuration=Configuration(n, n, DEVICE_ANCHOR, NOTHING))
    return Facts(
        asked=_asked(config),
        model=model.name,
        weights=told.weights,
        sha256=told.sha256 or "",
        frames=tuple(one.name for one in bench.inputs),
        result_ms=bench.result_ms,
        result_bytes=bench.result_bytes,
        options=(*options, device),
        dag=dag_of(model.graph, places),
    )


@dataclass
class _Parts:
    """Both parts of one cut, open, and what crosses it of every frame."""

    k: int
    part1: PartSession
    part2: PartSession
    crossing: list[Tensors]


class _Bench:
    """Measures options on one model; the parts of the last cut stay open."""

    def __init__(self, local: LocalModel, ranges: Mapping[str, Range]) -> None:
        self._local, self._model, self._ranges = local, local.model, ranges
        self._parts: _Parts | None = None
        self.inputs = self._model.inputs[:FRAMES]
        with local.whole() as session:
            outputs = [session.run(one.tensors) for one in self.inputs]
        result_of = self._model.info.result_of
        whole = [result_of(one) for one in outputs]
        timed = [_timed(result_of, one)[1] for _ in range(ROUNDS) for one in outputs]
        self.result_ms = statistics.median(timed)
        self.result_bytes = round(statistics.mean(_nbytes(one) for one in whole))
        self._judge = Judge(self._model, whole)

    def close(self) -> None:
        """Close the parts that are open."""
        if self._parts:
            self._parts.part1.close()
            self._parts.part2.close()

    def option(self, setup: Configuration) -> Option:
        """What the codec makes of every frame at this cut."""
        parts = self._at(setup.k)
        codec = codec_named(setup.codec)
        encode_ms: list[float] = []
        decode_ms: list[float] = []
        sizes: list[int] = []
        decoded: dict[int, Tensors] = {}
        picture = self._model.recipe if setup.k == 0 else None
        setting = Setting(self._ranges, self._model.channels_last, picture)
        tensors = self._model.graph.cuts[setup.k].tensors
        encoder, decoder = (codec.bind(tensors, setting) for _ in range(2))
        # a codec that knows the frame before would find each the same as that
        for _ in range(1 if codec.sequential else ROUNDS):
            for place, crossing in enumerate(parts.crossing):
                encoded, took_ms = _timed(encoder.encode, crossing)
                encode_ms.append(took_ms)
                sizes.append(_nbytes(encoded))
                decoded[place], took_ms = _timed(decoder.decode, encoded)
                decode_ms.append(took_ms)
        return Option(
            configuration=setup,
            encoded_bytes=round(statistics.mean(sizes)),
            encode_ms=statistics.median(encode_ms),
            decode_ms=statistics.median(decode_ms),
            accuracy_drop=0.0 if codec.lossless else self._drop(parts, decoded),
        )

    def _drop(self, parts: _Parts, decoded: Mapping[int, Tensors]) -> float | None:
        result_of = self._model.info.result_of
        results = {place: result_of(parts.part2.run(one)) for place, one in decoded.items()}
        whole, judged = self._judge.whole.value, self._judge.judge(results).value
        return None if whole is None or judged is None else whole - judged

    def _at(self, k: int) -> _Parts:
        if self._parts is None or self._parts.k != k:
            self.close()
            part1, part2 = map(self._local.session, extract(self._model.stored, k))
            crossing = [part1.run(one.tensors) for one in self.inputs]
            self._parts = _Parts(k, part1, part2, crossing)
        return self._parts


def _timed(work: Callable[[Tensors], Made], given: Tensors) -> tuple[Made, float]:
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    made = work(given)
    return made, (time.perf_counter() - start) * 1e3


def _nbytes(tensors: Tensors) -> int:
    return sum(array.nbytes for array in tensors.values())
