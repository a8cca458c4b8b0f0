"""Quantised data that may cross a cut, in the form that the runtime computes in.

On x86 ONNX Runtime computes on unsigned integers, and makes signed ones so where it sees both
QuantizeLinear and DequantizeLinear.  A cut between the two hides one from it: that operator would
be computed in floating point, slower, and now and then rounded otherwise than in the whole.
"""

import numpy as np
import onnx
from onnx.numpy_helper import from_array, to_array

from splitbed.graphs.onnx.layers import constants

_SHIFT = 128


def make_unsigned(graph: onnx.GraphProto) -> str:
    """Let each QuantizeLinear to 8 signed bits give unsigned ones, where all dequantise them again.

    Values and zero points are shifted alike, so that what is computed of them stays the same; the
    runtime computes more of it in integers.  What was done, in words; empty where nothing was.
    """
    signed = {
        tensor.name: tensor
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and not tensor.external_data
    }
    weights = constants(graph)
    readers: dict[str, list[onnx.NodeProto]] = {output.name: [] for output in graph.output}
    kept = set(readers)
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    made: set[str] = set()
    for node in graph.node:
        if node.op_type != "QuantizeLinear" or len(node.input) < 3 or node.output[0] in weights:
            continue
        read = readers.get(node.output[0], [])
        if node.input[2] not in signed or node.output[0] in kept or not _all_dequantise(read, node):
            continue
        shifted = f"{node.input[2]}/unsigned"
        if shifted not in made:
            zero = to_array(signed[node.input[2]]).astype(np.int16) + _SHIFT
            graph.initializer.append(from_array(np.asarray(zero, np.uint8), shifted))
            made.add(shifted)
        for each in [node, *read]:
            each.input[2] = shifted
    return "signed quantised data made unsigned" if made else ""


def _all_dequantise(nodes: list[onnx.NodeProto], quantise: onnx.NodeProto) -> bool:
    return all(
        node.op_type == "DequantizeLinear" and node.input[1:] == quantise.input[1:]
        for node in nodes
    )
