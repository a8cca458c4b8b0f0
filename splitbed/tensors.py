"""What a tensor is called, holds and measures: the words of the Open Inference Protocol."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

NUMPY_TYPES: dict[str, npt.DTypeLike] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
MAX_TENSORS_BYTES = 1 << 30
"""Of the tensors of a frame, whoever sends them."""

DATATYPES = {np.dtype(numpy_type): name for name, numpy_type in NUMPY_TYPES.items()}

Tensors = dict[str, npt.NDArray[np.generic]]
"""Named tensors, as a session takes and gives them."""


@dataclass(frozen=True)
class TensorInfo:
    """Name, datatype (``FP32``, ``INT64`` …) and static shape of a tensor."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @property
    def least(self) -> "TensorInfo":
        """The same, with 1 for each size that depends on the input."""
        return replace(self, shape=tuple(1 if size < 0 else size for size in self.shape))

    def fits(self, other: "TensorInfo") -> bool:
        """Whether `other` is such a tensor, where a size of -1 here may be any size there."""
        return (
            (self.name, self.datatype) == (other.name, other.datatype)
            and len(self.shape) == len(other.shape)
            and all(size in (-1, got) for size, got in zip(self.shape, other.shape, strict=True))
        )

    @property
    def is_index(self) -> bool:
        """Whether it may hold shapes or indices, which made-up values seldom suit."""
        return self.datatype in ("INT32", "UINT32", "INT64", "UINT64")

    @property
    def is_stream(self) -> bool:
        """Whether it is bytes whose number is not known before: what encoding gives, in pieces."""
        return (self.datatype, self.shape) == ("UINT8", (-1,))

    @property
    def nbytes(self) -> int:
        """Size in bytes, dense and uncompressed."""
        return math.prod(self.shape) * np.dtype(NUMPY_TYPES[self.datatype]).itemsize


def zeros(infos: Iterable[TensorInfo]) -> Tensors:
    """Tensors of zeros, with 1 for each size that depends on the input."""
    return {info.name: np.zeros(info.least.shape, NUMPY_TYPES[info.datatype]) for info in infos}


def nbytes_of(tensors: Tensors) -> int:
    """Bytes of all of them together."""
    return sum(array.nbytes for array in tensors.values())
