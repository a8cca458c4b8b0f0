"""Zstandard (RFC 8878), one frame for each tensor, with its size and checksum in it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from splitbed.codecs.stage import Array, Setting, Stage, StageKind, UsualKind
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

LEVEL = 1
LEVELS = range(-7, 23)
PIECE_BYTES = 1 << 17
"""That are compressed before more is asked for: a block of the format has so many, at most."""
LEAST_WINDOW_BYTES = 1 << 15
MAX_WINDOW_BYTES = 1 << 31
FRAME_BYTES = 64
"""More than a frame's header, checksum and last block header take."""


class _Zstd:
    """Bytes of a tensor; compressor and decompressor are kept from frame to frame."""

    def __init__(self, info: TensorInfo, most: int, level: int) -> None:
        import zstandard

        self._info, self._most = info, most
        self._static = min(info.shape, default=0) >= 0
        self._dtype = np.dtype(NUMPY_TYPES[info.datatype])
        # Level 1 with a short window has smaller blocks, each with its own Huffman code, so that
        # few channels share one: 3 % smaller on dense maps, and as fast. They hold no repetitions
        # from afar, and what repeats nearby is runs of zeros: 64 places to look at find these, in
        # two thirds of the time on maps without. The other levels are the library's.
        own = {"window_log": 15, "hash_log": 6, "min_match": 7} if level == 1 else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=most, write_checksum=True, write_content_size=True, **own
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters)
        window = min(max(2 * most, LEAST_WINDOW_BYTES), MAX_WINDOW_BYTES)
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window)
        self.encoded = TensorInfo(info.name, "UINT8", (-1,))
        self.most_bytes = most + (most >> 8) + FRAME_BYTES  # ZSTD_compressBound
        # with what is held of a tensor that is compressed in pieces, and of what it becomes
        buffers = (1 << parameters.window_log) + 3 * min(most, PIECE_BYTES)
        self.kept_bytes = parameters.estimated_compression_context_size() + buffers

    def encode(self, array: Array) -> Array:
        return np.frombuffer(
            self._compressor.compress(array.reshape(-1).view(np.uint8).data), np.uint8
        )

    def pieces(self, array: Array) -> Iterator[tuple[Array, bool]]:
        data = array.reshape(-1).view(np.uint8).data
        running = self._compressor.compressobj(size=len(data))
        for begin in range(0, len(data), PIECE_BYTES):
            made = running.compress(data[begin : begin + PIECE_BYTES])
            yield np.frombuffer(made, np.uint8), False
        yield np.frombuffer(running.flush(), np.uint8), True

    def decode(self, array: Array) -> Array:
        import zstandard

        try:
            size = zstandard.frame_content_size(array.data)
            if not (0 <= size <= self._most if not self._static else size == self._most):
                raise NodeError(f"a frame announces {size} bytes, where {self._due} were due")
            data = self._decompressor.decompress(array.data, allow_extra_data=False)
            return np.frombuffer(data, self._dtype).reshape(self._info.shape)
        except (zstandard.ZstdError, ValueError) as error:
            raise NodeError(f"{array.size} bytes are no whole Zstandard frame: {error}") from error

    @property
    def _due(self) -> str:
        return f"{self._most}" if self._static else f"at most {self._most}"


@dataclass(frozen=True)
class _Kind(UsualKind):
    lossless: bool = True
    summary: str = f"Zstandard; level {LEVELS[0]} to {LEVELS[-1]} ({LEVEL})"

    def __call__(self, info: TensorInfo, setting: Setting, parameter: int | None) -> Stage:
        level = LEVEL if parameter is None else parameter
        if level not in LEVELS or level == 0:
            raise UsageError(f"levels are {LEVELS[0]} to {LEVELS[-1]} without 0, not {level}")
        unknown = [size for size in info.shape if size < 0]
        if len(unknown) > 1 or (unknown and setting.most_bytes is None):
            raise UsageError("it cannot tell the shape of what it would decode")
        most = info.nbytes if not unknown else setting.most_bytes
        assert most is not None
        return _Zstd(info, most, level)


KINDS: dict[str, StageKind] = {"zstd": _Kind()}
