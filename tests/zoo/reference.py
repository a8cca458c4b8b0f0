"""The real PoseNet of width 0.75, where it is at hand."""

from pathlib import Path

import onnx
import pytest

MODELS = Path(__file__).parents[3] / "shared/reference/models"


def reference(name: str) -> Path:
    """A reference model; skips the test where it is not there."""
    path = MODELS / name
    if not path.is_file():
        pytest.skip(f"the reference model {name} is not beside the repository")
    return path


def real_posenet() -> onnx.ModelProto:
    """PoseNet 0.75 as it was trained.

    The file dilates Conv2d_13_depthwise, as only width 1.0 does (tfjs-models/posenet,
    mobileNet75Architecture): its key points then score a third lower.
    """
    model = onnx.load(reference("posenet_mobilenet_v1_075_257x257_os16.onnx"))
    (layer,) = (node for node in model.graph.node if node.name == "Conv2d_13_depthwise")
    for attribute in layer.attribute:
        if attribute.name in ("dilations", "pads"):
            attribute.ints[:] = [1] * len(attribute.ints)
    return model
