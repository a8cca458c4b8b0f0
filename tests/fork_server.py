"""One process that workers are forked from, for all tests of a folder: each starts in a second."""

from collections.abc import Iterator

import pytest

from splitbed.workers.fork_server import ending_fork_server

__all__ = ["one_fork_server"]


@pytest.fixture(scope="package", autouse=True)
def one_fork_server() -> Iterator[None]:
    with ending_fork_server():
        yield
