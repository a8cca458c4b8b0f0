"""Post-training quantisation of an ONNX model, by ONNX Runtime's quantiser (clause 9.4).

    layer ──> QuantizeLinear ─▲─ 8 bits ─▲─ DequantizeLinear ──> layer      weights: 8 bits, too

Weights have a scale for each output channel, what layers give one for each tensor, from what it
was on some frames. A runtime computes in integers between the two, and integers cross a cut. What
is made behind the last layers, such as boxes of a detector's maps, stays in floating point.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx

from splitbed.errors import RunError, SplitbedError, UsageError
from splitbed.graphs.onnx.layers import ROUNDED_OPS
from splitbed.tensors import Tensors

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OF_CHANNELS = 13  # the opset since which DequantizeLinear takes a scale for each channel


def quantise(source: Path, target: Path, fed: Iterable[Tensors]) -> None:
    """Write the ONNX file ``source`` as ``target``, its layers in 8 bits.

    ``fed`` are its inputs of the frames that ranges are taken from. Nodes keep their names.

    Raises:
        UsageError: it has no layers, or an opset before 13.
        RunError: the quantiser refuses it.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(source)
    inner = _inner(model.graph)
    opset = {entry.domain: entry.version for entry in model.opset_import}.get("", 1)
    if not inner:
        raise UsageError(f"cannot quantise {source}: it has no {', '.join(LAYERS)}")
    if opset < OF_CHANNELS:
        raise UsageError(f"cannot quantise {source}: its opset {opset} is before {OF_CHANNELS}")
    add_pre_process_metadata(model)  # else the quantiser asks for what is done to graphs anyhow
    try:
        quantization.quantize_static(
            model, target, _Frames(fed), per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_quantize=inner,
            extra_options={"QDQKeepRemovableActivations": True},  # cuts are named by them
        )  # fmt: skip
    except SplitbedError:  # a frame that cannot be read
        raise
    except Exception as error:  # it raises whatever a graph leads it to
        raise RunError(
            f"ONNX Runtime cannot quantise {source}: {type(error).__name__}: {error}"
        ) from error
    made = onnx.load(target)
    _round_once(made.graph)
    _in_order(made.graph, [node.name for node in model.graph.node])
    onnx.save(made, target)


class _Frames:
    """As the quantiser reads them: one after another, then None."""

    def __init__(self, fed: Iterable[Tensors]) -> None:
        self._left = iter(fed)

    def get_next(self) -> Tensors | None:
        return next(self._left, None)


def _round_once(graph: onnx.GraphProto) -> None:
    """Take out what rounds before an activation, behind which it is rounded again."""
    makers = {name: node for node in graph.node for name in node.output}
    read = Counter(name for node in graph.node for name in node.input)
    for node in list(graph.node):
        back = makers.get(node.input[0]) if node.op_type in ROUNDED_OPS else None
        if back is None or back.op_type != "DequantizeLinear" or read[node.input[0]] > 1:
            continue
        rounds = makers[back.input[0]]
        if rounds.op_type == "QuantizeLinear" and read[back.input[0]] == 1:
            node.input[0] = rounds.input[0]
            graph.node.remove(back)
            graph.node.remove(rounds)


def _in_order(graph: onnx.GraphProto, names: Sequence[str]) -> None:
    """Nodes as the original has them, behind what rounds for them: a cut beside one is the same."""
    makers = {name: node for node in graph.node for name in node.output}
    order = {name: place for place, name in enumerate(names)}
    placed, nodes = set[str](), list[onnx.NodeProto]()

    def place(node: onnx.NodeProto) -> None:
        if node.output[0] in placed:
            return
        placed.add(node.output[0])
        for name in node.input:
            if name in makers:
                place(makers[name])
        nodes.append(node)

    for node in sorted(graph.node, key=lambda node: order.get(node.name, len(order))):
        place(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _inner(graph: onnx.GraphProto) -> list[str]:
    """The layers, all nodes that one depends on, and activations right behind one, by name.

    What such an activation gives is rounded, not what it gets: both are one layer for a runtime.
    """
    layers = {name for node in graph.node if node.op_type in LAYERS for name in node.output}
    found, needed = [], set[str]()
    for node in reversed(graph.node):
        activates = node.op_type in ROUNDED_OPS and node.input[0] in layers
        if node.op_type in LAYERS or needed.intersection(node.output) or activates:
            found.append(node.name)
            needed.update(node.input)
    return found
