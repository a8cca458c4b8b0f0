"""Files read and hashed, with errors that name them."""

import errno
import hashlib
from pathlib import Path

from splitbed.errors import UsageError


def is_there(name: Path | str) -> bool:
    """Whether there is a file or folder of a name; a list of many, say, is too long to be one."""
    try:
        return Path(name).exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def read_file(path: Path) -> bytes:
    """A file's bytes; UsageError where it cannot be read, or has no end, as a pipe or device."""
    try:
        check_plain(path)
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def hash_bytes(data: bytes) -> dict[str, str]:
    """The ``sha256`` and ``md5`` of what may be in no file."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {"sha256": hashlib.sha256(data).hexdigest(), "md5": md5}


def hash_file(path: Path) -> dict[str, str]:
    """A file's ``sha256`` and ``md5``; raises as :func:`read_file`."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    try:
        check_plain(path)
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                md5.update(block)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def check_plain(path: Path) -> None:
    """Raise UsageError for what is there and has no end, such as a pipe."""
    if not path.is_file() and path.exists():
        raise UsageError(f"cannot read {path}: it is no plain file")
