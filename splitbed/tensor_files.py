"""Tensors by number, each set in a file: there may be more of them than memory has room for."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock

import numpy as np

from splitbed.errors import MachineError
from splitbed.tensors import Tensors, nbytes_of


class TensorFiles(Mapping[int, Tensors]):
    """Keeps sets of named tensors under `folder`, which is its own; reads one when it is asked.

    `check` refuses to keep so many bytes of all of them together.
    """

    def __init__(self, folder: Path, check: Callable[[int], None] = lambda _: None) -> None:
        self._folder = folder
        self._check = check
        self._turn = Lock()
        self._names: dict[int, tuple[str, ...]] = {}
        self._bytes: dict[int, int] = {}
        self._all_bytes = 0

    def put(self, number: int, tensors: Tensors) -> None:
        """Keep these under that number; MachineError where the disk is full."""
        nbytes = nbytes_of(tensors)
        with self._turn:
            all_bytes = self._all_bytes - self._bytes.get(number, 0) + nbytes
            self._check(all_bytes)
            self._write(number, tensors)
            self._names[number], self._bytes[number] = tuple(tensors), nbytes
            self._all_bytes = all_bytes

    def _write(self, number: int, tensors: Tensors) -> None:
        draft = self._folder / "draft"  # whoever reads meanwhile reads those of before
        try:
            self._folder.mkdir(exist_ok=True)
            with draft.open("wb") as file:
                for array in tensors.values():
                    np.save(file, array, allow_pickle=False)
            draft.replace(self._file(number))
        except OSError as error:
            raise MachineError(
                f"cannot keep tensors in {self._folder}: {error.strerror}: make room there, or "
                "name a larger place by TMPDIR"
            ) from None

    def clear(self) -> None:
        """Remove them all."""
        with self._turn:
            self._bytes.clear()
            self._all_bytes = 0
            while self._names:
                self._file(self._names.popitem()[0]).unlink(missing_ok=True)

    def __getitem__(self, number: int) -> Tensors:
        names = self._names[number]
        try:
            with self._file(number).open("rb") as file:
                return {name: np.load(file, allow_pickle=False) for name in names}
        except (FileNotFoundError, EOFError, ValueError):  # another thread has changed it
            raise KeyError(number) from None

    def __contains__(self, number: object) -> bool:
        """Whether it is kept; nothing is read for that."""
        return number in self._names

    def __iter__(self) -> Iterator[int]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _file(self, number: int) -> Path:
        return self._folder / f"{number}.npy"
