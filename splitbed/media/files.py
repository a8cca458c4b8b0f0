"""Files that somebody named, read, hashed and written, with errors that name them."""

import errno
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from splitbed.errors import UsageError

_NOT_PLAIN = "it is no plain file"


def is_there(name: Path | str) -> bool:
    """Whether there is a file or folder of a name; a list of many, say, is too long to be one."""
    try:
        return Path(name).exists()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def opened(path: Path) -> BufferedReader:
    """A file that somebody named, to read. OSError, told at once, for one that may have no end.

    That is a pipe, a device or a socket.
    """
    # without O_NONBLOCK a pipe is opened once somebody writes into it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, _NOT_PLAIN, str(path))


def text_in(path: Path) -> str:
    """The text of such a file. Raises OSError, and UnicodeDecodeError for what is none."""
    with opened(path) as file:
        return file.read().decode()


def read_file(path: Path) -> bytes:
    """A file's bytes; UsageError where it cannot be read, or has no end, as a pipe or device."""
    try:
        with opened(path) as file:
            return file.read()
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
        with opened(path) as file:
            while block := file.read(1 << 20):
                sha256.update(block)
                md5.update(block)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return {"sha256": sha256.hexdigest(), "md5": md5.hexdigest()}


def check_plain(path: Path) -> None:
    """Raise UsageError for what is there and has no end, where another is to open it."""
    if not path.is_file() and path.exists():
        raise UsageError(f"cannot read {path}: {_NOT_PLAIN}")


def check_new(file: Path | None) -> None:
    """Raise UsageError for a file that is there: nothing measured is overwritten."""
    if file is not None and file.exists():
        raise UsageError(f"{file} is there already: choose another --out")


def write_new(file: Path, text: str) -> None:
    """Write a file that is not there yet, and the folders to it; UsageError where that fails."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
