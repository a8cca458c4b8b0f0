"""What networks share that double the luma of a picture: input, output and sub-pixel shuffle.

Input ``luma`` FP32 1x1xHxW of any size, 0 to 1; output ``luma_x2`` FP32 1x1x2Hx2W. The last
convolution gives four maps of HxW, one for each of the pixels that an old one becomes.
"""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from splitbed.zoo.onnx_writer import OnnxWriter, model_of

LUMA, DOUBLED = "luma", "luma_x2"
SHUFFLE = "/shuffle/DepthToSpace"
SCALE = 2


def doubler(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto],
    origin: str,
) -> onnx.ModelProto:
    """The model of ``nodes``, of which the last gives the four maps, and of the shuffle."""
    maps = nodes[-1].output[0]
    shuffle = helper.make_node(
        "DepthToSpace", [maps], [DOUBLED], name=SHUFFLE, blocksize=SCALE, mode="CRD"
    )
    luma = helper.make_tensor_value_info(LUMA, TensorProto.FLOAT, [1, 1, "height", "width"])
    doubled = helper.make_tensor_value_info(
        DOUBLED, TensorProto.FLOAT, [1, 1, "twice_height", "twice_width"]
    )
    graph = helper.make_graph([*nodes, shuffle], name, [luma], [doubled], weights)
    return model_of(graph, origin)


def tensor(node: str) -> str:
    """The tensor that a node, or the input, puts out."""
    return node if node == LUMA else f"{node}_output_0"


WRITER = OnnxWriter(tensor)
