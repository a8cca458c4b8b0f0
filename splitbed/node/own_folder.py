"""A folder that goes with its process; what a killed one left goes when the next one starts."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"


@contextmanager
def own_folder(prefix: str) -> Iterator[Path]:
    """A new folder below TMPDIR, its name beginning with ``prefix``."""
    _remove_abandoned(prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    with (folder / f".{_LOCK}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # under its name only once it is held: nobody may see it free while this process lives
        Path(lock.name).rename(folder / _LOCK)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(prefix: str) -> None:
    """Remove those of this user whose lock nobody holds."""
    for file in Path(tempfile.gettempdir()).glob(f"{prefix}*/{_LOCK}"):
        # another may be at the same folder: what is gone is gone
        with suppress(OSError):
            plain = file.is_file() and not file.is_symlink() and not file.parent.is_symlink()
            if not plain or file.parent.stat().st_uid != os.geteuid():
                continue
            with file.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(file.parent, ignore_errors=True)
