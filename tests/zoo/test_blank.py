"""Anchor models whose weights were not drawn have the layers and the cuts of those whose were."""

from pathlib import Path

import pytest

from splitbed.graphs.formats import load_graph
from splitbed.graphs.graph import Graph
from splitbed.zoo import ZOO, Variant


@pytest.mark.parametrize(
    ("name", "model_format"),  # RetinaNet, which takes longer to draw, is in test_retinanet.py
    [("ssd300", "onnx"), ("posenet", "tflite"), ("posenet", "onnx")],
)
def test_no_layer_or_cut_depends_on_what_was_drawn(
    name: str, model_format: str, tmp_path: Path
) -> None:
    def graph(seed: int | None) -> Graph:
        file = tmp_path / f"{seed}.{model_format}"
        file.write_bytes(ZOO[name].build(Variant(model_format, seed))[0])
        return load_graph(file)

    drawn, blank = graph(0), graph(None)
    assert drawn == blank
