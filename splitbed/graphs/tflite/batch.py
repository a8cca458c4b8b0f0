"""A TFLite part whose first axis is that of frames: as many as it is fed, one after another."""

from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from splitbed.graphs.tflite.file import parse, serialised
from splitbed.graphs.tflite.tables import changed, operator_name

_SHAPE = 1
"""The place of RESHAPE's input that says to what."""


def open_batch(path: Path) -> bytes:
    """The part's model file, with an open first axis of shapes that it reshapes to.

    Those of its inputs are opened by whoever runs it, who sees whether it then gives what it gave.
    """
    model = parse(path)
    graph = model.subgraphs[0]
    tensors, buffers, operators = [*graph.tensors], [*model.buffers], [*graph.operators]
    for place, operator in enumerate(operators):
        if operator_name(model, operator) != "RESHAPE" or len(operator.inputs) <= _SHAPE:
            continue
        shape = tensors[operator.inputs[_SHAPE]]
        if (data := buffers[shape.buffer].data) is None:
            continue
        sizes = np.frombuffer(data.tobytes(), np.int32).copy()
        if not sizes.size or sizes[0] < 1 or -1 in sizes:
            continue
        sizes[0] = -1  # what is left
        # others may read it as it was
        operators[place] = changed(operator, inputs=[operator.inputs[0], len(tensors)])
        tensors.append(changed(shape, buffer=len(buffers), name=shape.name + b"/frames"))
        opened = schema.BufferT()
        opened.data = np.frombuffer(sizes.tobytes(), np.uint8)
        buffers.append(opened)
    subgraph = changed(graph, tensors=tensors, operators=operators)
    return bytes(serialised(changed(model, subgraphs=[subgraph], buffers=buffers)))
