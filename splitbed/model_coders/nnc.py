"""DeepCABAC: NNC's (ISO/IEC 15938-17) quantisation and entropy coding, by Fraunhofer's nncodec.

    crc32 | qp | what DeepCABAC made of the block

Of the standard's syntax there is no more than that: names, shapes and the rest are the bitstream's.
`make nnc` builds the package without what it depends on; nothing but its extension is imported.
The library decodes without bounds, so a stream from elsewhere belongs into a worker
(:mod:`splitbed.model_coders.worker`); damage on the way is found before it is decoded.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import numpy.typing as npt

from splitbed.codecs.stage import Array, Floats, Setting, Stage, StageKind, Unchanged
from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.model_coders.integers import no_level
from splitbed.tensors import NUMPY_TYPES, TensorInfo

Indices = npt.NDArray[np.int32]
HEAD = struct.Struct("<Ii")
QP, QPS = -38, range(-120, 1)  # the first is the library's default
FEW_QP = -75  # of what has one dimension; the library's, too
QP_DENSITY = 2
BITS = range(3, 9)
UNARY_LENGTH = 10
MOST_BYTES_OF_VALUE = 12  # an index of 32 bits: a sign, 10 unary bins, an Exp-Golomb code
PROFILE = 1  # with the tools of the standard's second edition


class _Nnc:
    """Steps of :func:`step`; with ``dependent`` of two quantisers in turn.

    With ``bits`` the least step of which no level of a block takes more than so many.

    The settings are nncodec's own, of which looking for the context models' parameters takes two
    thirds of the time to encode, for 2 % of the bytes.
    """

    def __init__(
        self, info: TensorInfo, library: ModuleType, qp: int, dependent: bool, bits: int | None
    ) -> None:
        self._info, self._qp, self._bits = info, qp, bits
        self._coding = DeepCabac(library, info.shape, dependent=dependent)
        self.encoded = TensorInfo(info.name, "UINT8", (-1,))
        self.most_bytes = HEAD.size + self._coding.most_bytes

    def encode(self, array: Array) -> Array:
        qp = self._qp if self._bits is None else qp_of(array, self._bits)
        levels, qp = self._coding.quantised(array, qp)
        return np.frombuffer(self._coding.packed(levels, qp), np.uint8)

    def decode(self, array: Array) -> Array:
        levels, qp = self._coding.unpacked(array)
        values = self._coding.dequantised(levels, qp)
        with np.errstate(over="ignore"):
            return values.reshape(self._info.shape).astype(NUMPY_TYPES[self._info.datatype])


class DeepCabac:
    """The library's quantiser and entropy coder, for blocks of a shape; levels are (rows, rest).

    Rows without a level but 0 are skipped. With ``before``, levels that the other end has of the
    same weights, what is likely follows from these, too: the standard's temporal context.
    """

    def __init__(self, library: ModuleType, shape: tuple[int, ...], *, dependent: bool) -> None:
        self._library, self._dependent = library, int(dependent)
        self.shape = shape[0], math.prod(shape[1:])
        self._no_history = library.HdspMode.AlwaysOff, np.zeros(2, np.int8)
        self.most_bytes = MOST_BYTES_OF_VALUE * math.prod(shape) + 64

    def quantised(self, array: Array, qp: int) -> tuple[Indices, int]:
        """The levels, and the qp that they are of: another where some would be beyond 32 bits.

        Raises NodeError for values that are not finite.
        """
        with np.errstate(over="ignore"):  # it is refused below
            values = np.ascontiguousarray(array.reshape(self.shape), np.float32)
        if not np.isfinite([values.min(initial=0), values.max(initial=0)]).all():
            raise no_level(values)
        levels = np.zeros(self.shape, np.int32)
        quantiser = self._library.Encoder()
        quantiser.initCtxModels(UNARY_LENGTH, 0)
        qp = quantiser.quantLayer(
            values, levels, self._dependent, QP_DENSITY, qp, 0.0, UNARY_LENGTH, 0, PROFILE
        )
        return levels, qp

    def dequantised(self, levels: Indices, qp: int) -> Floats:
        """The values that they stand for."""
        values = np.zeros(self.shape, np.float32)
        self._library.Decoder().dequantLayer(values, levels, QP_DENSITY, qp, 0)
        return values

    def packed(self, levels: Indices, qp: int, before: Indices | None = None) -> bytes:
        """The levels, coded."""
        empty = ~levels.any(axis=1)
        encoder = self._library.Encoder()
        encoder.initCtxModels(UNARY_LENGTH + 1, 1)
        skips = int(empty.any()), empty.astype(np.int32)
        how = self._dependent, 0, PROFILE, int(before is not None), *skips, *self._no_history, 0, 0
        if before is None:
            encoder.encodeLayer(levels, *how)
        else:
            encoder.encodeLayer2(levels, before, *how)
        data: bytes = encoder.finish().tobytes()
        return HEAD.pack(zlib.crc32(data), qp) + data

    def unpacked(self, array: Array, before: Indices | None = None) -> tuple[Indices, int]:
        """The levels again, and their qp; NodeError for what cannot be."""
        data = array[HEAD.size :]
        crc, qp = HEAD.unpack_from(array.tobytes()[: HEAD.size].ljust(HEAD.size, b"\0"))
        if zlib.crc32(data.tobytes()) != crc or not 0 < data.size <= self.most_bytes:
            raise NodeError(f"{array.size} bytes of DeepCABAC are damaged")
        if abs(qp) > -2 * QPS[0]:
            raise NodeError(f"it says the quantiser {qp}, which is none")
        padded = np.zeros(self.most_bytes + HEAD.size, np.uint8)  # the library knows no end
        padded[: data.size] = data
        levels = np.zeros(self.shape, np.int32)
        decoder = self._library.Decoder()
        decoder.setStream(padded)
        decoder.initCtxModels(UNARY_LENGTH + 1)
        how = self._dependent, 0, PROFILE, int(before is not None), *self._no_history, 0, 0
        try:
            if before is None:
                decoder.decodeLayer(levels, *how)
            else:
                decoder.decodeLayer2(levels, before, *how)
            whole = decoder.finish() == data.size
        except RuntimeError:  # it did not end on what an encoder ends with
            whole = False
        if not whole:
            raise NodeError(f"{data.size} bytes of DeepCABAC are not what they announce")
        return levels, qp


def step(qp: int) -> float:
    """From a level to the next, of a uniform quantiser."""
    return (4 + qp % 4) * 2.0 ** (qp // 4 - 2)


def qp_of(array: Array, bits: int) -> int:
    """The least of :data:`QPS` of which no level takes more than so many bits, sign included.

    The greatest of them for values that are beyond it, or are not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        most = float(np.abs(array).max(initial=0)) / (2 ** (bits - 1) - 1)
    return next((qp for qp in QPS if step(qp) >= most), QPS[-1])


