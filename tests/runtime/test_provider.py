"""Execution providers and delegates: what is taken, who took it, and how far off its outputs are.

`make openvino` runs these in an environment whose ONNX Runtime has another provider than the CPU's.
"""

import os
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import Part, extract, store
from splitbed.runtime import check_provider, runtime_on, trial
from splitbed.runtime.provider import (
    OWN,
    Computed,
    Provider,
    Share,
    check_agrees,
    provider_of,
    together,
)
from splitbed.runtime.session import PartSession
from splitbed.tensors import Tensors
from tests.graphs import models, tflite_models

EXPECTED = os.environ.get("SPLITBED_EXPECTS_PROVIDER", "")
needs_provider = pytest.mark.skipif(not EXPECTED, reason="`make openvino` has another provider")


def whole(path: Path, folder: Path) -> Part:
    stored = store(load_graph(path), folder)
    return extract(stored, stored.graph.n)[0]


@pytest.fixture
def part(tmp_path: Path) -> Part:
    return whole(models.save(models.chain(), tmp_path / "chain.onnx"), tmp_path / "stored")


@pytest.fixture
def small(tmp_path: Path) -> Part:
    path = tflite_models.save(tflite_models.chain(), tmp_path / "chain.tflite")
    return whole(path, tmp_path / "stored")


def opened(part: Part, provider: Provider = OWN) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough, 1, None, provider)


@pytest.mark.parametrize(
    "said",
    [
        "openvino:device_type=CPU,num_of_threads=1",
        {"name": "openvino", "options": {"device_type": "CPU", "num_of_threads": 1}},
    ],
)
def test_words_and_yaml_say_the_same(said: object) -> None:
    told = provider_of(said)
    assert told == Provider("openvino", {"device_type": "CPU", "num_of_threads": "1"})
    assert provider_of(str(told)) == told
    assert provider_of("cuda:tolerance=0.01") == Provider("cuda", tolerance=0.01)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("openvino:CPU", "NAME:KEY=VALUE"),
        ("", "NAME"),
        ({"options": {}}, "a name"),
        ({"name": "cuda", "device": 1}, "'device'"),
        ({"name": "cuda", "options": {"x": True}}, "quote"),
        ({"name": "cuda", "tolerance": -1}, "tolerance"),
        ("cuda:tolerance=much", "'much'"),
    ],
)
def test_what_names_no_provider_is_refused(said: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        provider_of(said)


def test_an_unknown_provider_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no provider 'qnn' here: there are .*cpu.*xnnpack"):
        check_provider(Provider("qnn"))
    with pytest.raises(UsageError, match="did you mean xnnpack"):
        runtime_on("tflite", Provider("xnpack"))


def test_the_cpu_takes_all_nodes_and_says_so(part: Part) -> None:
    session = opened(part)
    assert {share.provider for share in session.used} == {"cpu"}
    assert sum(share.nodes for share in session.used) == 4
    assert session.off is None


def test_a_provider_that_takes_no_node_is_refused(part: Part) -> None:
    # it is in every ONNX Runtime of PyPI for Linux, and takes operators of its own domain alone
    if "AzureExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this ONNX Runtime has no such provider")
    with pytest.raises(UsageError, match="azure took no node of"):
        opened(part, Provider("azure"))


def test_a_delegate_says_what_it_took(small: Part) -> None:
    (taken,) = opened(small, Provider("xnnpack")).used
    assert (taken.provider, taken.nodes) == ("xnnpack", 4)
    (kernels,) = opened(small, Provider("builtin")).used
    assert (kernels.provider, kernels.nodes) == ("builtin", 4)
    assert opened(small).used == opened(small, Provider("xnnpack")).used


def test_a_delegate_that_takes_no_node_is_refused(tmp_path: Path) -> None:
    tensors = {name: tflite_models.tensor((4,), np.int32) for name in "xy"}
    proto = tflite_models.model(tensors, [tflite_models.op("NEG", "x", "y")], "x", "y")
    path = tflite_models.save(proto, tmp_path / "neg.tflite")
    neg = whole(path, tmp_path / "stored")
    for name in ("xnnpack", "XNNPACK"):
        with pytest.raises(UsageError, match="xnnpack took no node of"):
            opened(neg, Provider(name))


