"""Real pretrained models, where the reference material is at hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitbed.graphs.onnx.graph import load_graph
from splitbed.graphs.parts import store
from splitbed.tensors import Tensors
from tests.graphs import models

FOLDER = Path(__file__).parents[3] / "shared" / "reference" / "models"
SHAPES = {
    "ESPCN_x2.onnx": {"y_lr": (1, 1, 40, 60)},
    "posenet_mobilenet_v1_075_257x257_os16.onnx": {},
    "posenet_mobilenet_v1_100_257x257_os16_layers1-26.onnx": {},
}


@pytest.mark.parametrize("file", SHAPES)
def test_parts_of_a_real_model_give_the_bits_of_the_whole(file: str, tmp_path: Path) -> None:
    path = FOLDER / file
    if not path.exists():
        pytest.skip(f"no reference model {file} beside the repository")
    graph = load_graph(path, SHAPES[file])
    stored = store(graph, tmp_path)
    rng = np.random.default_rng(0)
    tensors: Tensors = {t.name: rng.random(t.shape, np.float32) for t in graph.inputs}
    expected = models.run_whole(onnx.load(path), graph, tensors)
    for k in {*range(0, graph.n, 7), graph.n}:
        result = models.run_split(stored, k, tensors)
        for name, value in expected.items():
            np.testing.assert_array_equal(result[name], value, f"{name} at cut {k}")
