"""What a plan knows of a model besides its profile: what crosses each cut, and coding it.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result      here, without a link

They are kept in the plan's folder: a plan of the same model can be made from them at once.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.split_point import DEVICE_ANCHOR, NOTHING
from orchestrator.ask.sweep_config import SweepConfig
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.calibration import calibrate
from orchestrator.measure.coded import AccuracySet
from orchestrator.offline.rd import cuts_to_calibrate, plan
from orchestrator.results.profile import Profile
from orchestrator.results.records import Accuracy
from orchestrator.testbed.local import LocalModel
from splitbed.checked import Frozen
from splitbed.codecs import RAW, codec_named
from splitbed.codecs.stage import Range
from splitbed.errors import UsageError
from splitbed.graphs.mincut import Dag, dag_of
from splitbed.graphs.parts import extract
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
    accuracy_drop_low: float | None = None
    accuracy_drop_high: float | None = None


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
    config: SweepConfig,
    local: LocalModel,
    profile: Profile,
    note: Callable[[str], None],
    *,
    judge: bool = True,
) -> Facts:
    """Code what crosses at each split, here, and `judge` what that costs in accuracy.

    Raises UsageError for codecs that cannot be.
    """
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
    accuracies: dict[Configuration, Accuracy] = {}
    if judge and any(not setup.lossless for setup in setups):
        coded = AccuracySet(config, model, lambda: None, note).coded(setups, ranges)
        accuracies = {setup: one.accuracy for setup, one in coded}
    bench = _Bench(local, ranges)
    note(f"coding what crosses, at {len(setups)} splits and codecs")
    options = [bench.option(setup, accuracies.get(setup)) for setup in setups]
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


class _Bench:
    """Measures options on one model; what crosses the last cut is held."""

    def __init__(self, local: LocalModel, ranges: Mapping[str, Range]) -> None:
        self._local, self._model, self._ranges = local, local.model, ranges
        self._crossing: tuple[int, list[Tensors]] = (-1, [])
        self.inputs = self._model.inputs[:FRAMES]
        with local.whole() as session:
            outputs = [session.run(one.tensors) for one in self.inputs]
        result_of = self._model.info.result_of
        whole = [result_of(one) for one in outputs]
        timed = [_timed(result_of, one)[1] for _ in range(ROUNDS) for one in outputs]
        self.result_ms = statistics.median(timed)
        self.result_bytes = round(statistics.mean(_nbytes(one) for one in whole))

    def option(self, setup: Configuration, judged: Accuracy | None) -> Option:
        """What the codec makes of every frame at this cut; raw data is sent as it is."""
        if setup.codec == RAW and (nbytes := self._model.graph.cuts[setup.k].nbytes) > 0:
            return Option(configuration=setup, encoded_bytes=nbytes, accuracy_drop=0.0)
        codec = codec_named(setup.codec)
        encode_ms: list[float] = []
        decode_ms: list[float] = []
        sizes: list[int] = []
        encoder, decoder = (self._model.coder(setup, self._ranges) for _ in range(2))
        # a codec that knows the frame before would find each the same as that
        for _ in range(1 if codec.sequential else ROUNDS):
            for crossing in self._crossing_at(setup.k):
                encoded, took_ms = _timed(encoder.encode, crossing)
                encode_ms.append(took_ms)
                sizes.append(_nbytes(encoded))
                _, took_ms = _timed(decoder.decode, encoded)
                decode_ms.append(took_ms)
        return Option(
            configuration=setup,
            encoded_bytes=round(statistics.mean(sizes)),
            encode_ms=statistics.median(encode_ms),
            decode_ms=statistics.median(decode_ms),
            accuracy_drop=0.0 if codec.lossless else judged.drop if judged else None,
            accuracy_drop_low=judged.drop_low if judged else None,
            accuracy_drop_high=judged.drop_high if judged else None,
        )

    def _crossing_at(self, k: int) -> list[Tensors]:
        """What crosses the cut of every frame."""
        if self._crossing[0] != k:
            part1, rest = extract(self._model.stored, k)
            rest.remove()
            with self._local.session(part1) as session:
                self._crossing = k, [session.run(one.tensors) for one in self.inputs]
        return self._crossing[1]


def _timed(work: Callable[[Tensors], Made], given: Tensors) -> tuple[Made, float]:
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    made = work(given)
    return made, (time.perf_counter() - start) * 1e3


def _nbytes(tensors: Tensors) -> int:
    return sum(array.nbytes for array in tensors.values())
