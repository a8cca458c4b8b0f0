"""What goes to a machine, and what comes back: JSON, which another version reads, too."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

from msgspec import field

from orchestrator.measure.conditions import git_commit
from orchestrator.results.json_record import Record

_PACKAGES = ("splitbed", "netem", "ue_node", "edge_node", "orchestrator", "topologies")


class Blob(Record, frozen=True, kw_only=True):
    """The content of a file, by which it is known."""

    sha256: str
    bytes: int


class Parcel(Record, frozen=True, kw_only=True):
    """Files that travel together; ``name`` is what is asked for among them, a file or a folder."""

    name: str
    files: Mapping[str, Blob]

    @property
    def sha256(self) -> str:
        """What it is known by."""
        return hashlib.sha256(self.json().encode()).hexdigest()

    @property
    def token(self) -> str:
        """What stands for its path in what is asked, which is another on every machine."""
        return f"{{parcel {self.sha256}}}"


class Build(Record, frozen=True, kw_only=True):
    """Which Splitbed it is: ``code`` is the sha256 of its modules, as they are now."""

    version: str
    commit: str | None
    code: str

    @property
    def words(self) -> str:
        """As 0.1.0 of commit 1a2b3c4."""
        of = f" of commit {self.commit[:7]}" if self.commit else ""
        changed = ", changed since" if self.commit and self.commit.endswith("+") else ""
        return f"{self.version}{of}{changed}"


class Order(Record, frozen=True, kw_only=True):
    """A group of cells to measure, or a machine to look at, where `looks` says so.

    ``asked`` are the options of its sweep, in which tokens stand for ``parcels``. The run folder
    begins with ``seeds``. ``key`` is the same for the same group of the same run.
    """

    key: str
    words: str
    build: Build
    asked: Mapping[str, object]
    parcels: tuple[Parcel, ...] = ()
    seeds: Mapping[str, Blob] = field(default_factory=dict)
    looks: bool = False
    remeasure: bool = False

    def asked_with(self, place: Callable[[Parcel], Path]) -> dict[str, object]:
        """The options, the files where they were placed."""
        text = {parcel.token: str(place(parcel)) for parcel in self.parcels}
        found = _replaced(self.asked, text)
        assert isinstance(found, dict)
        return found


class Answer(Record, frozen=True, kw_only=True):
    """What a machine says: that it is ready, or why it is ``unfit``; that it measured.

    ``stopped`` is why that ended before the last cell, ``holds`` the keys of what it has measured,
    ``place`` what the fleet calls the machine.
    """

    machine: str
    place: str = ""
    cpu: str = ""
    cpus: int = 0
    unfit: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    stopped: str = ""


@cache
def this_build() -> Build:
    """That of this process."""
    top, content = Path(__file__).parents[2], hashlib.sha256()
    for package in _PACKAGES:
        for file in sorted((top / package).rglob("*.py")):
            content.update(f"{file.relative_to(top)}\n".encode() + file.read_bytes())
    return Build(version=version("splitbed"), commit=git_commit(), code=content.hexdigest())


def key_of(run: str, asked: Mapping[str, object]) -> str:
    """The key of a group, by its configuration and the run that it is of."""
    return hashlib.sha256(json.dumps([run, asked], sort_keys=True).encode()).hexdigest()


def _replaced(value: object, text: Mapping[str, str]) -> object:
    match value:
        case str():
            for old, new in text.items():
                value = value.replace(old, new)
            return value
        case Mapping():
            return {key: _replaced(one, text) for key, one in value.items()}
        case list() | tuple():
            return [_replaced(one, text) for one in value]
    return value
