"""Every cut of every model of ONNX's own backend tests, which the package ships, is the whole.

Most are of opset 6 to 10, so this holds conversion to what those models were published to give.
"""

from pathlib import Path

import onnx
import onnx.backend.test
import pytest

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import store
from splitbed.tensors import Tensors
from splitbed.wire import max_abs_diff
from tests.graphs import models

DATA = Path(onnx.backend.test.__file__).parent / "data"
FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")
CASES = [path.parent for folder in FOLDERS for path in sorted(DATA.glob(f"{folder}/*/model.onnx"))]
REFUSED = {
    "gradient_of": "has no operator Gradient",
    "sequence_model8": "input 'X' is dynamic: n",
    "strnorm": "'x' cannot be fed: it is a tensor of strings",
}


def tensors(case: Path, kind: str, infos: list[onnx.ValueInfoProto]) -> Tensors:
    """What the case feeds or expects; its files are in the order of the model's own list."""
    files = [case / f"test_data_set_0/{kind}_{place}.pb" for place in range(len(infos))]
    return {
        info.name: onnx.numpy_helper.to_array(onnx.load_tensor(str(file)))
        for info, file in zip(infos, files, strict=True)
    }


def load(case: Path) -> tuple[Graph, Tensors, Tensors]:
    """The graph, what it is fed, and what it is expected to give."""
    proto = onnx.load(case / "model.onnx")
    weights = {tensor.name for tensor in proto.graph.initializer}
    fed = [info for info in proto.graph.input if info.name not in weights]
    graph = load_graph(case / "model.onnx")
    given = tensors(case, "input", fed)
    read = {info.name: given[info.name] for info in graph.inputs}
    return graph, read, tensors(case, "output", list(proto.graph.output))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_cut_gives_what_the_model_was_published_to_give(case: Path, tmp_path: Path) -> None:
    for name, reason in REFUSED.items():
        if name in case.name:
            with pytest.raises(UsageError, match=reason):
                load_graph(case / "model.onnx")
            return
    graph, given, expected = load(case)
    stored = store(graph, tmp_path / "stored")
    whole = models.run_split(stored, 0, given)
    assert max_abs_diff(whole, {name: expected[name] for name in whole}) < 1e-3
    for cut in graph.cuts[1:]:
        if cut.crossable or cut.k == graph.n:
            assert max_abs_diff(models.run_split(stored, cut.k, given), whole) < 1e-5


def test_what_cannot_cross_is_called_what_it_is() -> None:
    (case,) = (case for case in CASES if case.name == "test_sequence_model1")
    graph = load_graph(case / "model.onnx")
    assert [cut.obstacle for cut in graph.cuts[1:-1]] == [
        f"{name!r} is a sequence, and only tensors cross"
        for name in ("Seq_empty", "Seq_1", "Seq_2", "Seq_3")
    ]


def test_all_of_them_are_here() -> None:
    assert len(CASES) >= 140
