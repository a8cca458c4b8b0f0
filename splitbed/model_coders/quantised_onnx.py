"""Weights of an ONNX model that stay quantised: what comes is run as it is, there is no decoder.

    levels, scales ──> DequantizeLinear ──> Conv, Gemm, MatMul …

The encoder writes another model (clause 2.1.2.5's encoder-only optimisation), in which such a node
stands before each layer.  Values are those that ``int8`` and ``int4`` come to, so outputs are, too.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from splitbed.codecs.stage import Setting, Stage, StageKind, Unchanged, UsualKind
from splitbed.errors import UsageError
from splitbed.model_coders.integers import axis_of, dequantised, packed, quantised, unpacked
from splitbed.model_data.file import Array, ModelFile, State
from splitbed.tensors import TensorInfo

if TYPE_CHECKING:
    import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
OF_CHANNELS = 13  # the opset since which DequantizeLinear takes a scale for each channel
LEVELS, SCALES = "/levels", "/scales"  # behind a weight's name
CONTRIB = "com.microsoft"
"""Whose DequantizeLinear takes four bits, whatever the model's opset; ONNX's since 21."""


def dequantising(model: ModelFile, bits: int) -> ModelFile:
    """The model with its layers' weights in ``bits``, 8 or 4.

    Raises:
        UsageError: it is no ONNX model, or no layer's weight is FP32.
        NodeError: a weight is not finite.
    """
    import onnx

    from splitbed.model_data.onnx import FORM, of_model

    if model.form != FORM:
        raise UsageError(
            f"int{bits}-onnx is for ONNX models, and this one is {model.form}: use int{bits}"
        )
    proto = onnx.load_from_string(b"".join(model.file()))
    weights = _weights(proto, model)
    if not weights:
        raise UsageError(f"int{bits}-onnx finds no FP32 weight of {', '.join(LAYERS)} in the model")
    opset = {entry.domain: entry.version for entry in proto.opset_import}.get("", 1)
    domain = "" if bits == 8 and opset >= OF_CHANNELS else CONTRIB
    if domain and all(entry.domain != domain for entry in proto.opset_import):
        proto.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    stay = [tensor for tensor in proto.graph.initializer if tensor.name not in weights]
    nodes = list(proto.graph.node)
    del proto.graph.initializer[:], proto.graph.node[:]
    for name, array in weights.items():
        levels, scales = quantised(array, bits)
        stay += [_levels(f"{name}{LEVELS}", levels, bits),
                 onnx.numpy_helper.from_array(scales.reshape(-1), f"{name}{SCALES}")]  # fmt: skip
        proto.graph.node.append(
            onnx.helper.make_node(
                "DequantizeLinear", [f"{name}{LEVELS}", f"{name}{SCALES}"], [name],
                f"{name}/dequantise", domain=domain, axis=axis_of(array.shape),
            )
        )  # fmt: skip
    proto.graph.node.extend(nodes)
    proto.graph.initializer.extend(stay)
    return of_model(proto, Path(f"the model in {bits} bits"))


def plain(state: State, layout: State) -> State:
    """The state with the values that kept levels stand for, where ``layout`` has a weight."""
    found = dict(state)
    for name, array in layout.items():
        if name not in state and (levels := found.pop(f"{name}{LEVELS}", None)) is not None:
            if levels.dtype != np.int8:
                levels = unpacked(levels, array.size).reshape(array.shape)
            sizes = [1] * array.ndim
            sizes[axis_of(array.shape)] = -1
            scales = found.pop(f"{name}{SCALES}").reshape(sizes)
            found[name] = dequantised(levels, scales)
    return found


def _weights(proto: "onnx.ModelProto", model: ModelFile) -> dict[str, Array]:
    """FP32 tensors that are weights of layers and nothing else."""
    inputs = {info.name for info in proto.graph.input}
    read = [
        (name, node.op_type in LAYERS and place == 1)
        for node in proto.graph.node
        for place, name in enumerate(node.input)
    ]
    others = {name for name, as_weight in read if not as_weight} | inputs
    others |= {info.name for info in proto.graph.output}
    return {
        name: model.state[name]
        for name in dict.fromkeys(name for name, as_weight in read if as_weight)
        if name not in others and name in model.state and _is_weight(model.state[name])
    }


def _is_weight(array: Array) -> bool:
    return array.dtype == np.float32 and array.ndim >= 2


def _levels(name: str, levels: Array, bits: int) -> "onnx.TensorProto":
    import onnx

    kind = onnx.TensorProto.INT8 if bits == 8 else onnx.TensorProto.INT4
    data = levels.view(np.uint8) if bits == 8 else packed(levels.reshape(-1))
    return onnx.TensorProto(name=name, data_type=kind, dims=levels.shape, raw_data=data.tobytes())


@dataclass(frozen=True)
class _Kind(UsualKind):
    """A :class:`splitbed.model_coders.prune.Preparing` kind."""

    bits: int

    @property
    def summary(self) -> str:
        """A line for the list of coders."""
        return f"{self.bits} bits that stay: an ONNX model that dequantises as it runs"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        if parameter is not None:
            raise UsageError(f"it takes no number, and got {parameter}")
        return Unchanged(info)

    def prepared(self, model: ModelFile, parameter: int | None) -> ModelFile:
        """The model with its layers' weights in these bits; raises as :func:`dequantising`."""
        del parameter
        return dequantising(model, self.bits)


KINDS: dict[str, StageKind] = {"int8-onnx": _Kind(8), "int4-onnx": _Kind(4)}
