"""Files that passed, by what they hold, so that none is tried again."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

_MOST = 4096
_Value = TypeVar("_Value")


class Known:
    """The last of them.  Of several files the first is the model; others go by their dates."""

    def __init__(self) -> None:
        self._passed: dict[str, float] = {}
        self._hashes: dict[str, str] = {}
        self._lock = threading.Lock()

    def learn(self, path: Path, sha256: str) -> None:
        """What a file holds, which need not be read for that any more."""
        self._put(self._hashes, _identity(path), sha256)

    def add(self, files: Sequence[Path], run: str, off: float = 0.0) -> None:
        """They passed, run like this, and were so far off."""
        self._put(self._passed, self._key(files, run), off)

    def holds(self, files: Sequence[Path], run: str) -> bool:
        """Whether they did."""
        return self.off(files, run) is not None

    def off(self, files: Sequence[Path], run: str) -> float | None:
        """How far they were off; None where they are not known."""
        return self._passed.get(self._key(files, run))

    def _key(self, files: Sequence[Path], run: str) -> str:
        path, *beside = files
        if (sha256 := self._hashes.get(_identity(path))) is None:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(
            "\n".join([sha256, *map(_identity, beside), run]).encode()
        ).hexdigest()

    def _put(self, known: dict[str, _Value], key: str, value: _Value) -> None:
        with self._lock:
            known[key] = value
            while len(known) > _MOST:
                del known[next(iter(known))]


def _identity(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
