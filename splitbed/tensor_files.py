"""Tensors by number, each set in a file: there may be more of them than memory has room for."""

from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitbed.errors import MachineError
from splitbed.tensors import Tensors, nbytes_of


class TensorFiles(Mapping[int, Tensors]):
    """Keeps sets of named tensors under `folder`, which is its own; reads one when it is asked.

    From any threads: who reads one while it is put anew reads all of the old one, or of the new.

    `check` refuses to keep so many bytes of all of them together.
    """

    def __init__(self, folder: Path, check: Callable[[int], None] = lambda _: None) -> None:
        self._folder = folder
        self._check = check
        self._writing = Lock()
        self._turn = Lock()
        """A file and what is in it change together, while nobody opens one."""
        self._kept: dict[int, dict[str, tuple[np.dtype[Any], tuple[int, ...]]]] = {}
        self._bytes: dict[int, int] = {}
        self._all_bytes = 0

    def put(self, number: int, tensors: Tensors) -> None:
        """Keep these under that number; MachineError where the disk is full."""
        nbytes = nbytes_of(tensors)
        with self._writing:
            all_bytes = self._all_bytes - self._bytes.get(number, 0) + nbytes
            self._check(all_bytes)
            self._write(number, tensors)
            self._bytes[number], self._all_bytes = nbytes, all_bytes

    def _write(self, number: int, tensors: Tensors) -> None:
        kept = {name: (array.dtype, array.shape) for name, array in tensors.items()}
        draft = self._folder / "draft"  # whoever reads meanwhile reads those of before
        try:
            self._folder.mkdir(exist_ok=True)
            with draft.open("wb") as file:
                for array in tensors.values():
                    file.write(_bytes_of(np.ascontiguousarray(array)))
            with self._turn:
                draft.replace(self._file(number))
                self._kept[number] = kept
        except OSError as error:
            raise MachineError(
                f"cannot keep tensors in {self._folder}: {error.strerror}: make room there, or "
                "name a larger place by TMPDIR"
            ) from None

    def clear(self) -> None:
        """Remove them all."""
        with self._writing, self._turn:
            self._bytes.clear()
            self._all_bytes = 0
            while self._kept:
                self._file(self._kept.popitem()[0]).unlink(missing_ok=True)

    def __getitem__(self, number: int) -> Tensors:
        with self._turn:
            kept = self._kept[number]
            file = self._file(number).open("rb")
        with file:
            return {name: _read(file, *kind) for name, kind in kept.items()}

    def __contains__(self, number: object) -> bool:
        """Whether it is kept; nothing is read for that."""
        return number in self._kept

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.tensors"


def _bytes_of(array: NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _read(file: BufferedReader, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    # numpy's own files have a header that is parsed as Python, which fails by chance where two
    # threads do so at once (before Python 3.12.4)
    array: NDArray[Any] = np.empty(shape, dtype)
    if file.readinto(_bytes_of(array)) != array.nbytes:
        raise MachineError(
            f"cannot read tensors in {file.name}: it is shorter than what was kept there: run it "
            "again, and have nothing else write in the folder for temporary files"
        )
    return array
