"""ONNX from rows of convolutions, for the models that are written as such."""

from collections.abc import Callable, Iterable, Iterator

import onnx
from onnx import helper, numpy_helper

from splitbed.zoo.layers import Conv, Weights

OPSET = 17


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
        )
        if row.adds and row.add:
            yield self.node("Add", row.add, self._tensor(row.node), self._tensor(row.adds))
        if row.relu:
            yield self.node("Relu", row.relu, self._tensor(row.add or row.node))


def initializers(modules: Iterable[str], weights: Weights) -> list[onnx.TensorProto]:
    """Weight and bias of each module."""
    return [
        numpy_helper.from_array(values, f"{module}.{name}")
        for module in modules
        for name, values in zip(("weight", "bias"), weights[module], strict=True)
    ]


def model_of(graph: onnx.GraphProto, origin: str, ir_version: int) -> onnx.ModelProto:
    """The model; ``origin`` says where its weights come from."""
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=ir_version,
        producer_name="splitbed",
    )
    helper.set_model_props(model, {"weights": origin})
    return model
