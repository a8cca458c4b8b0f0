"""Reads an ONNX file as a graph of layers.

What can be computed from weights and the inputs' shapes counts as weights; nodes that no output
depends on are dropped.  :mod:`splitbed.graphs.onnx.layers` says which of the others are layers.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import TensorProto

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph, Layer, find_cuts
from splitbed.graphs.onnx import described, trial
from splitbed.graphs.onnx import shapes as tensor_shapes
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.functions import expanded
from splitbed.graphs.onnx.layers import Grouping, drawing, group, layer_of
from splitbed.graphs.onnx.normal import normalise
from splitbed.graphs.onnx.opset import modernise
from splitbed.graphs.onnx.outline import outline
from splitbed.graphs.onnx.quantised import make_unsigned
from splitbed.graphs.onnx.weights import Weights
from splitbed.tensors import TensorInfo

MOST_ENTRIES = 50_000
"""Nodes, weights or tensors of a graph, ten times those of large models: ours reads them all."""
FLOATING = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}


@dataclass(frozen=True)
class OnnxModel:
    """A structure whose larger weights are references into one file, and what goes into it."""

    structure: onnx.ModelProto
    weights: Weights


def load_graph(path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The graph of the ONNX file ``path``, with dynamic inputs fixed to ``shapes``.

    Raises UsageError for a file that is missing, not ONNX or not valid; an opset before 11 that
    cannot be converted; operators that ONNX Runtime lacks; control flow; weights outside the
    file's folder; inputs left dynamic.
    """
    model = parse(path)
    try:
        return to_graph(model, path.parent, shapes)
    except UsageError as error:
        raise UsageError(f"cannot split {path}: {error}") from error


def to_graph(
    source: onnx.ModelProto, folder: Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> Graph:
    """The graph of a model in memory, as ``load_graph``; takes ``source`` to pieces.

    External weights are looked for in ``folder``.
    """
    declared = [info.name for info in source.graph.input]
    normalise(source)
    weights = weights_file.take_out(source, folder)
    model = onnx.ModelProto()
    model.CopyFrom(source)  # leaves the memory of the weights behind
    tensor_shapes.fix_inputs(model.graph, shapes or {}, declared)
    conversions = modernise(model, weights), make_unsigned(model.graph)
    tensor_shapes.infer(model, weights)
    if not is_valid(model):
        with trial.opened(model, weights):
            pass  # the runtime is the judge: it opens what its own optimiser writes
    return replace(
        build_graph(OnnxModel(model, weights)), conversion="; ".join(filter(None, conversions))
    )


def parse(path: Path) -> onnx.ModelProto:
    """The content of the file ``path``.  Raises UsageError where it is not ONNX."""
    return _parsed(path, path.read_bytes)


def parse_outline(path: Path) -> onnx.ModelProto:
    """The same without the values of larger weights, which takes no longer for those."""
    return _parsed(path, partial(outline, path))


def _parsed(path: Path, read: Callable[[], bytes]) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read())
    except OSError as error:
        raise UsageError(f"cannot read the model {path}: {error.strerror}") from error
    except DecodeError as error:
        raise UsageError(f"{path} is not an ONNX file, or not a whole one") from error
    if not model.ir_version or not model.HasField("graph") or not model.opset_import:
        raise UsageError(f"{path} is not an ONNX file: it holds no graph")
    graph = model.graph
    every: Sequence[Sized] = (
        graph.node, graph.initializer, graph.value_info, graph.input, graph.output,
    )  # fmt: skip
    if (most := max(map(len, every))) > MOST_ENTRIES:
        raise UsageError(f"{path} has a list of {most} entries, and {MOST_ENTRIES} are the most")
    if not _is_text(model):
        raise UsageError(f"{path} is damaged: a name in it is not text")
    if (whole := expanded(model)) > MOST_ENTRIES:
        raise UsageError(
            f"{path} has functions that come to {whole:g} nodes where they are called; "
            f"{MOST_ENTRIES} are the most"
        )
    return model


def _is_text(message: Message) -> bool:
    """Whether every name in ``message`` is UTF-8; protobuf gives bytes where it is not."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            if isinstance(value, bytes) or any(isinstance(item, bytes) for item in value):
                return False
        elif field.type == field.TYPE_MESSAGE:
            children = [value] if isinstance(value, Message) else value
            if not all(map(_is_text, children)):
                return False
    return True


def build_graph(source: OnnxModel) -> Graph:
    """The graph of a model in normal form, whose shapes are known.

    Raises UsageError where an input or an output cannot be described.
    """
    model = source.structure
    tensors = described.describe(model.graph)
    dims = {t.name: tuple(t.dims) for t in model.graph.initializer}
    dims |= {name: t.shape for name, t in tensors.items() if isinstance(t, TensorInfo)}
    grouping = group(model.graph)
    layers = tuple(
        _layer(index, nodes, grouping, dims) for index, nodes in enumerate(grouping.layers)
    )
    inputs = described.describe_inputs(model.graph)
    outputs = described.describe_outputs(model.graph)
    scaled = {node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    params = {
        t.name: math.prod(t.dims)
        for t in model.graph.initializer
        if t.data_type in FLOATING or t.name in scaled
    }
    return Graph(
        inputs=inputs,
        outputs=outputs,
        layers=layers,
        cuts=find_cuts(layers, _names(inputs), _names(outputs), tensors, params),
        format="onnx",
        model=source,
        drawing=drawing(model.graph),
    )


def is_valid(model: onnx.ModelProto) -> bool:
    """Whether ``model`` is as ONNX has it, which what a runtime opens need not be."""
    checked = weights_file.as_inputs(model)
    for output in checked.graph.output:  # which may lack a shape, as the checker's may not
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(checked)
    except onnx.checker.ValidationError:
        return False
    return True


def _names(tensors: Iterable[TensorInfo]) -> list[str]:
    return [tensor.name for tensor in tensors]


def _layer(
    index: int,
    nodes: Sequence[onnx.NodeProto],
    grouping: Grouping,
    dims: Mapping[str, tuple[int, ...]],
) -> Layer:
    written = {name: None for node in nodes for name in node.output if name}
    reads = (name for node in nodes for name in node.input if name and name not in written)
    read = {source: None for name in reads for source in grouping.sources(name)}
    macs = sum(_macs(node, dims) for node in nodes)
    op_type = "+".join(node.op_type for node in nodes)
    name = layer_of(nodes[0]) or nodes[0].name
    joined = tuple(node.name for node in nodes[1:])
    return Layer(index, name, op_type, tuple(read), tuple(written), macs, joined)


def _macs(node: onnx.NodeProto, dims: Mapping[str, tuple[int, ...]]) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    if any(name not in dims for name in (*node.input[:2], node.output[0])):
        return 0
    read, weight, written = (dims[name] for name in (*node.input[:2], node.output[0]))
    match node.op_type:
        case "Conv":
            return math.prod(written) * math.prod(weight[1:])
        case "ConvTranspose":  # each input element meets the kernel once
            return math.prod(read) * math.prod(weight[1:])
        case "MatMul":
            return math.prod(written) * read[-1]
        case _:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            return math.prod(written) * read[0 if transposed else 1]
