"""What a plan knows of a model besides its profile: what crosses each cut, and coding it.

    frame ──> part 1 ──> encode ──> decode ──> part 2 ──> result      here, without a link

They are kept in the plan's folder: a plan of the same model can be made from them at once.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.flow import UPLINK
from orchestrator.ask.itinerary import crossings
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy import check_classes
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.measure.calibration import calibrate
from orchestrator.offline.rd import plan
from orchestrator.results.profile import Profile
from orchestrator.results.records import Accuracy
from orchestrator.testbed.inputs import ModelInput
from orchestrator.testbed.local import Ends, LocalModel
from orchestrator.testbed.model import Known, SweptModel
from splitbed.checked import Frozen
from splitbed.codecs import RAW, codec_named
from splitbed.codecs.releases import Release, encoding_ms
from splitbed.errors import UsageError
from splitbed.flow import Itinerary
from splitbed.graphs.mincut import Dag, dag_of
from splitbed.graphs.parts import extract
from splitbed.tensors import Tensors, nbytes_of

FACTS_FILE = "facts.json"
ROUNDS, FRAMES = 5, 3
SEQUENCE = 30
"""Frames, at most, of a codec that knows the one before: the first is larger than the others."""
PAUSE_S = 0.02
"""Before each work that is timed: a node waits for its turn, and caches are cold then."""
ASKED = (
    "model", "weights", "width", "runtime", "shape", "seed", "task", "input", "split", "codec",
    "input_codec", "target_drop", "target_kbit", "calibration", "flow", "heads", "private_layers",
)  # fmt: skip
"""What facts depend on."""


class Coded(Frozen):
    """What crosses a cut, encoded, and what coding it takes on a node at its own pace.

    Encoding takes ``encode_ms`` until the first piece is there, and ``releases`` are the others.
    """

    nbytes: int = 0
    encode_ms: float = 0.0
    releases: tuple[Release, ...] = ()
    decode_ms: float = 0.0


@dataclass(frozen=True)
class Crossing:
    """A hop of a frame: what is coded for it, and the nodes that do so; None where results cross.

    Nobody encodes what is handed on as it came, or decodes what will be. ``releases`` are encoded
    while the first of it crosses.
    """

    hop: str
    coded: Coded | None = None
    encoder: str = ""
    decoder: str = ""
    releases: tuple[Release, ...] = ()


class Option(Frozen):
    """A configuration and what it has coded, of each cut of its `coding`."""

    configuration: Configuration
    coded: tuple[Coded, ...] = ()
    accuracy_drop: float | None = None
    accuracy_drop_low: float | None = None
    accuracy_drop_high: float | None = None

    @property
    def crossings(self) -> list[Crossing]:
        """Each hop, in order, way by way; what all are sent the first has encoded."""
        first, *others = self.ways
        besides = [[replace(way[0], encoder=""), *way[1:]] for way in others]
        return [one for way in (first, *besides) for one in way]

    @property
    def ways(self) -> list[list[Crossing]]:
        """Each hop on the way to each user, in order."""
        return [*map(self._way, self.configuration.itineraries)]

    def _way(self, stations: Itinerary) -> list[Crossing]:
        asked = self.configuration
        made = [one.result for one in stations].index(True)
        told = dict(zip(asked.coding, self.coded, strict=True))
        carried = [(one.last, one.gives) for one in stations[:made]]
        found = []
        for place, (hop, _) in enumerate(crossings(asked.flow, stations)):
            if place >= made:
                found.append(Crossing(hop))
                continue
            own = carried[place]
            sender, receiver = (one.node for one in stations[place : place + 2])
            handed_on = carried[place - 1 : place] == [own], carried[place + 1 : place + 2] == [own]
            both = zip(handed_on, (sender, receiver), strict=True)
            encoder, decoder = ("" if handed else node for handed, node in both)
            releases = told[own].releases if encoder else ()
            found.append(Crossing(hop, told[own], encoder, decoder, releases))
        return found

    @property
    def sent_bytes(self) -> int:
        """Input and intermediate data, over all hops."""
        return sum(one.coded.nbytes for one in self.crossings if one.coded)


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
        # earlier versions did not say these
        asked = dict.fromkeys(("target_drop", "target_kbit", "heads", "private_layers"))
        asked = asked | {"flow": UPLINK} | self.asked
        return asked == _asked(config) and (
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
    known: Known | None = None,
    *,
    judge: bool = True,
    setups: Sequence[Configuration] | None = None,
) -> Facts:
    """Code what crosses at each split, here, and `judge` what that costs in accuracy.

    Of each codec whose number is left open a ladder is coded, and what a target asks for, unless
    `setups` are given. Who does not judge, as a race, is in a hurry: each frame is coded once then.
    Codecs are calibrated unless what is `known` of them is given. Raises UsageError for codecs that
    cannot be.
    """
    model, told = local.model, local.model.facts
    check_classes(model)
    setups = plan(config, local, note) if setups is None else setups
    _check_profile(profile, model, {k for setup in setups for k, _ in setup.coding})
    if known is None:
        coding = [one for setup in setups for one in setup.coding]
        known = calibrate(config, model, coding, note=note).known
    accuracies: dict[Configuration, Accuracy] = {}
    if judge and any(not setup.lossless for setup in setups):
        coded = AccuracySet(config, model, lambda: None, note).coded(setups, known)
        accuracies = {setup: one.accuracy for setup, one in coded}
    bench = _Bench(local, known, ROUNDS if judge else 1)
    note(f"coding what crosses, at {len(setups)} splits and codecs")
    options = [bench.option(setup, accuracies.get(setup)) for setup in setups]
    uncoded = configurations(config, model, lambda _: [])
    return Facts(
        asked=_asked(config),
        model=model.name,
        weights=told.weights,
        sha256=told.sha256 or "",
        frames=tuple(one.name for one in bench.inputs),
        result_ms=bench.result_ms,
        result_bytes=bench.result_bytes,
        options=(*options, *(Option(configuration=one) for one in uncoded)),
        dag=dag_of(model.graph, [cut.k for cut in profile.cuts]),
    )


def _check_profile(profile: Profile, model: SweptModel, crossing: Collection[int]) -> None:
    n, sizes = model.graph.n, {cut.k: cut.intermediate_bytes for cut in profile.cuts}
    if profile.n != n or any(sizes.get(k) != model.graph.cuts[k].nbytes for k in crossing if k < n):
        raise UsageError(
            f"the profile is of another model: it has {profile.n} layers, {model.name} has "
            f"{n}; give a profile of this one, or none"
        )


class _Bench:
    """Measures options on one model; what crosses the last cut is held."""

    def __init__(self, local: LocalModel, known: Known, rounds: int) -> None:
        self._local, self._model, self._setting = local, local.model, known
        self._rounds = rounds
        self._crossing: dict[tuple[int, int], list[Tensors]] = {}
        self._known: dict[tuple[int, str], Coded] = {}
        self.inputs = self._model.inputs[:FRAMES]
        self._sequence = (*self._model.inputs, *self._model.others)[:SEQUENCE]
        with local.whole() as session:
            outputs = [session.run(one.tensors) for one in self.inputs]
        result_of = self._model.info.result_of
        whole = [result_of(one) for one in outputs]
        timed = [_took_ms(result_of, one) for _ in range(rounds) for one in outputs]
        self.result_ms = statistics.median(timed)
        self.result_bytes = round(statistics.mean(nbytes_of(one) for one in whole))

    def option(self, setup: Configuration, judged: Accuracy | None) -> Option:
        """What its codecs make of every frame; raw data is sent as it is."""
        return Option(
            configuration=setup,
            coded=tuple(self._coded(k, codec) for k, codec in setup.coding),
            accuracy_drop=0.0 if setup.lossless else judged.drop if judged else None,
            accuracy_drop_low=judged.drop_low if judged else None,
            accuracy_drop_high=judged.drop_high if judged else None,
        )

    def _coded(self, k: int, name: str) -> Coded:
        if (k, name) not in self._known:
            self._known[k, name] = self._timed(k, name)
        return self._known[k, name]

    def _timed(self, k: int, name: str) -> Coded:
        if name == RAW and (nbytes := self._model.graph.cuts[k].nbytes) > 0:
            return Coded(nbytes=nbytes)
        codec = codec_named(name)
        encoding: list[tuple[float, tuple[Release, ...]]] = []
        decode_ms: list[float] = []
        sizes: list[int] = []
        ends = Ends(self._model, k, name, self._setting, PAUSE_S)
        # a codec that knows the frame before would find each the same as that
        inputs = self._sequence if codec.sequential else self.inputs
        for _ in range(1 if codec.sequential else self._rounds):
            for crossing in self._crossing_at(k, inputs):
                crossed = ends.cross(crossing)
                sizes.append(crossed.nbytes)
                encoding.append((crossed.encode_ms, crossed.releases))
                decode_ms.append(crossed.decode_ms)
        encode_ms, releases = statistics.median_low(encoding)
        return Coded(
            nbytes=round(statistics.mean(sizes)),
            encode_ms=encode_ms - encoding_ms(releases),
            releases=releases,
            decode_ms=statistics.median(decode_ms),
        )

    def _crossing_at(self, k: int, inputs: Sequence[ModelInput]) -> list[Tensors]:
        """What crosses the cut of every frame."""
        if (held := (k, len(inputs))) not in self._crossing:
            self._crossing.clear()  # maps are large: those of one cut are held
            part1, rest = extract(self._model.stored, k)
            rest.remove()
            with self._local.session(part1) as session:
                self._crossing[held] = [session.run(one.tensors) for one in inputs]
        return self._crossing[held]


def _took_ms(work: Callable[[Tensors], object], given: Tensors) -> float:
    time.sleep(PAUSE_S)
    start = time.perf_counter()
    work(given)
    return (time.perf_counter() - start) * 1e3
