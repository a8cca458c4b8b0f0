"""Small ONNX models built in code.

Weights and inputs are small whole numbers, so float arithmetic on them is exact in any order: a
difference between the whole and the parts is the cut's fault, never that of a fusion.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from splitbed.graphs.graph import Graph
from splitbed.graphs.parts import Part, StoredModel, extract
from splitbed.runtime.session import PartSession
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors

Dims = Sequence[int | str | None]


def whole(seed: int, *shape: int) -> npt.NDArray[np.float32]:
    """Whole numbers from -2 to 2."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32)


def model(
    nodes: Iterable[onnx.NodeProto],
    inputs: Mapping[str, Dims],
    outputs: Mapping[str, Dims | None],
    weights: Mapping[str, npt.NDArray[np.generic]] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(w, n) for n, w in (weights or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(op: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node named after its first output; names are separated by spaces."""
    name = f"/{outputs.split(maxsplit=1)[0]}/{op}"
    return helper.make_node(op, inputs.split(), outputs.split(), name, **attributes)


def conv(source: str, target: str, weight: str) -> onnx.NodeProto:
    return node("Conv", f"{source} {weight}", target, pads=[1, 1, 1, 1])


def chain(opset: int = 17, batch: int | str = 1, side: int | str = 8) -> onnx.ModelProto:
    return model(
        [
            conv("x", "a", "w1"),
            node("Relu", "a", "b"),
            conv("b", "c", "w2"),
            node("Relu", "c", "y"),
        ],
        {"x": [batch, 3, side, side]},
        {"y": [batch, 5, side, side]},
        {"w1": whole(1, 8, 3, 3, 3), "w2": whole(2, 5, 8, 3, 3)},
        opset,
    )


def residual() -> onnx.ModelProto:
    return model(
        [
            conv("x", "a", "w1"),
            node("Relu", "a", "b"),
            conv("b", "c", "w2"),
            node("Add", "c a", "d"),
            node("Relu", "d", "y"),
        ],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 8, 8, 8]},
        {"w1": whole(1, 8, 3, 3, 3), "w2": whole(2, 8, 8, 3, 3)},
    )


def inception() -> onnx.ModelProto:
    return model(
        [
            conv("x", "a", "w1"),
            conv("a", "b", "w2"),
            node("MaxPool", "a", "c", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            conv("a", "d", "w3"),
            node("Concat", "b c d", "y", axis=1),
        ],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 24, 8, 8]},
        {"w1": whole(1, 8, 3, 3, 3), "w2": whole(2, 8, 8, 3, 3), "w3": whole(3, 8, 8, 3, 3)},
    )


def several() -> onnx.ModelProto:
    """Two inputs, one read late; three outputs, one produced early and one an input's copy."""
    return model(
        [
            conv("x", "early", "w1"),
            node("Relu", "early", "b"),
            conv("b", "c", "w2"),
            node("Mul", "c late", "y"),
            node("Identity", "late", "z"),
        ],
        {"x": [1, 3, 8, 8], "late": [1, 8, 8, 8]},
        {"early": [1, 8, 8, 8], "y": [1, 8, 8, 8], "z": [1, 8, 8, 8]},
        {"w1": whole(1, 8, 3, 3, 3), "w2": whole(2, 8, 8, 3, 3)},
    )


def shared_weights() -> onnx.ModelProto:
    return model(
        [conv("x", "a", "w"), node("Relu", "a", "b"), conv("b", "c", "w"), conv("c", "y", "v")],
        {"x": [1, 8, 8, 8]},
        {"y": [1, 8, 8, 8]},
        {"w": whole(1, 8, 8, 3, 3), "v": whole(2, 8, 8, 3, 3)},
    )


def constants() -> onnx.ModelProto:
    """A Constant that is a shape, one that is a number, and a weight that is an output too."""
    shape = numpy_helper.from_array(np.array([1, -1], np.int64))
    return model(
        [
            node("Constant", "", "s", value=shape),
            conv("x", "a", "w"),
            node("Reshape", "a s", "b"),
            node("Constant", "", "two", value_float=2.0),
            node("Mul", "b two", "m"),
            helper.make_node("Clip", ["m", "", "two"], ["c"], "/c/Clip"),
            node("MatMul", "c prior", "y"),
        ],
        {"x": [1, 3, 8, 8]},
        {"y": [1, 4], "prior": [512, 4]},
        {"w": whole(1, 8, 3, 3, 3), "prior": whole(2, 512, 4)},
    )


def local_function() -> onnx.ModelProto:
    """A layer that is a function kept in the model, and an input that is an output too."""
    proto = model(
        [
            conv("x", "a", "w"),
            helper.make_node("Twice", ["a"], ["b"], "/b/Twice", domain="local"),
            conv("b", "y", "w"),
        ],
        {"x": [1, 8, 8, 8]},
        {"y": [1, 8, 8, 8], "x": [1, 8, 8, 8]},
        {"w": whole(1, 8, 8, 3, 3)},
    )
    proto.opset_import.append(helper.make_opsetid("local", 1))
    opsets = [helper.make_opsetid("", 17)]
    body = [node("Add", "i i", "o")]
    proto.functions.append(helper.make_function("local", "Twice", ["i"], ["o"], body, opsets))
    return proto


def data_dependent() -> onnx.ModelProto:
    """Between NonZero and ReduceSum sizes depend on the data."""
    return model(
        [
            node("Relu", "x", "a"),
            node("NonZero", "a", "places"),
            node("Cast", "places", "b", to=TensorProto.FLOAT),
            node("ReduceSum", "b", "y", keepdims=0),
        ],
        {"x": [4, 5]},
        {"y": []},
    )


MODELS = {
    "chain": chain,
    "chain of opset 11": lambda: chain(opset=11),
    "chain of opset 21": lambda: chain(opset=21),
    "residual": residual,
    "inception": inception,
    "several inputs and outputs": several,
    "shared weights": shared_weights,
    "constants": constants,
    "local function": local_function,
}


def of_ort_alone() -> onnx.ModelProto:
    """Layers with one of ONNX Runtime's own domain among them, which other providers have not."""
    nodes = [
        conv("x", "a", "w"),
        node("Relu", "a", "b"),
        conv("b", "c", "w"),
        helper.make_node("Inverse", ["c"], ["d"], "/d/Inverse", domain="com.microsoft"),
        node("Relu", "d", "y"),
    ]
    size = [1, 1, 4, 4]
    made = model(nodes, {"x": size}, {"y": size}, {"w": whole(1, 1, 1, 3, 3)})
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return made


def looping(turns: int) -> onnx.ModelProto:
    """Changes the sign of ``x``, four numbers, so many times; control flow, which we refuse."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", "go", "on"), node("Neg", "one", "other")],
        "body",
        [
            info("turn", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("one", TensorProto.FLOAT, [4]),
        ],
        [info("on", TensorProto.BOOL, []), info("other", TensorProto.FLOAT, [4])],
    )
    weights: dict[str, npt.NDArray[np.generic]] = {
        "most": np.array(turns, np.int64),
        "true": np.array(True),
    }
    loop = node("Loop", "most true x", "y", body=body)
    return model([loop], {"x": [4]}, {"y": [4]}, weights)


def save(proto: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def sample(inputs: Iterable[TensorInfo], seed: int = 7) -> Tensors:
    rng = np.random.default_rng(seed)
    return {t.name: rng.integers(-3, 4, t.shape).astype(NUMPY_TYPES[t.datatype]) for t in inputs}


def run_part(part: Part, tensors: Tensors) -> Tensors:
    with PartSession(part.path, part.inputs, part.outputs, part.passthrough, 1) as session:
        return session.run(tensors)


def run_split(stored: StoredModel, k: int, tensors: Tensors) -> Tensors:
    part1, part2 = extract(stored, k)
    return run_part(part2, run_part(part1, tensors))


def run_whole(proto: onnx.ModelProto, graph: Graph, tensors: Tensors) -> Tensors:
    """What ONNX Runtime makes of the model as it was before anything here touched it."""
    import onnxruntime as ort

    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in graph.outputs]
    unread = {
        info.name: np.zeros(
            [dim.dim_value or 1 for dim in info.type.tensor_type.shape.dim],
            helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type),
        )
        for info in proto.graph.input
        if info.name not in {*tensors, *(weight.name for weight in proto.graph.initializer)}
    }
    tensors = tensors | unread
    return dict(zip(names, session.run(names, tensors), strict=True))
