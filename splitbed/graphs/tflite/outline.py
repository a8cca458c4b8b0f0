"""What of a TFLite file may still be on its way while it is tried: weights that decide no size.

Any bytes of a flatbuffer may be its tables, those of a weight's values, too.  Not in a file that is
just what is written of what is read from it: whoever writes gives every table bytes of its own.
"""

from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import numpy as np

from splitbed.graphs.tflite.file import parse, places_of, serialised
from splitbed.graphs.tflite.tables import (
    Model,
    Tensor,
    constants,
    has_data,
    operator_name,
    type_name,
)

_FLOATS = ("FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64")
_OF_SCALES = ("INT2", "INT4", "UINT4", "INT8", "UINT8")
"""Weights where they have scales; else they may be indices."""
_KEEPS = "DEQUANTIZE"
"""Makes weights of weights alone, of the same shape; what others make of these may be a size."""
_COMPUTES = {
    _KEEPS, "ADD", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D",
    "DIV", "FULLY_CONNECTED", "MAXIMUM", "MINIMUM", "MUL", "PACK", "POW", "PRELU",
    "SQUARED_DIFFERENCE", "SUB",
}  # fmt: skip
"""With the values of whatever it reads. Others may take some for sizes: not all kernels look at
their type."""
_COMPUTES_WITH = {"EMBEDDING_LOOKUP": (1,), "GATHER": (0,), "TRANSPOSE_CONV": (1, 2, 3)}
"""Those that compute with some of it, and with which."""


def is_weight(tensor: Tensor) -> bool:
    """Whether its values are what a layer computes with: no shape, index or scalar."""
    kind = type_name(tensor)
    if tensor.shape is None or not len(tensor.shape) or tensor.sparsity is not None:
        return False
    if kind in _FLOATS:
        return True
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    return kind in _OF_SCALES and scales is not None and len(scales) > 0


def settled(path: Path) -> list[tuple[int, int]] | None:
    """Where the values of weights are in a file, from and to, if these decide no size.

    None where they may, and of a file that is not as we write it.
    """
    model, data = parse(path), np.memmap(path, np.uint8, "r")
    if not np.array_equal(data, np.frombuffer(serialised(model), np.uint8)):
        return None
    buffers = _of_weights(model)
    if _decide_sizes(model, buffers):
        return None
    return sorted(places_of(data, buffers))


def _of_weights(model: Model) -> set[int]:
    """Buffers that nothing but weights have."""
    holders = defaultdict[int, list[Tensor]](list)
    for tensor in model.subgraphs[0].tensors:
        holders[tensor.buffer].append(tensor)
    described = {entry.buffer for entry in model.metadata}
    return {
        place
        for place, tensors in holders.items()
        if has_data(model.buffers[place])
        and place not in described
        and all(map(is_weight, tensors))
    }


def _decide_sizes(model: Model, buffers: Collection[int]) -> bool:
    """Whether what is in these, or is made of constants and of these, may decide a size."""
    graph = model.subgraphs[0]
    constant = constants(model)
    made_of = {i for i in constant if graph.tensors[i].buffer in buffers}
    for operator in graph.operators:
        name, read = operator_name(model, operator), {i for i in operator.inputs if i >= 0}
        alone = read <= constant
        if alone:
            constant.update(operator.outputs)
        if made_of.isdisjoint(read):
            continue
        if not _computes(name, [i for i, read in enumerate(operator.inputs) if read in made_of]):
            return True
        if alone and name != _KEEPS:
            return True
        if alone:
            made_of.update(operator.outputs)
    return False


def _computes(name: str, places: Collection[int]) -> bool:
    """Whether an operator computes with the values of what it reads at these places."""
    return name in _COMPUTES or {*places} <= {*_COMPUTES_WITH.get(name, ())}
