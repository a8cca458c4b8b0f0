"""The tables of TFLite's flatbuffer schema, as far as they are used, and what is read off them.

Its own code has no types. Names are the schema's.
"""

import copy
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from splitbed.tensors import NUMPY_TYPES

_Table = TypeVar("_Table")

WIRE_TYPES = {"FLOAT16": "FP16", "FLOAT32": "FP32", "FLOAT64": "FP64"}
WIRE_TYPES |= {name: name for name in NUMPY_TYPES if not name.startswith("FP")}
"""TFLite's types that the wire knows, and the wire's names of them."""


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


TYPES = _names(schema.TensorType)
_OPERATORS = _names(schema.BuiltinOperator)


class Buffer(Protocol):
    """``BufferT`` of the schema."""

    data: npt.NDArray[np.uint8] | None
    offset: int


class Quantisation(Protocol):
    """``QuantizationParametersT``; its vectors may be None."""

    scale: Sequence[float] | None
    zeroPoint: Sequence[int] | None  # noqa: N815
    quantizedDimension: int  # noqa: N815


class Tensor(Protocol):
    """``TensorT``: ``buffer`` is a place among the model's."""

    name: bytes
    type: int
    shape: Sequence[int] | None
    shapeSignature: Sequence[int] | None  # noqa: N815  the schema's name
    buffer: int
    isVariable: bool  # noqa: N815
    sparsity: object
    quantization: "Quantisation | None"
    externalBuffer: int  # noqa: N815


class Operator(Protocol):
    """``OperatorT``: inputs and outputs are places among the subgraph's tensors."""

    opcodeIndex: int  # noqa: N815
    inputs: Sequence[int]
    outputs: Sequence[int]
    intermediates: Sequence[int]
    builtinOptionsType: int  # noqa: N815
    builtinOptions: object  # noqa: N815
    builtinOptions2Type: int  # noqa: N815
    builtinOptions2: object  # noqa: N815


class OperatorCode(Protocol):
    """``OperatorCodeT``."""

    deprecatedBuiltinCode: int  # noqa: N815
    builtinCode: int  # noqa: N815
    customCode: bytes | None  # noqa: N815


class SubGraph(Protocol):
    """``SubGraphT``."""

    tensors: list[Tensor]
    operators: list[Operator]
    inputs: list[int]
    outputs: list[int]


class Metadata(Protocol):
    """``MetadataT``."""

    name: bytes
    buffer: int


class Model(Protocol):
    """``ModelT`` of the schema, with one subgraph, lists in place of None, unique tensor names."""

    subgraphs: list[SubGraph]
    operatorCodes: list[OperatorCode]  # noqa: N815
    buffers: list[Buffer]
    metadata: list[Metadata]

    def Pack(self, builder: object) -> int:  # noqa: N802
        """Write it."""


def has_data(buffer: Buffer) -> bool:
    """Whether ``buffer`` holds a constant."""
    return buffer.data is not None and len(buffer.data) > 0


def constants(model: Model) -> set[int]:
    """Places of the tensors that are constants."""
    tensors = model.subgraphs[0].tensors
    return {i for i, t in enumerate(tensors) if has_data(model.buffers[t.buffer])}


def changed(table: _Table, **fields: object) -> _Table:
    """A copy of ``table``, an object of the schema, with other ``fields``."""
    copied = copy.copy(table)
    vars(copied).update(fields)
    return copied


def type_name(tensor: Tensor) -> str:
    """TFLite's name of the type of ``tensor``."""
    return TYPES.get(tensor.type, f"number {tensor.type}")


def operator_name(model: Model, operator: Operator) -> str:
    """What ``operator`` computes: TFLite's name, or that of a custom operator."""
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.deprecatedBuiltinCode, code.builtinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return (code.customCode or b"CUSTOM").decode(errors="replace")
    return _OPERATORS.get(number, f"number {number}")
