"""What a part's session takes, gives and refuses."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import Part, extract, store
from splitbed.runtime.onnx import OnnxRunner
from splitbed.runtime.session import PartSession
from splitbed.workers.wanted import WANTED
from tests.graphs import models


@pytest.fixture
def part(tmp_path: Path) -> Part:
    graph = load_graph(models.save(models.several(), tmp_path / "model.onnx"))
    return extract(store(graph, tmp_path / "stored"), 2)[0]


@pytest.fixture
def session(part: Part) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough, threads=1)


def test_outputs_come_in_the_order_of_the_part(part: Part, session: PartSession) -> None:
    result = session.run(models.sample(part.inputs))
    assert list(result) == [tensor.name for tensor in part.outputs]


def test_a_tensor_that_passes_through_comes_out_as_it_went_in(
    part: Part, session: PartSession
) -> None:
    tensors = models.sample(part.inputs)
    assert session.run(tensors)["late"] is tensors["late"]


def test_a_part_without_a_file_hands_on_what_it_gets(part: Part) -> None:
    tensors = models.sample(part.inputs)
    names = [tensor.name for tensor in part.inputs]
    assert PartSession(None, part.inputs, part.inputs, names).run(tensors) == tensors


def test_tensors_that_lie_apart_in_memory_are_taken(part: Part, session: PartSession) -> None:
    tensors = models.sample(part.inputs)
    apart = {name: np.asfortranarray(value) for name, value in tensors.items()}
    np.testing.assert_array_equal(session.run(apart)["b"], session.run(tensors)["b"])


def test_warming_makes_up_its_own_input(session: PartSession) -> None:
    session.warm(2)


def test_a_missing_tensor_is_refused_by_name(part: Part, session: PartSession) -> None:
    tensors = models.sample(part.inputs)
    del tensors["late"]
    with pytest.raises(NodeError, match=r"takes the tensors \['late', 'x'\], but got \['x'\]"):
        session.run(tensors)


def test_a_wrong_shape_is_refused_with_both(part: Part, session: PartSession) -> None:
    tensors = models.sample(part.inputs) | {"x": np.zeros((1, 3, 8, 9), np.float32)}
    with pytest.raises(NodeError, match=r"'x' as float32 \[1, 3, 8, 8\], but got .*\[1, 3, 8, 9\]"):
        session.run(tensors)


def test_a_wrong_datatype_is_refused_with_both(part: Part, session: PartSession) -> None:
    tensors = models.sample(part.inputs) | {"x": np.zeros((1, 3, 8, 8), np.float64)}
    with pytest.raises(NodeError, match=r"'x' as float32 .*, but got float64"):
        session.run(tensors)


def test_a_closed_session_refuses_to_run(part: Part, session: PartSession) -> None:
    session.close()
    with pytest.raises(NodeError, match="closed"):
        session.run(models.sample(part.inputs))


def test_a_run_that_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    # as what passed may turn out for other inputs; it would take minutes
    endless = OnnxRunner(models.save(models.looping(10**7), tmp_path / "loop.onnx"), 1)
    gone = threading.Event()
    leaving, wanted = threading.Timer(0.1, gone.set), WANTED.set(lambda: not gone.is_set())
    leaving.start()
    try:
        with pytest.raises(NodeError, match="nobody waits for it any more"):
            endless.run({"x": np.ones(4, np.float32)}, ["y"])
    finally:
        WANTED.reset(wanted)


def test_a_file_that_onnx_runtime_refuses_is_named(part: Part, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(UsageError, match=r"broken\.onnx is not an ONNX file"):
        PartSession(broken, part.inputs, part.outputs)


def test_onnx_runtime_is_imported_only_when_a_session_opens() -> None:
    program = "import sys, splitbed.runtime.session; print('onnxruntime' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.strip() == b"False"


def test_splits_resolve_without_importing_onnx() -> None:
    program = "import sys, splitbed.graphs.splits; print('onnx' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert found.stdout.strip() == b"False"


def test_a_file_that_no_runtime_runs_is_named(part: Part, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"model\.pt as 'pt': there are onnx, tflite"):
        PartSession(tmp_path / "model.pt", part.inputs, part.outputs)
