"""A machine that measures groups: its name, its folder, and its lock.

~/.cache/splitbed/hosts/NAME/    $SPLITBED_CACHE in place of ~/.cache/splitbed
    files/ parcels/              what was sent, by its sha256; KEPT_BYTES of it
    groups/KEY/                  what was asked, and the run folder, until it is a week old
"""

import fcntl
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestrator.testbed.cache import cache_folder
from splitbed.errors import MachineError

NAME = "SPLITBED_HOST"
"""What a machine is called that is not to be called by its host's name."""
KEPT_S = 7 * 86_400.0
"""A group's folder: a run that is gone on with later is measured anew."""
KEPT_BYTES, UNUSED_S = 20_000_000_000, 86_400.0
"""Of what was sent: the more is dropped that was not used for so long."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Host:
    """This machine, or one of several that it plays in tests."""

    name: str
    folder: Path

    @classmethod
    def here(cls) -> "Host":
        """Called as $SPLITBED_HOST says, else as the machine is; MachineError."""
        name = os.environ.get(NAME) or socket.gethostname()
        if not _NAME.fullmatch(name):
            raise MachineError(f"a machine cannot be called {name[:100]!r}: set {NAME} there")
        return cls(name, cache_folder() / "hosts" / name)

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Wait until no other group is measured here; gives the descriptor that holds the lock.

        Who inherits it holds it, too.
        """
        descriptor = _opened(Path(tempfile.gettempdir()) / f"splitbed.{self.name}.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def using(self) -> Iterator[None]:
        """Whatever was sent stays while an order uses any; then what is too much goes."""
        try:
            with self._sent(fcntl.LOCK_SH):
                yield
        finally:
            self.prune()

    def prune(self, most_bytes: int = KEPT_BYTES) -> None:
        """Drop what was sent, the longest unused first, until no more is kept; not while in use."""
        files, parcels = self.folder / "files", self.folder / "parcels"
        with suppress(OSError), self._sent(fcntl.LOCK_EX | fcntl.LOCK_NB):
            for draft in (*files.glob(".*"), *parcels.glob(".*")):  # of processes that were killed
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
            unused = sorted(filter(_unused, parcels.glob("*")), key=_used_s)
            while _kept_bytes(files) > most_bytes and unused:
                shutil.rmtree(unused.pop(0))

    @contextmanager
    def _sent(self, how: int) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, how)
            yield
        finally:
            os.close(descriptor)

    def group(self, key: str) -> Path:
        """The folder of a group, made where it is not there; old ones of others go."""
        groups = self.folder / "groups"
        groups.mkdir(parents=True, exist_ok=True)
        for one in groups.iterdir():
            if one.name != key and time.time() - one.stat().st_mtime > KEPT_S:
                shutil.rmtree(one, ignore_errors=True)
        (groups / key).mkdir(exist_ok=True)
        os.utime(groups / key)
        return groups / key

    @property
    def holds(self) -> tuple[str, ...]:
        """The keys of the groups that were begun here."""
        return tuple(sorted(one.name for one in (self.folder / "groups").glob("*")))


def _used_s(sent: Path) -> float:
    return sent.stat().st_mtime


def _unused(sent: Path) -> bool:
    return time.time() - _used_s(sent) > UNUSED_S


def _kept_bytes(files: Path) -> int:
    """Of all that is in a parcel, or was used lately; the others go."""
    kept = 0
    for file in files.glob("*"):
        if file.stat().st_nlink == 1 and _unused(file):
            file.unlink()
        else:
            kept += file.stat().st_size
    return kept


def _opened(file: Path) -> int:
    """The lock of all users: who opens a file of another in a shared folder must not create it."""
    while True:
        try:
            return os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            pass
        try:
            return os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            continue
