"""An ONNX part whose first axis is that of frames: as many as it is fed, one after another."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs.onnx.graph import parse
from splitbed.graphs.onnx.weights import MODEL_LIMIT_BYTES


def open_batch(path: Path) -> bytes:
    """The part's model file with an open first axis: of inputs, and of what it reshapes to.

    Whether it then gives what it gave is for whoever runs it to see. Raises UsageError for an input
    without axes, and for a file over ONNX's limit of 2 GB.
    """
    model = parse(path)
    graph = model.graph
    for info in graph.input:
        if not (dims := info.type.tensor_type.shape.dim):
            raise UsageError(f"its input {info.name!r} has no axes")
        # of equal sizes one name, as of frames that come together
        dims[0].dim_param = f"frames*{dims[0].dim_value}"
    del graph.value_info[:]
    for info in graph.output:
        for dim in info.type.tensor_type.shape.dim[:1]:
            dim.Clear()
    _open_reshapes(graph)
    if (size := model.ByteSize()) > MODEL_LIMIT_BYTES:
        raise UsageError(f"its {size} bytes are over ONNX's limit of 2 GB")
    return model.SerializeToString()


def _open_reshapes(graph: onnx.GraphProto) -> None:
    """Leave the first size of what is reshaped to, as a rule a batch of 1, to what comes."""
    constants = {one.name: one for one in graph.initializer}
    for place, node in enumerate(graph.node):
        if node.op_type != "Reshape" or node.input[0] in constants:
            continue
        shape = constants.get(node.input[1])
        if shape is None or shape.data_location == TensorProto.EXTERNAL:
            continue
        sizes = numpy_helper.to_array(shape).copy()
        if not sizes.size or sizes[0] < 1:
            continue
        if any(one.name == "allowzero" and one.i for one in node.attribute) and -1 in sizes:
            continue
        sizes[0] = 0 if -1 in sizes else -1  # as many as there are; what is left
        opened = f"{shape.name}/frames{place}"  # others may read it as it was
        graph.initializer.append(numpy_helper.from_array(np.asarray(sizes), opened))
        node.input[1] = opened
