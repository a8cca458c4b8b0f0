"""Commands of one module share a fork server, which each would start for itself."""

from collections.abc import Iterator

import pytest

from splitbed.workers.fork_server import ending_fork_server


@pytest.fixture(scope="module", autouse=True)
def one_fork_server() -> Iterator[None]:
    with ending_fork_server():
        yield
