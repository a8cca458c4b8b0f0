"""An anchor model: a grey picture is blurred twice, and what is bright is kept."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from splitbed.media.recipes import PictureRecipe
from splitbed.zoo import AnchorModel, Variant

_SIDE = 32


def _build(variant: Variant) -> tuple[bytes, str]:
    """The file, and a line that says which weights are in it."""
    kernel = numpy_helper.from_array(np.full((1, 1, 3, 3), 1 / 9, np.float32), "kernel")
    shape = [1, 1, _SIDE, _SIDE]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["once"], "first", pads=[1] * 4),
            helper.make_node("Conv", ["once", "kernel"], ["twice"], "second", pads=[1] * 4),
            helper.make_node("Relu", ["twice"], ["bright"], "bright"),
        ],
        "blur",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("bright", TensorProto.FLOAT, shape)],
        [kernel],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return model.SerializeToString(), "written down: a box of 3 x 3"


BLUR = AnchorModel(
    name="blur",
    title="Two box blurs of a grey picture",
    source="an example",
    build=_build,
    formats=("onnx",),
    named_splits={"once": "first:after"},
    picture=PictureRecipe(_SIDE, _SIDE, mean=(0.0,), std=(1.0,)),
    task="image",
    parameters=9,
)