def test_a_part_in_which_nothing_is_computed_is_nobodys(tmp_path: Path) -> None:
    proto = models.model(
        [models.node("Add", "one one", "y")],
        {"x": [1, 4]},
        {"y": [1, 4]},
        {"one": np.ones((1, 4), np.float32)},
    )
    session = opened(whole(models.save(proto, tmp_path / "two.onnx"), tmp_path), Provider("cpu"))
    assert (session.used, session.off) == ((), 0.0)


def test_options_that_a_runtime_would_not_look_at_are_refused(part: Part, small: Part) -> None:
    with pytest.raises(UsageError, match="takes no options with xnnpack:threads=2"):
        opened(small, Provider("xnnpack", {"threads": "2"}))
    with pytest.raises(UsageError, match="CPU takes no options: give cpu, not cpu:threads=2"):
        opened(part, Provider("cpu", {"threads": "2"}))


def test_outputs_that_are_too_far_off_are_refused_with_the_one_that_is() -> None:
    own: Tensors = {"a": np.ones(4, np.float32), "b": np.full(4, 8, np.float32)}
    made: Tensors = {"a": np.ones(4, np.float32), "b": np.array([8, 8, 8, 8.004], np.float32)}
    provider = Provider("openvino", tolerance=1e-3)
    assert check_agrees(provider, made, own) == pytest.approx(5e-4, rel=1e-3)
    made["b"][1] = 7.9
    with pytest.raises(UsageError, match=r"openvino its output 'b' is off by 0\.012 "):
        check_agrees(provider, made, own)
    made["b"][:] = np.nan
    with pytest.raises(UsageError, match="'b' is off by nan"):
        check_agrees(provider, made, own)


def test_infinite_values_agree_where_both_have_them() -> None:
    own: Tensors = {"mask": np.array([-np.inf, np.nan, 2, 4], np.float32)}
    made: Tensors = {"mask": np.array([-np.inf, np.nan, 2, 4.001], np.float32)}
    assert check_agrees(Provider("openvino"), made, own) == pytest.approx(2.5e-4, rel=1e-3)
    made["mask"][0] = -9
    with pytest.raises(UsageError, match="'mask' is off by inf"):
        check_agrees(Provider("openvino"), made, own)


def test_what_a_provider_left_is_told_of_all_parts_of_a_node() -> None:
    shares = Share("openvino", 41, ("Conv",)), Share("cpu", 1, ("TopK",))
    first = Computed("", shares, 1e-6, {"fp32": 2, "casts": 1})
    rest = Computed("", (Share("cpu", 2, ("Softmax",)),), None, {"int8": 3, "casts": 4})
    found = together("OpenVINO:precision=FP32", [first, rest])
    assert (found.words, found.off) == ("openvino 41, cpu 3", 1e-6)
    assert found.types_words == "casts 5, int8 3, fp32 2"
    assert found.left == "3 of 44 nodes (Softmax, TopK)"
    assert together("", [first]).left == ""  # none was asked for


def test_a_file_is_tried_on_the_provider_that_it_is_run_on(
    part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Provider] = []

    class Noted(trial.Trial):
        def __init__(self, one: trial.Asked) -> None:
            asked.append(one.provider)
            super().__init__(one)

    monkeypatch.setattr(trial, "Trial", Noted)
    opened(part)
    named = Provider(EXPECTED or "cpu")
    first, again = opened(part, named), opened(part, named)
    assert asked == [OWN, named]  # one that passed on another was not tried on this
    assert first.off == again.off is not None


@needs_provider
def test_the_provider_takes_what_it_can_and_is_within_its_tolerance(part: Part) -> None:
    session = opened(part, Provider(EXPECTED))
    assert [(share.provider, share.nodes) for share in session.used] == [(EXPECTED, 4)]
    assert session.off is not None
    assert session.off <= 1e-3


@needs_provider
def test_what_the_provider_leaves_to_the_cpu_is_told(tmp_path: Path) -> None:
    path = models.save(models.of_ort_alone(), tmp_path / "model.onnx")
    session = opened(whole(path, tmp_path / "stored"), Provider(EXPECTED))
    shares = {share.provider: share for share in session.used}
    assert "Inverse" in shares["cpu"].ops
    assert shares[EXPECTED].nodes >= 1
    assert sum(share.nodes for share in session.used) == 5


@needs_provider
def test_options_that_the_provider_has_not_are_refused(part: Part) -> None:
    with pytest.raises(UsageError, match="no_such_option"):
        opened(part, Provider(EXPECTED, {"no_such_option": "1"}))
