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

from splitbed.codecs.stage import Array, Setting, Stage, StageKind, Unchanged
from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.model_coders.integers import no_level
from splitbed.tensors import NUMPY_TYPES, TensorInfo

HEAD = struct.Struct("<Ii")
QP, QPS = -38, range(-120, 1)  # the first is the library's default
FEW_QP = -75  # of what has one dimension; the library's, too
QP_DENSITY = 2
UNARY_LENGTH = 10
MOST_BYTES_OF_VALUE = 12  # an index of 32 bits: a sign, 10 unary bins, an Exp-Golomb code
PROFILE = 1  # with the tools of the standard's second edition


class _Nnc:
    """Steps of (4 + qp % 4) * 2**(qp // 4 - 2); with ``dependent`` of two quantisers in turn.

    The settings are nncodec's own, of which looking for the context models' parameters takes two
    thirds of the time to encode, for 2 % of the bytes.
    """

    def __init__(self, info: TensorInfo, library: ModuleType, qp: int, dependent: bool) -> None:
        self._info, self._library, self._qp, self._dependent = info, library, qp, int(dependent)
        rows = info.shape[0]
        self._shape = (rows, math.prod(info.shape[1:]))
        self._no_history = library.HdspMode.AlwaysOff, np.zeros(2, np.int8)
        self.encoded = TensorInfo(info.name, "UINT8", (-1,))
        self.most_bytes = HEAD.size + MOST_BYTES_OF_VALUE * math.prod(info.shape) + 64

    def encode(self, array: Array) -> Array:
        with np.errstate(over="ignore"):  # it is refused below
            values = np.ascontiguousarray(array.reshape(self._shape), np.float32)
        if not np.isfinite([values.min(initial=0), values.max(initial=0)]).all():
            raise no_level(values)
        levels = np.zeros(self._shape, np.int32)
        quantiser = self._library.Encoder()
        quantiser.initCtxModels(UNARY_LENGTH, 0)
        # the library takes another qp where levels would be beyond 32 bits
        qp = quantiser.quantLayer(
            values, levels, self._dependent, QP_DENSITY, self._qp, 0.0, UNARY_LENGTH, 0, PROFILE
        )
        empty = ~levels.any(axis=1)
        encoder = self._library.Encoder()
        encoder.initCtxModels(UNARY_LENGTH + 1, 1)
        encoder.encodeLayer(
            levels, self._dependent, 0, PROFILE, 0, int(empty.any()), empty.astype(np.int32),
            *self._no_history, 0, 0,
        )  # fmt: skip
        data = encoder.finish().tobytes()
        head = HEAD.pack(zlib.crc32(data), qp)
        return np.frombuffer(head + data, np.uint8)

    def decode(self, array: Array) -> Array:
        data = array[HEAD.size :]
        crc, qp = HEAD.unpack_from(array.tobytes()[: HEAD.size].ljust(HEAD.size, b"\0"))
        if zlib.crc32(data.tobytes()) != crc or not data.size:
            raise NodeError(f"{array.size} bytes of DeepCABAC are damaged")
        if abs(qp) > -2 * QPS[0]:
            raise NodeError(f"it says the quantiser {qp}, which is none")
        padded = np.zeros(self.most_bytes, np.uint8)  # the library does not know where it ends
        padded[: data.size] = data
        levels = np.zeros(self._shape, np.int32)
        decoder = self._library.Decoder()
        decoder.setStream(padded)
        decoder.initCtxModels(UNARY_LENGTH + 1)
        decoder.decodeLayer(levels, self._dependent, 0, PROFILE, 0, *self._no_history, 0, 0)
        try:
            whole = decoder.finish() == data.size
        except RuntimeError:  # it did not end on what an encoder ends with
            whole = False
        if not whole:
            raise NodeError(f"{data.size} bytes of DeepCABAC are not what they announce")
        values = np.zeros(self._shape, np.float32)
        decoder.dequantLayer(values, levels, QP_DENSITY, qp, 0)
        with np.errstate(over="ignore"):
            return values.reshape(self._info.shape).astype(NUMPY_TYPES[self._info.datatype])


@dataclass(frozen=True)
class _Kind:
    dependent: bool
    summary: str
    lossless: bool = False
    calibrated: bool = False
    sequential: bool = False

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        del setting
        qp = QP if parameter is None else parameter
        if qp not in QPS:
            raise UsageError(f"the quantiser (qp) is from {QPS[0]} to {QPS[-1]}, not {qp}")
        if not info.datatype.startswith("FP") or not info.shape:
            return Unchanged(info)
        few = len(info.shape) == 1
        return _Nnc(info, _library(), min(qp, FEW_QP) if few else qp, self.dependent)


def _library() -> ModuleType:
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
}
