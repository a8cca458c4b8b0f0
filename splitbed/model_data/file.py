"""A model file as the tensors in it, and what is between them.

    the file:      ▒▒▒▒ conv1.weight ▒ conv1.bias ▒▒▒▒▒▒ fc.weight ▒▒
    the skeleton:  ▒▒▒▒              ▒            ▒▒▒▒▒▒           ▒▒

Other values of the same tensors make another working file; the same values make the same file.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from splitbed.errors import MachineError, UsageError
from splitbed.tensors import DATATYPES, NUMPY_TYPES, TensorInfo

Array = npt.NDArray[Any]
State = Mapping[str, Array]
"""Named tensors of a model: its weights, and what else its training made."""

MOST_DIMENSIONS = 32
MOST_VALUES = 1 << 48


@dataclass(frozen=True)
class Place:
    """Where a tensor's bytes begin in its file: raw, little-endian, in C order."""

    info: TensorInfo
    offset: int

    @property
    def end(self) -> int:
        """Where they end."""
        return self.offset + self.info.nbytes


@dataclass(frozen=True)
class Layout:
    """The form of a file, how much of it is skeleton, and where its tensors are, in order."""

    form: str
    skeleton_bytes: int
    places: tuple[Place, ...]

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self.skeleton_bytes + sum(place.info.nbytes for place in self.places)

    def check(self) -> None:
        """Raise ValueError where tensors have no size or one name, overlap, or leave gaps."""
        seen: set[str] = set()
        end = rest = 0
        for place in self.places:
            info = place.info
            if info.datatype not in NUMPY_TYPES:
                raise ValueError(f"{info.name!r} has the datatype {info.datatype!r}, which is none")
            if not _is_shape(info.shape):
                raise ValueError(f"{info.name!r} has the shape {list(info.shape)}, which is none")
            if not info.name or info.name in seen:
                raise ValueError(f"two tensors are called {info.name!r}, or one has no name")
            if place.offset < end:
                raise ValueError(f"{info.name!r} begins within the tensor before it")
            rest += place.offset - end
            end = place.end
            seen.add(info.name)
        if rest > self.skeleton_bytes:
            raise ValueError(f"{self.skeleton_bytes} bytes do not fill what is between its tensors")

    def gaps(self) -> list[slice]:
        """What of the skeleton stands before each tensor, and, last, what behind them all."""
        ends = [0, *(place.end for place in self.places)]
        gaps, used = list[slice](), 0
        for place, end in zip(self.places, ends, strict=False):
            gaps.append(slice(used, used + place.offset - end))
            used = gaps[-1].stop
        return [*gaps, slice(used, self.skeleton_bytes)]


@dataclass(frozen=True)
class ModelFile:
    """A model file, taken apart."""

    layout: Layout
    skeleton: bytes
    state: State

    @property
    def form(self) -> str:
        """``onnx``, ``tflite`` or ``safetensors``."""
        return self.layout.form

    @property
    def nbytes(self) -> int:
        """Size of the file."""
        return self.layout.nbytes

    def replaced(self, state: State) -> "ModelFile":
        """The same with other values.

        Raises:
            UsageError: names, datatypes or shapes are others; the first misfits are named.
        """
        due = {place.info.name: place.info for place in self.layout.places}
        got = {name: info_of(name, array) for name, array in state.items()}
        if wrong := [name for name in due | got if due.get(name) != got.get(name)]:
            lines = [f"{name}: {_told(due.get(name))} due, {_told(got.get(name))} given"
                     for name in wrong[:5]]  # fmt: skip
            raise UsageError(
                f"{len(wrong)} tensors do not fit the {self.form} model: {'; '.join(lines)}"
            )
        return replace(self, state={name: state[name] for name in due})

    def file(self) -> Iterator[bytes]:
        """The file's bytes, in order."""
        *before, rest = self.layout.gaps()
        for gap, place in zip(before, self.layout.places, strict=True):
            yield self.skeleton[gap]
            yield self.state[place.info.name].tobytes()
        yield self.skeleton[rest]


def _is_shape(shape: tuple[int, ...]) -> bool:
    """Whether numpy bears it, even where it has no values."""
    sizes = math.prod(max(size, 1) for size in shape)
    return min(shape, default=0) >= 0 and len(shape) <= MOST_DIMENSIONS and sizes < MOST_VALUES


def info_of(name: str, array: Array) -> TensorInfo:
    """What the array is; UsageError for a datatype that models do not have."""
    if array.dtype not in DATATYPES:
        raise UsageError(
            f"the tensor {name!r} is {array.dtype}: a model has {', '.join(NUMPY_TYPES)}"
        )
    return TensorInfo(name, DATATYPES[array.dtype], array.shape)


def laid_out(form: str, nbytes: int, places: Iterable[Place]) -> Layout:
    """That of a file of so many bytes; raises ValueError where the places cannot be."""
    ordered = tuple(sorted(places, key=lambda place: (place.offset, place.end)))
    layout = Layout(form, nbytes - sum(place.info.nbytes for place in ordered), ordered)
    layout.check()
    return layout


def taken_apart(form: str, data: Array, places: Sequence[Place]) -> ModelFile:
    """The file whose bytes are ``data``, with its tensors at ``places``; they stay views of it.

    Raises ValueError where the places cannot be.
    """
    layout = laid_out(form, data.size, places)
    ordered = layout.places
    ends = [0, *(place.end for place in ordered)]
    starts = [*(place.offset for place in ordered), data.size]
    skeleton = b"".join(data[end:start].tobytes() for end, start in zip(ends, starts, strict=True))
    state = {place.info.name: _view(data, place) for place in ordered}
    return ModelFile(layout, skeleton, state)


def write_model(model: ModelFile, path: Path) -> str:
    """Write the file; its sha256.

    Raises:
        MachineError: it cannot be written.
    """
    try:
        with path.open("wb") as file:
            return written(model, file)
    except OSError as error:
        raise MachineError(f"cannot write the model {path}: {error.strerror}") from error


def written(model: ModelFile, file: BinaryIO) -> str:
    """The sha256 of the model's file, whose bytes went to ``file``; raises OSError."""
    sha256 = hashlib.sha256()
    for piece in model.file():
        file.write(piece)
        sha256.update(piece)
    return sha256.hexdigest()


def _view(data: Array, place: Place) -> Array:
    """The tensor there."""
    raw = data[place.offset : place.end]
    dtype = np.dtype(NUMPY_TYPES[place.info.datatype])
    values = raw.view(dtype) if raw.ctypes.data % dtype.itemsize == 0 else _aligned(raw, dtype)
    return values.reshape(place.info.shape)


def _aligned(raw: Array, dtype: np.dtype[Any]) -> Array:
    return np.frombuffer(raw.tobytes(), dtype)


def _told(info: TensorInfo | None) -> str:
    return f"{info.datatype} {list(info.shape)}" if info else "none"
