"""ONNX from rows of layers, for the models that are written as such."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from splitbed.zoo.layers import Conv, Linear, Weights

OPSET = 17
IR_VERSION = 8  # what opset 17 came with; ONNX Runtime reads it since 1.11
CAPS = {"relu6.least": 0.0, "relu6.most": 6.0}


class OnnxWriter:
    """Makes nodes; ``tensor`` names what a node, or the input, puts out."""

    def __init__(self, tensor: Callable[[str], str]) -> None:
        self._tensor = tensor

    def node(self, kind: str, name: str, *inputs: str, **attributes: object) -> onnx.NodeProto:
        """A node of one output; ``inputs`` are tensors."""
        made = helper.make_node(kind, list(inputs), [self._tensor(name)], name=name)
        made.attribute.extend(helper.make_attribute(*one) for one in sorted(attributes.items()))
        return made

    def conv(self, row: Conv) -> Iterator[onnx.NodeProto]:
        """The convolution, and the sum and the ReLU that may follow it."""
        yield self.node(
            "Conv",
            row.node,
            self._tensor(row.source),
            f"{row.module}.weight",
            f"{row.module}.bias",
            kernel_shape=[row.kernel] * 2,
            strides=[row.stride] * 2,
            pads=[row.pad] * 4,
            **({"group": row.groups} if row.groups > 1 else {}),
        )
        if row.adds and row.add:
            yield self.node("Add", row.add, self._tensor(row.node), self._tensor(row.adds))
        if row.relu:
            yield self.rectified(row.relu, row.add or row.node, capped=row.capped)

    def linear(self, row: Linear) -> Iterator[onnx.NodeProto]:
        """The layer, and the ReLU that may follow it."""
        weight, bias = f"{row.module}.weight", f"{row.module}.bias"
        yield self.node("Gemm", row.node, self._tensor(row.source), weight, bias, transB=1)
        if row.relu:
            yield self.rectified(row.relu, row.node, capped=False)

    def rectified(self, name: str, source: str, *, capped: bool) -> onnx.NodeProto:
        """A ReLU; ``capped``, it ends at 6 and needs the tensors of :func:`caps`."""
        if capped:
            return self.node("Clip", name, self._tensor(source), *CAPS)
        return self.node("Relu", name, self._tensor(source))


def initializers(modules: Iterable[str], weights: Weights) -> list[onnx.TensorProto]:
    """Weight and bias of each module."""
    return [
        numpy_helper.from_array(values, f"{module}.{name}")
        for module in modules
        for name, values in zip(("weight", "bias"), weights[module], strict=True)
    ]


def caps() -> list[onnx.TensorProto]:
    """What a capped ReLU reads."""
    return [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in CAPS.items()
    ]


def model_of(graph: onnx.GraphProto, origin: str, ir_version: int = IR_VERSION) -> onnx.ModelProto:
    """The model; ``origin`` says where its weights come from."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=ir_version,
        producer_name="splitbed",
    )
    helper.set_model_props(model, {"weights": origin})
    return model
