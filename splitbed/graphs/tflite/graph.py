"""Makes a graph of layers of a TFLite model whose shapes are known.

An operator is a layer, unless it depends on constants only: then what it writes is a weight, as
float weights are that a DEQUANTIZE makes of float16 ones.
"""

import math
import re
from collections.abc import Sequence
from itertools import chain, count
from typing import Any, cast

from splitbed.errors import UsageError
from splitbed.graphs.graph import Described, Graph, Layer, find_cuts
from splitbed.graphs.tflite.shapes import in_words, shape_of
from splitbed.graphs.tflite.tables import WIRE_TYPES, Model, operator_name, type_name
from splitbed.tensors import TensorInfo

_RANDOM = ("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "STABLEHLO_RNG_BIT_GENERATOR")
_WEIGHTS = re.compile(r"(?:^|;)([^;]+)/(?:depthwise_)?weights(?:[/_;]|$)")


def build_graph(model: Model) -> Graph:
    """The graph of a model ``with_shapes``.

    Its parameters are the elements of the weights, in floating point or quantised: integers that
    have a scale.  Raises UsageError where an input or output cannot be described.
    """
    graph = model.subgraphs[0]
    constant = _constant(model)
    operators = [o for o in graph.operators if not constant.issuperset(o.outputs)]
    names = _layer_names(graph, operators, constant)
    layers = tuple(
        _layer(model, index, name, operator)
        for index, (name, operator) in enumerate(zip(names, operators, strict=True))
    )
    tensors = {t.name.decode(): _described(t) for t in graph.tensors}
    inputs = tuple(_input(graph.tensors[place]) for place in graph.inputs)
    outputs = tuple(_output(graph.tensors[place]) for place in graph.outputs)
    weights = (graph.tensors[place] for place in constant)
    params = {t.name.decode(): math.prod(shape_of(t)) for t in weights if _is_weight(t)}
    return Graph(
        inputs=inputs,
        outputs=outputs,
        layers=layers,
        cuts=find_cuts(layers, _names(inputs), _names(outputs), tensors, params),
        format="tflite",
        model=model,
    )


def operators(graph: Graph) -> list[tuple[str, int | None]]:
    """What each operator of the file computes, in order, and the layer that it is.

    One that depends on constants only is none.
    """
    model = cast(Model, graph.model)
    layer_of = {layer.outputs[0]: layer.index for layer in graph.layers}
    tensors = model.subgraphs[0].tensors
    return [
        (operator_name(model, one), layer_of.get(tensors[one.outputs[0]].name.decode()))
        for one in model.subgraphs[0].operators
    ]


def _names(tensors: Sequence[TensorInfo]) -> list[str]:
    return [tensor.name for tensor in tensors]


def _constant(model: Model) -> set[int]:
    """Places of the tensors that do not depend on the input."""
    graph = model.subgraphs[0]
    dependent = {place for operator in graph.operators for place in operator.outputs}
    constant = set(range(len(graph.tensors))).difference(dependent, graph.inputs)
    for operator in graph.operators:
        read = [place for place in operator.inputs if place >= 0]
        if read and constant.issuperset(read) and operator_name(model, operator) not in _RANDOM:
            constant.update(operator.outputs)
    return constant


def _layer_names(graph: Any, operators: Sequence[Any], constant: set[int]) -> list[str]:
    """A unique name per layer.

    That of the scope of its weights (``Conv2d_0`` of ``Conv2d_0/weights``), else of its first
    output; of the names that a converter has joined by ``;``, the first.
    """
    taken: dict[str, None] = {}
    for operator in operators:
        whole = graph.tensors[operator.outputs[0]].name.decode()
        choices = [whole.partition(";")[0] or whole, whole]
        if len(operator.inputs) > 1 and operator.inputs[1] in constant:
            weights = graph.tensors[operator.inputs[1]].name.decode()
            choices[:0] = _WEIGHTS.findall(weights)[:1]
        numbered = (f"{whole}_{number}" for number in count(1))
        taken[next(name for name in chain(choices, numbered) if name not in taken)] = None
    return list(taken)


def _layer(model: Model, index: int, name: str, operator: Any) -> Layer:
    tensors = model.subgraphs[0].tensors
    read = dict.fromkeys(tensors[place].name.decode() for place in operator.inputs if place >= 0)
    written = tuple(tensors[place].name.decode() for place in operator.outputs)
    op = operator_name(model, operator)
    return Layer(index, name, op, tuple(read), written, _macs(op, operator, tensors))


def _macs(op: str, operator: Any, tensors: Sequence[Any]) -> int:
    first, second, third = (
        shape_of(tensors[place]) if place >= 0 else ()
        for place in (*operator.inputs, -1, -1, -1)[:3]
    )
    written = shape_of(tensors[operator.outputs[0]])
    if any(-1 in shape for shape in (first, second, third, written)):
        return 0
    match op:
        case "CONV_2D" | "FULLY_CONNECTED":  # kernels: output, height, width, input
            return math.prod(written) * math.prod(second[1:])
        case "DEPTHWISE_CONV_2D":  # 1, height, width, output
            return math.prod(written) * math.prod(second[1:3])
        case "TRANSPOSE_CONV":  # each input element meets the kernel once
            return math.prod(third) * math.prod(second[:3])
        case "BATCH_MATMUL":
            transposed = getattr(operator.builtinOptions, "adjX", False)
            return math.prod(written) * math.prod(first[-2:-1] if transposed else first[-1:])
    return 0


def _is_weight(tensor: Any) -> bool:
    scale = None if tensor.quantization is None else tensor.quantization.scale
    quantised = scale is not None and len(scale) > 0
    return quantised or type_name(tensor).startswith(("FLOAT", "BFLOAT"))


def _described(tensor: Any) -> Described:
    name, datatype = tensor.name.decode(), WIRE_TYPES.get(type_name(tensor))
    if datatype is None:
        return f"{name!r} is {type_name(tensor)}, which the wire does not know"
    if -1 in shape_of(tensor):
        return f"the shape of {name!r} depends on the data ({in_words(shape_of(tensor))})"
    return TensorInfo(name, datatype, shape_of(tensor))


def _input(tensor: Any) -> TensorInfo:
    described = _described(tensor)
    if isinstance(described, str):
        raise UsageError(f"input {tensor.name.decode()!r} cannot be fed: {described}")
    return described


def _output(tensor: Any) -> TensorInfo:
    name, datatype = tensor.name.decode(), WIRE_TYPES.get(type_name(tensor))
    if datatype is None:
        raise UsageError(f"output {name!r} is {type_name(tensor)}: end the model before it")
    return TensorInfo(name, datatype, shape_of(tensor))
