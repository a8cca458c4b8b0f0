"""Arithmetic on whole maps by ONNX Runtime: several times as fast as numpy, on one thread.

Measured on a map of 5.76 MB: FP32 to FP16 35 GB/s, numpy 0.8; quantising 25 GB/s, numpy 5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from splitbed.codecs.stage import Array
from splitbed.tensors import NUMPY_TYPES

OPSET = 17
IR_VERSION = 8  # what opset 17 came with

Kernel = Callable[[Array], Array]


@dataclass(frozen=True)
class Step:
    """An ONNX operator on what the step before gives, and on ``constants``."""

    operator: str
    constants: Sequence[Array] = ()
    attributes: Mapping[str, int] = field(default_factory=dict)


def cast(datatype: str) -> Step:
    """To another datatype: rounded to nearest, ties to even."""
    return Step("Cast", attributes={"to": _element(datatype)})


def kernel(takes: str, gives: str, rank: int, steps: Sequence[Step]) -> Kernel:
    """What does ``steps`` on an array of datatype ``takes`` and ``rank`` dimensions."""
    import onnxruntime as ort
    from onnx import helper, numpy_helper

    nodes, constants, last = [], list[Any](), "x"
    for place, step in enumerate(steps):
        names = [f"{place}.{index}" for index in range(len(step.constants))]
        constants += map(numpy_helper.from_array, step.constants, names)
        output = str(place) if place < len(steps) - 1 else "y"
        attributes: dict[str, Any] = dict(step.attributes)
        nodes.append(helper.make_node(step.operator, [last, *names], [output], **attributes))
        last = output
    x, y = (
        helper.make_tensor_value_info(name, _element(datatype), [None] * rank)
        for name, datatype in (("x", takes), ("y", gives))
    )
    model = helper.make_model(
        helper.make_graph(nodes, "kernel", [x], [y], constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(array: Array) -> Array:
        (result,) = session.run(["y"], {"x": array})
        return np.asarray(result)

    return run


def _element(datatype: str) -> int:
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(NUMPY_TYPES[datatype])))
