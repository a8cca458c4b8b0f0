"""What other packages add to Splitbed, each group of entry points a table by name.

A package names what it brings in its pyproject.toml::

    [project.entry-points."splitbed.codecs"]
    halved = "my_package:HALVED"

and is installed wherever that is used: beside the orchestrator, and on both nodes what runs there.
"""

import importlib.metadata
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeVar

from splitbed.errors import UsageError, did_you_mean

T = TypeVar("T")


class Extensible(Mapping[str, T]):
    """Splitbed's own by name, then those of installed packages, loaded when they are asked for.

    ``what`` is one of them in messages. What a package brings must have the attributes ``needs``
    of ``kind``. ``reserved`` names mean something else already.

    Every look-up beyond our own raises UsageError where packages bring the same name twice, or one
    that cannot be imported or is of another kind.
    """

    def __init__(
        self,
        group: str,
        what: str,
        own: Mapping[str, T],
        *,
        kind: str,
        needs: Sequence[str] = (),
        reserved: Sequence[str] = (),
    ) -> None:
        self.group = group
        self.own = dict(own)
        self._what = what
        self._kind = kind
        self.needs = tuple(needs)
        self._reserved = reserved

    def __getitem__(self, name: str) -> T:
        return self.own[name] if name in self.own else self._load(self._installed()[name])

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self._installed()

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self._installed()

    def __len__(self) -> int:
        return len(self.own) + len(self._installed())

    def named(self, name: str, *, or_else: str = "") -> T:
        """The one of that name; UsageError with the choices, and ``or_else`` beside them."""
        if name in self:
            return self[name]
        raise UsageError(
            f"no {self._what} is called {name!r}{did_you_mean(name, self)}"
            f" choose {', '.join(self)}{or_else}"
        )

    def _installed(self) -> dict[str, EntryPoint]:
        found: dict[str, EntryPoint] = {}
        for entry in entries(self.group):
            if entry.name in self.own or entry.name in found or entry.name in self._reserved:
                other = found[entry.name].value if entry.name in found else "Splitbed's own"
                raise UsageError(
                    f"{_origin(entry)} brings a {self._what} called {entry.name!r}, as is {other}:"
                    " give it another name in the package, or uninstall that"
                )
            found[entry.name] = entry
        return found

    def _load(self, entry: EntryPoint) -> T:
        try:
            loaded: T = entry.load()
        except Exception as error:  # importing a user's package may raise anything
            raise UsageError(
                f"cannot import the {self._what} {entry.name!r} of {_origin(entry)}: {error}"
            ) from error
        if missing := [word for word in self.needs if not hasattr(loaded, word)]:
            raise UsageError(
                f"the {self._what} {entry.name!r} of {_origin(entry)} is no {self._kind}:"
                f" it lacks {', '.join(missing)}"
            )
        return loaded


def entries(group: str) -> Sequence[EntryPoint]:
    """What installed packages say in a group.

    To read it takes 30 ms, and a peer has it asked by any word; so it is read again once one of the
    folders on the path has changed.
    """
    return _read(group, tuple(map(_as_it_is, sys.path)))


@lru_cache(maxsize=64)
def _read(group: str, _path: Sequence[tuple[str, int]]) -> Sequence[EntryPoint]:
    return tuple(importlib.metadata.entry_points(group=group))


def _as_it_is(place: str) -> tuple[str, int]:
    try:
        return place, Path(place).stat().st_mtime_ns
    except OSError:
        return place, 0


def _origin(entry: EntryPoint) -> str:
    package = entry.dist.name if entry.dist else "a package"
    return f"{package} ({entry.value})"
