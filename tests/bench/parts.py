"""How well profiles tell what cuts take, without a link: on nodes of this machine, over loopback.

Frames count where threads of the nodes waited least for a processor; a busy machine is told.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.profiling.taking import chosen, take_profile
from orchestrator.plan.doubt import ELSEWHERE, LONG_MS
from orchestrator.results.prediction import DOWN_MS, UP_MS
from orchestrator.results.profile import Profile
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.runtime.turns import Turn, waited_ms
from splitbed.timeline import Stage, Timeline
from tests.bench.figure import Bar, Figure, median
from tests.node.loopback import Splits, loopback_nodes

_REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "models"
_MODELS: dict[str, dict[str, list[int]]] = {
    "ssd300": {},
    "posenet": {},
    "shapesnet": {},
    str(_REFERENCE / "ESPCN_x2.onnx"): {"y_lr": [1, 1, 180, 320]},
    str(_REFERENCE / "ssd_mobilenet_v1_coco_quant_300.tflite"): {},
}
"""With the shapes of their inputs, where a model leaves them open."""
_CUTS, _FRAMES, _COUNTED, _PAUSE_S = 10, 9, 5, 0.03


@dataclass(frozen=True)
class Cut:
    """Predicted and measured end to end without the link, and whether all parts are long ones."""

    k: int
    predicted_ms: float
    measured_ms: float
    long: bool

    @property
    def ratio(self) -> float:
        """Measured over predicted."""
        return self.measured_ms / self.predicted_ms


def figures(folder: Path) -> Iterator[Figure]:
    """Of each model: its profile's cost, errors, and how many cuts lie in their intervals."""
    for model in _MODELS:
        name = Path(model).stem
        (own := folder / f"parts-{name}").mkdir()
        profile, took_s, cuts = measured(model, own)
        yield Figure(f"{name}: profile of both nodes", took_s, "s", Bar(most=15))
        yield Figure(f"{name}: its parts waited", 100 * profile.waited_share, "%")
        long = [100 * abs(1 / one.ratio - 1) for one in cuts if one.long]
        if long:
            what = f"{name}: error, both parts {LONG_MS:g} ms or more"
            yield median(f"{what}, median", "%", long, Bar(most=3))
            yield Figure(f"{what}, worst", max(long), "%", Bar(most=10))
        inside = [*map(_inside(profile), cuts)]
        what = f"{name}: cuts in their intervals"
        yield Figure(what, 100 * statistics.mean(inside), "%", Bar(least=90))


def _inside(profile: Profile) -> Callable[[Cut], bool]:
    doubt = ELSEWHERE.widened(profile.waited_share)

    def of(cut: Cut) -> bool:
        errors = doubt.long if cut.long else doubt.short
        return errors.low <= cut.ratio <= errors.high

    return of


def measured(name: str, folder: Path) -> tuple[Profile, float, list[Cut]]:
    """The profile of both nodes, what it took in s, and cuts spread over the model, anchors too."""
    config = sweep_config({"model": name, "split": "all", "shape": _MODELS[name]})
    model = load_model(config, folder)
    n = model.graph.n
    inside = [cut.k for cut in model.graph.cuts if cut.crossable and 0 < cut.k < n]
    with scratch() as space:
        nodes = loopback_nodes(space)
        with Pair(nodes, model) as pair:
            began = time.monotonic()
            profile = take_profile(config, model, pair)
            took_s = time.monotonic() - began
            splits = Splits(pair, model, warmup=2, ue_threads=0, edge_threads=0)
            cuts = [_cut(k, profile, splits) for k in (0, *chosen(inside, _CUTS), n)]
    return profile, took_s, cuts


def _cut(k: int, profile: Profile, splits: Splits) -> Cut:
    """With what crosses at what messages take: the wire is not what is judged here."""
    splits.load(k)
    frames = [_frame(number, splits) for number in range(_FRAMES)]
    least = sorted(frames, key=lambda frame: frame[0].waited_share)[:_COUNTED]
    messages_ms = 0.0 if k == splits.model.graph.n else UP_MS + DOWN_MS
    nodes_ms = statistics.median(_without(seen, "uplink", "downlink") for _, seen in least)
    others_ms = statistics.median(
        _without(seen, "uplink", "downlink", "part1", "part2") for _, seen in least
    )
    parts_ms = profile.predicted_ms(k)
    return Cut(
        k,
        sum(parts_ms) + others_ms + messages_ms,
        nodes_ms + messages_ms,
        all(ms == 0 or ms >= LONG_MS for ms in parts_ms),
    )


def _without(seen: Timeline, *stages: str) -> float:
    return seen.e2e_ms - sum(map(seen.ms, stages))


def _frame(number: int, splits: Splits) -> tuple[Turn, Timeline]:
    time.sleep(_PAUSE_S)
    pair, assignment = splits.pair, splits.parts.assignment(splits.last)
    nodes = (pair.ue.pid, pair.edge.pid)
    before_ms = sum(map(waited_ms, nodes))
    said = pair.ways.run_frame(number, number % len(splits.model.inputs), 120.0, assignment)
    after_ms = sum(map(waited_ms, nodes))
    timeline = Timeline([Stage(one.name, one.start_ns, one.end_ns) for one in said.stages])
    return Turn(timeline.e2e_ms, after_ms - before_ms), timeline
