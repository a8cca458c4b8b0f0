"""Codecs of a user's package, installed for a test."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from splitbed.codecs import GROUP, codec_named

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Lets a distribution have entry points: name and object."""

    def installed(*points: tuple[str, str]) -> None:
        entries = [EntryPoint(name, value, GROUP) for name, value in points]
        monkeypatch.setattr("splitbed.extensions.entries", lambda _: entries)
        codec_named.cache_clear()

    yield installed
    codec_named.cache_clear()
