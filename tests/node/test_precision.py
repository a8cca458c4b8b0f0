"""Parts in another precision than the model's: converted here, run on the nodes, judged."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import onnx
import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.precision import Precision
from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.ask.sweep.grid import configurations
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.measure.calibration import convert, quantised_on
from orchestrator.testbed.loading.parts import LoadedParts, Parts
from orchestrator.testbed.model import Known, SweptModel, load_model
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.errors import UsageError
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff, tensors_of
from tests.node.loopback import FRAME_S, loopback_nodes, small_model

Bed = tuple[SweepConfig, SweptModel, Pair, Parts]
LINK = symmetric(rate_mbit=20)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("models")
    asked = {"model": str(small_model(folder / "small.onnx")), "split": "2:4", "runs": 3}
    precise = {"ue_precision": "fp32,fp16,int8", "edge_precision": "fp32,int8"}
    config = sweep_config(asked | precise | {"part_coder": "zstd"})
    with ExitStack() as stack:
        space = stack.enter_context(scratch())
        (stored := space.folder / "stored").mkdir()
        model = load_model(config, stored)
        pair = stack.enter_context(Pair(loopback_nodes(space), model))
        yield config, model, pair, Parts(pair, model, config)


def asked_of(bed: Bed, layers: int, words: str) -> Configuration:
    config, model, _, _ = bed
    every = configurations(config, model, lambda _: ["raw"])
    (found,) = (one for one in every if one.k == layers and one.precision.words == words)
    return found


def measured(bed: Bed, asked: Configuration) -> tuple[Tensors, LoadedParts]:
    config, model, pair, parts = bed
    convert(config, model, [asked])
    parts.load(asked)
    parts.deliver(LINK, timeout_s=FRAME_S)
    parts.assign(asked)
    record = pair.ways.run_frame(0, 0, FRAME_S, parts.assignment(asked))
    return tensors_of(record.result), parts.loaded


@pytest.mark.parametrize(
    ("layers", "words", "node", "type_"),
    [
        (2, "ue int8", "ue", "int8"),
        (2, "ue fp16, edge int8", "edge", "int8"),
        (0, "edge int8", "edge", "int8"),
        (6, "ue fp16", "ue", "fp32"),  # what a CPU makes of FP16
    ],
)
def test_each_node_computes_its_part_in_its_precision(
    bed: Bed, layers: int, words: str, node: str, type_: str
) -> None:
    config, model, pair, _ = bed
    asked = asked_of(bed, layers, words)
    result, loaded = measured(bed, asked)
    types = loaded.computed[node].types
    assert types[type_]
    assert types["casts"]
    differs = max_abs_diff(result, pair.references[0])
    assert 0 < differs < 0.1
    frames = AccuracySet(config, model, lambda: None, lambda _: None)
    judged = dict(frames.coded([asked], Known()))[asked]
    assert judged.difference(0, result) == pytest.approx(0, abs=1e-5)


def test_what_is_as_the_model_is_stays_so(bed: Bed) -> None:
    _, _, pair, _ = bed
    result, loaded = measured(bed, asked_of(bed, 2, ""))
    assert not loaded.computed["ue"].types
    assert max_abs_diff(result, pair.references[0]) < 1e-6


def test_a_part_in_fewer_bits_is_smaller(tmp_path: Path) -> None:
    config = sweep_config({
        "model": str(small_model(tmp_path / "small.onnx")), "runs": 3, "ue_precision": "fp16",
    })  # fmt: skip
    model = load_model(config, tmp_path)
    (device,) = (
        one
        for one in configurations(config, model, lambda _: ["raw"])
        if one.precision.ue == "fp16" and one.k == one.n
    )
    convert(config, model, [device])
    (span,) = device.making[1]
    assert model.part(span).nbytes < 0.75 * model.part(span._replace(version="")).nbytes


def test_anchors_are_measured_in_fp32_too_and_each_once(bed: Bed) -> None:
    config, model, _, _ = bed
    every = configurations(config, model, lambda _: ["raw"])
    by_cut = {k: [one.precision.words for one in every if one.k == k] for k in (0, 2, 6)}
    assert by_cut[0] == ["", "edge int8"]
    assert by_cut[6] == ["", "ue fp16", "ue int8"]
    assert len(by_cut[2]) == len({one.key for one in every if one.k == 2}) == 6
    none = config.replaced(ue_precision="int8", edge_precision="fp16")
    every = configurations(none, model, lambda _: ["raw"])
    assert [one.precision for one in every if one.k == 6] == [Precision(), Precision(ue="int8")]
    assert [one.precision for one in every if one.k == 2] == [Precision("int8", "fp16")]


def test_frames_of_its_ranges_are_not_judged(bed: Bed) -> None:
    config, model, _, _ = bed
    assert quantised_on(config, model, asked_of(bed, 2, "ue int8"))
    assert not quantised_on(config, model, asked_of(bed, 6, "ue fp16"))


def test_what_cannot_be_converted_says_why_where_it_is_needed(bed: Bed, tmp_path: Path) -> None:
    file = small_model(tmp_path / "small.onnx")
    old = onnx.load(file)
    old.opset_import[0].version = 12
    onnx.save(old, file)
    config = sweep_config({
        "model": str(file), "split": "2:4", "runs": 3, "ue_precision": "int8",
    })  # fmt: skip
    model, told = load_model(config, tmp_path), list[str]()
    asked = [one for one in configurations(config, model, lambda _: ["raw"]) if one.precision.words]
    convert(config, model, asked, told.append)
    (span,) = asked[0].making[1]
    with pytest.raises(UsageError, match="opset 12 is before 13"):
        model.part(span)
    assert any("opset 12" in one for one in told)
    frames = AccuracySet(config, model, lambda: None, lambda _: None)
    assert not list(frames.coded(asked, Known()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"ue_precision": "fp8"}, "--ue-precision fp8.*fp16"),
        ({"edge_precision": "int8", "budget": "3m"}, "--edge-precision int8: --budget goes by"),
        ({"ue_precision": "int8", "flow": "multi-head"}, "the flow multi-head has heads"),
        ({"ue_precision": "int8", "device_model": "x.onnx"}, "the device model x.onnx computes"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        sweep_config({"model": "small"} | options)
