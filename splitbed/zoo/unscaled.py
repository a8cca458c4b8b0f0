"""Luma as it is: what needs no super-resolution is sent all the way at its own resolution.

One node that hands its input on, so that a call without an upscaler is measured as any other is
(scenario 10.5).
"""

from pathlib import Path

from onnx import TensorProto, helper

from splitbed.errors import UsageError
from splitbed.zoo.onnx_writer import model_of
from splitbed.zoo.upscaler import LUMA

SAME = "luma_x1"
ORIGIN = "none, nothing is computed"


def build(weights: Path | None = None) -> tuple[bytes, str]:
    """The model file, and a line that says that it has no weights.

    Raises:
        UsageError: any ``weights``.
    """
    if weights is not None:
        raise UsageError(f"--weights {weights}: unscaled has none to choose")
    node = helper.make_node("Identity", [LUMA], [SAME], name="/same/Identity")
    luma, same = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, "height", "width"])
        for name in (LUMA, SAME)
    )
    graph = helper.make_graph([node], "unscaled", [luma], [same])
    return model_of(graph, ORIGIN).SerializeToString(), ORIGIN
