"""The scratch folder of one run, and what it tells about the processes of that run.

A run's namespaces are anonymous and its nodes die with the orchestrator, so what a killed run
leaves is this folder and, at worst, a process that outlived it. The folder says which: `lock` is
held while the orchestrator lives, `processes.jsonl` names every process by pid and start time.
`remove_abandoned` goes by that, never by a name that merely looks like ours.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from splitbed.workers.fork_server import ending_fork_server

_PREFIX = "splitbed-"
_LOCK, _PROCESSES = "lock", "processes.jsonl"


@dataclass(frozen=True)
class Scratch:
    """A private folder that goes when its run ends."""

    folder: Path

    def record(self, pid: int) -> None:
        """Write down that `pid` is a process of this run."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        with (self.folder / _PROCESSES).open("a") as file:
            file.write(json.dumps({"pid": pid, "started": started}) + "\n")


@contextmanager
def scratch() -> Iterator[Scratch]:
    """A scratch folder, removed at the end; what workers are forked from goes with the last."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with ending_fork_server(), (folder / f".{_LOCK}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # under its name only once it is held: nobody may see it free while this process lives
        Path(lock.name).rename(folder / _LOCK)
        try:
            yield Scratch(folder)
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True)
class Abandoned:
    """What was removed of one run whose orchestrator is gone."""

    folder: Path
    pids: tuple[int, ...]


def remove_abandoned() -> list[Abandoned]:
    """Remove what runs of this user left whose orchestrator no longer lives."""
    found = []
    for file in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}")):
        folder = file.parent
        # another `clean` may be at the same folder: what is gone is gone
        with suppress(FileNotFoundError, BlockingIOError), file.open() as lock:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pids = tuple(_end_processes(folder / _PROCESSES))
            shutil.rmtree(folder, ignore_errors=True)
            found.append(Abandoned(folder, pids))
    return found


def _end_processes(record: Path) -> Iterator[int]:
    lines = record.read_text().splitlines() if record.exists() else []
    for line in lines:
        # half a line of a run that was killed; a process that has ended
        with suppress(ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            entry = json.loads(line)
            process = psutil.Process(entry["pid"])
            # a pid may have gone to somebody else since: the start time tells
            same = process.create_time() == entry["started"]
            if same and process.status() != psutil.STATUS_ZOMBIE:
                process.kill()
                yield process.pid
