"""Files that passed, by what they hold, so that none is tried again."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

_MOST = 4096


class Known:
    """The last of them.  Of several files the first is the model; others go by their dates."""

    def __init__(self) -> None:
        self._passed: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._lock = threading.Lock()

    def learn(self, path: Path, sha256: str) -> None:
        """What a file holds, which need not be read for that any more."""
        self._put(self._hashes, _identity(path), sha256)

    def add(self, files: Sequence[Path], run: str) -> None:
        """They passed, run like this."""
        self._put(self._passed, self._key(files, run), "")

    def holds(self, files: Sequence[Path], run: str) -> bool:
        """Whether they did."""
        return self._key(files, run) in self._passed

    def _key(self, files: Sequence[Path], run: str) -> str:
        path, *beside = files
        if (sha256 := self._hashes.get(_identity(path))) is None:
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return hashlib.sha256(
            "\n".join([sha256, *map(_identity, beside), run]).encode()
        ).hexdigest()

    def _put(self, known: dict[str, str], key: str, value: str) -> None:
        with self._lock:
            known[key] = value
            while len(known) > _MOST:
                del known[next(iter(known))]


def _identity(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
