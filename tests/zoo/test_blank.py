"""Anchor models whose weights were not drawn have the layers and the cuts of those whose were."""

from pathlib import Path

import onnx
import pytest

from splitbed.graphs.formats import load_graph
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx.graph import to_graph
from splitbed.zoo import ZOO, Variant, ssd300
from splitbed.zoo.posenet import model as posenet


# RetinaNet, which takes longer to draw, is in test_retinanet.py
@pytest.mark.parametrize("model_format", posenet.FORMATS)
def test_no_layer_or_cut_of_posenet_depends_on_what_was_drawn(
    model_format: str, tmp_path: Path
) -> None:
    def graph(seed: int | None) -> Graph:
        file = tmp_path / f"{seed}.{model_format}"
        file.write_bytes(ZOO["posenet"].build(Variant(model_format, seed))[0])
        return load_graph(file)

    drawn, blank = graph(0), graph(None)
    assert drawn == blank


def test_no_layer_or_cut_of_ssd300_depends_on_what_was_drawn(
    model: onnx.ModelProto, tmp_path: Path
) -> None:
    drawn = onnx.ModelProto()
    drawn.CopyFrom(model)
    assert to_graph(ssd300.build(seed=None), tmp_path) == to_graph(drawn, tmp_path)
