"""A device anchor that is a model of its own, as one that was quantised or retrained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from netem.spec import symmetric
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.model import Known, SweptModel, load_model
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.errors import UsageError
from splitbed.wire import max_abs_diff, tensors_of
from tests.node.loopback import FRAME_S, LAYERS, loopback_nodes, small_model


def retrained(file: Path) -> Path:
    """The small model with its first weights rounded to eighths."""
    model = onnx.load(small_model(file))
    weight = model.graph.initializer[0]
    rounded = np.round(numpy_helper.to_array(weight) * 8) / 8
    weight.CopyFrom(numpy_helper.from_array(rounded.astype(np.float32), weight.name))
    onnx.save(model, file)
    return file


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[dict[str, object], Pair, SweptModel]]:
    """What is asked, and nodes that have the model."""
    folder = tmp_path_factory.mktemp("models")
    asked: dict[str, object] = {
        "model": str(small_model(folder / "small.onnx")),
        "device_model": str(retrained(folder / "retrained.onnx")),
        "split": "2:4",
        "runs": 3,
    }
    with scratch() as space:
        (folder := space.folder / "stored").mkdir()
        model = load_model(sweep_config(asked), folder)
        with Pair(loopback_nodes(space), model) as pair:
            yield asked, pair, model


@pytest.fixture(scope="module", params=[True, False], ids=["delivered", "beside the link"])
def bed(
    request: pytest.FixtureRequest, nodes: tuple[dict[str, object], Pair, SweptModel]
) -> tuple[SweepConfig, Pair, SweptModel, Parts]:
    asked, pair, model = nodes
    config = sweep_config(asked | {"delivery": request.param})
    return config, pair, model, Parts(pair, model, config)


@pytest.mark.parametrize("layers", [0, 2, LAYERS])
def test_the_ue_runs_it_where_it_runs_all_layers(
    bed: tuple[SweepConfig, Pair, SweptModel, Parts], layers: int
) -> None:
    config, pair, model, parts = bed
    (asked,) = (one for one in configurations(config, model, lambda _: ["raw"]) if one.k == layers)
    parts.load(asked)
    parts.deliver(symmetric(rate_mbit=20), timeout_s=FRAME_S)
    parts.assign(asked)
    record = pair.ways.run_frame(0, 0, FRAME_S, parts.assignment(asked))
    differs = max_abs_diff(tensors_of(record.result), pair.references[0])
    assert asked.lossless == (layers < LAYERS)
    if layers < LAYERS:
        assert differs < 1e-6
        return
    frames = AccuracySet(config, model, lambda: None, lambda _: None)
    judged = dict(frames.coded([asked], Known()))[asked]
    assert differs > 1e-4
    assert judged.difference(0, tensors_of(record.result)) == pytest.approx(0, abs=1e-6)


def test_it_is_among_the_facts_of_the_run(
    bed: tuple[SweepConfig, Pair, SweptModel, Parts],
) -> None:
    _, _, model, _ = bed
    assert model.facts.device is not None
    assert model.facts.device.name == "retrained"
    assert model.facts.device.sha256 != model.facts.sha256


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"flow": "downlink"}, "leave --flow downlink"),
        ({"budget": "3m"}, "leave --budget"),
    ],
)
def test_where_it_cannot_be_it_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sweep_config({"model": "small", "device_model": "x.onnx"} | options)


def test_a_model_that_takes_other_tensors_is_refused(tmp_path: Path) -> None:
    asked = {"model": str(small_model(tmp_path / "small.onnx"))}
    other = small_model(tmp_path / "other.onnx", side=8)
    with pytest.raises(UsageError, match=r"other\.onnx does not take what the model takes"):
        load_model(sweep_config(asked | {"device_model": str(other)}), tmp_path)
