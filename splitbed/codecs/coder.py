"""One end of a codec, bound to the tensors of a cut."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from splitbed.codecs.stage import Array, PiecewiseStage, Stage
from splitbed.errors import NodeError, SplitbedError
from splitbed.tensors import DATATYPES, TensorInfo, Tensors

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
STAGE_BYTES = 1 << 18
"""What a stage of one tensor takes at least: an `int8` is two sessions of ONNX Runtime."""
LEAST_IN_PIECES_BYTES = 1_000_000
"""Of all tensors, not encoded: less is encoded before it is sent."""


@dataclass(frozen=True)
class Piece:
    """Some of what encoding gives of a tensor, whose ``last`` piece may be empty."""

    info: TensorInfo
    data: Array
    last: bool


def joined(pieces: Iterable[Piece]) -> Tensors:
    """The tensors that :meth:`Coder.encode` gives, of their pieces."""
    found: dict[str, list[Array]] = {}
    for piece in pieces:
        found.setdefault(piece.info.name, []).append(piece.data)
    return {
        name: data[0] if len(data) == 1 else np.concatenate(data) for name, data in found.items()
    }


class Coder:
    """One end of a codec, for tensors of known names, datatypes and shapes.

    It sees every frame in order, on one thread at a time: stages keep memory, and a video codec
    its state, between frames.  A flipped bit is found where a stage carries a checksum: ``zstd``
    and the video codecs do.
    """

    def __init__(self, name: str, rows: "Sequence[Row]") -> None:
        self.name = name
        self._rows = {row.info.name: row for row in rows}

    @property
    def encoded(self) -> tuple[TensorInfo, ...]:
        """What ``encode`` gives: a size of -1 depends on the content."""
        return tuple(row.encoded for row in self._rows.values())

    @property
    def plain_bytes(self) -> int:
        """Bytes of all tensors together, not encoded."""
        return sum(row.info.nbytes for row in self._rows.values())

    @property
    def most_bytes(self) -> int:
        """The most bytes that ``encode`` ever gives, of all tensors together."""
        return sum(row.most_bytes for row in self._rows.values())

    @property
    def kept_bytes(self) -> int:
        """About what its stages keep from frame to frame, at most."""
        return sum(row.kept_bytes for row in self._rows.values())

    def encode(self, tensors: Tensors) -> Tensors:
        """The tensors, encoded: the names and order that it was bound to.

        Raises:
            NodeError: names, datatypes or shapes differ from those bound, or the content cannot be
                encoded: NaN in a map to quantise, say.  The message names codec and tensor.
        """
        return self._each(tensors, Row.encode)

    @property
    def in_pieces(self) -> bool:
        """Whether it has much to do, and some of what it gives is there before the rest."""
        coding = [row for row in self._rows.values() if row.stages]
        some = len(coding) > 1 or any(row.in_pieces for row in coding)
        told = all(info.is_stream or min(info.shape, default=0) >= 0 for info in self.encoded)
        return some and told and self.plain_bytes >= LEAST_IN_PIECES_BYTES

    def pieces(self, tensors: Tensors) -> Iterator[Piece]:
        """What ``encode`` gives, in its order, as it comes to be; raises what that raises."""
        self._check_names(tensors)
        for name, row in self._rows.items():
            yield from row.pieces(tensors[name])

    def decode(self, encoded: Tensors) -> Tensors:
        """The tensors that ``encode`` took, or what a lossy codec keeps of them.

        Raises:
            NodeError: what came cannot have been encoded so; no memory is taken for what it says.
        """
        return self._each(encoded, Row.decode)

    def _each(self, tensors: Tensors, code: "Callable[[Row, Array], Array]") -> Tensors:
        self._check_names(tensors)
        return {name: code(row, tensors[name]) for name, row in self._rows.items()}

    def _check_names(self, tensors: Tensors) -> None:
        if tensors.keys() != self._rows.keys():
            raise NodeError(
                f"{self.name} was set up for the tensors {', '.join(self._rows)},"
                f" and got {', '.join(tensors) or 'none'}; do both ends have the same cut?"
            )


@dataclass(frozen=True)
class Row:
    """The stages of one tensor."""

    codec: str
    info: TensorInfo
    stages: tuple[Stage, ...]

    @property
    def encoded(self) -> TensorInfo:
        return self.stages[-1].encoded if self.stages else self.info

    @property
    def most_bytes(self) -> int:
        return self.stages[-1].most_bytes if self.stages else self.info.nbytes

    @property
    def kept_bytes(self) -> int:
        # a stage of a user's package need not say what it keeps
        kept: Iterable[int] = (
            getattr(stage, "kept_bytes", stage.most_bytes) for stage in self.stages
        )
        return STAGE_BYTES * len(self.stages) + sum(kept)

    @property
    def in_pieces(self) -> bool:
        return bool(self.stages) and isinstance(self.stages[-1], PiecewiseStage)

    def encode(self, array: Array) -> Array:
        return self._encode(array, self.stages)

    def _encode(self, array: Array, stages: Sequence[Stage]) -> Array:
        array = self._due(array, self.info, self.info.nbytes, "encode")
        for stage in stages:
            array = self._run(stage.encode, array, "encode")
            array = self._due(array, stage.encoded, stage.most_bytes, "encode")
        return array

    def pieces(self, array: Array) -> Iterator[Piece]:
        if not (self.stages and isinstance(stage := self.stages[-1], PiecewiseStage)):
            yield Piece(self.encoded, self.encode(array), last=True)
            return
        array, most_bytes, last = self._encode(array, self.stages[:-1]), stage.most_bytes, False
        pieces = self._run(stage.pieces, array, "encode")
        while not last:
            piece, last = self._run(next, pieces, "encode")
            piece = self._due(piece, self.encoded, most_bytes, "encode")
            most_bytes -= piece.nbytes
            if piece.size or last:
                yield Piece(self.encoded, piece, last)

    def decode(self, array: Array) -> Array:
        takes = [self.info, *(stage.encoded for stage in self.stages[:-1])]
        array = self._due(array, self.encoded, self.most_bytes, "decode")
        for stage, info in zip(reversed(self.stages), reversed(takes), strict=False):
            array = self._run(stage.decode, array, "decode")
            array = self._due(array, info, array.nbytes, "decode")
        return array

    def _run(self, code: Callable[[_Given], _Made], array: _Given, verb: str) -> _Made:
        try:
            return code(array)
        except SplitbedError as error:
            raise NodeError(f"{self.codec} cannot {verb} {self.info.name}: {error}") from error
        except Exception as error:  # a user's codec may raise anything
            raise NodeError(
                f"{self.codec} failed to {verb} {self.info.name}: {type(error).__name__}: {error}"
            ) from error

    def _due(self, array: Array, info: TensorInfo, most_bytes: int, verb: str) -> Array:
        """The array in C order; NodeError unless it is as ``info`` and ``most_bytes`` say."""
        datatype = DATATYPES.get(array.dtype, "")
        if (
            datatype == info.datatype
            and (array.shape == info.shape or info.fits(replace(info, shape=array.shape)))
            and array.nbytes <= most_bytes
        ):
            return np.asarray(array, order="C")
        datatype = datatype or str(array.dtype)
        raise NodeError(
            f"{self.codec} cannot {verb} {self.info.name}: {datatype} {list(array.shape)}"
            f" came where {info.datatype} {list(info.shape)}, at most {most_bytes} bytes, was due"
        )
