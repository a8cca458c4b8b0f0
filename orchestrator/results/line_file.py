"""A file that grows by lines, each there as soon as it is added."""

import os
from pathlib import Path
from typing import Self


class LineFile:
    """Appends lines; half a line, of a run that was killed or out of disk, costs that line only.

    Opened when the first line comes. Every method raises OSError.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None
        self._cut = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: bytes, *, sync: bool = False) -> None:
        """Append `line`, and see that it is on the disk where that is asked."""
        if self._descriptor is None:
            self._open()
        assert self._descriptor is not None
        left = memoryview(b"\n" + line + b"\n" if self._cut else line + b"\n")
        self._cut = True
        while left:
            left = left[os.write(self._descriptor, left) :]
        self._cut = False
        if sync:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it; a line that comes later opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> None:
        self._cut = not _ends_with_newline(self._file)
        self._descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)


def _ends_with_newline(file: Path) -> bool:
    """Also of one that is empty, or not there."""
    if not file.is_file() or not file.stat().st_size:
        return True
    with file.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
