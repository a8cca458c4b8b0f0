"""One process that workers are forked from, for all tests of a folder: each starts in a second."""

from collections.abc import Iterator

import pytest

from splitbed.workers.fork_server import ending_fork_server

__all__ = ["no_fork_server", "one_fork_server"]


@pytest.fixture(scope="package", autouse=True)
def one_fork_server() -> Iterator[None]:
    with ending_fork_server():
        yield


@pytest.fixture(name="one_fork_server", scope="module", autouse=True)
def no_fork_server() -> None:
    """None is kept, nor was one left: for a module that looks at the children of this process."""
    with ending_fork_server():
        pass
