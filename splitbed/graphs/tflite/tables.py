"""The tables of TFLite's flatbuffer schema, as far as they are used: its own code has no types.

Names are the schema's.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


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
