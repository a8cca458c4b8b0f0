"""Archives unpacked with care: nothing leaves the folder, and no more comes than is allowed."""

import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from splitbed.errors import MachineError, UsageError
from splitbed.media.files import check_plain

BLOCK_BYTES = 1 << 20
MAX_BYTES = 100_000_000_000
MAX_FILES = 1_000_000

_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError,
)  # fmt: skip
"""What zipfile and tarfile raise for what is damaged, locked or of a rare method."""


def unpack(archive: Path, folder: Path, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a zip or tar file (also compressed) into ``folder``, wholly or not at all.

    Owners and modes are left out.

    Raises:
        UsageError: no archive, or damaged; a member whose name leaves the folder, that is a link
            or device, or is there already; more than ``max_bytes`` when unpacked.
        MachineError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as draft:
            _write(archive, Path(draft), max_bytes)
            _move(Path(draft), folder, archive)
    except _DAMAGED as error:
        raise UsageError(f"cannot unpack {archive}: {error}; get it again") from error
    except OSError as error:
        raise MachineError(
            f"cannot unpack {archive} into {folder}: {error.strerror or error}"
        ) from error


def _write(archive: Path, draft: Path, max_bytes: int) -> None:
    left = max_bytes
    with _members(archive) as members:
        for count, (name, content) in enumerate(members, start=1):
            pure = PurePosixPath(name)
            if pure.is_absolute() or ".." in pure.parts or "\0" in name or "\\" in name:
                raise UsageError(f"will not unpack {archive}: {name!r} would leave the folder")
            if count > MAX_FILES:
                raise UsageError(f"will not unpack {archive}: it has more than {MAX_FILES} files")
            place = draft / pure
            if content is None:
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            with content, place.open("xb") as file:
                while block := content.read(BLOCK_BYTES):
                    left -= len(block)
                    if left < 0:
                        raise UsageError(
                            f"will not unpack {archive}: it has more than {max_bytes / 1e6:.0f} MB"
                        )
                    file.write(block)


def _move(draft: Path, folder: Path, archive: Path) -> None:
    new = sorted(draft.iterdir())
    for path in new:
        if (folder / path.name).exists():
            raise UsageError(
                f"will not unpack {archive}: {folder / path.name} is there already; remove it first"
            )
    for path in new:
        shutil.move(path, folder / path.name)


Members = Iterator[tuple[str, IO[bytes] | None]]


@contextmanager
def _members(archive: Path) -> Iterator[Members]:
    """Name and content of each member in turn; a folder has no content."""
    check_plain(archive)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _of_zip(opened, archive)
    elif archive.is_file() and tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened_tar:
            yield _of_tar(opened_tar, archive)
    else:
        raise UsageError(f"cannot unpack {archive}: it is no zip or tar file")


def _of_zip(opened: zipfile.ZipFile, archive: Path) -> Members:
    for info in opened.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UsageError(f"will not unpack {archive}: {info.filename!r} is a link or a device")
        yield info.filename, None if info.is_dir() else opened.open(info)


def _of_tar(opened: tarfile.TarFile, archive: Path) -> Members:
    for info in opened:
        if not info.isdir() and not info.isreg():
            raise UsageError(f"will not unpack {archive}: {info.name!r} is a link or a device")
        yield info.name, None if info.isdir() else opened.extractfile(info)