@dataclass(frozen=True)
class _Kind:
    dependent: bool
    summary: str
    bits: int | None = None
    lossless: bool = False
    calibrated: bool = False
    sequential: bool = False

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        if self.bits and parameter is not None:
            raise UsageError("its bits say the quantiser: give no number")
        qp = QP if parameter is None else parameter
        if qp not in QPS:
            raise UsageError(f"the quantiser (qp) is from {QPS[0]} to {QPS[-1]}, not {qp}")
        if not info.datatype.startswith("FP") or not info.shape:
            return Unchanged(info)
        few = len(info.shape) == 1
        bits = None if few else self.bits
        return _Nnc(info, library(), min(qp, FEW_QP) if few else qp, self.dependent, bits)


def library() -> ModuleType:
    """DeepCABAC; MachineError where it is not here."""
    try:
        from nncodec.extensions import deepCABAC
    except ImportError as error:
        raise MachineError(f"nnc needs nncodec ({error}): run make nnc") from error
    assert isinstance(deepCABAC, ModuleType)
    return deepCABAC


_STEPS = f"NNC's DeepCABAC; its qp {QPS[0]} to {QPS[-1]} ({QP})"
KINDS: dict[str, StageKind] = {
    "nnc": _Kind(True, f"{_STEPS}, dependent quantisation"),
    "nnc-uniform": _Kind(False, f"{_STEPS}, uniform quantisation"),
    **{
        f"nnc-int{bits}": _Kind(False, f"NNC's DeepCABAC of levels of {bits} bits", bits)
        for bits in BITS
    },
}
