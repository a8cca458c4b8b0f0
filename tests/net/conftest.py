"""Links to test on. A machine that cannot make one skips, with what it lacks."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from netem.backends import choose, open_link
from netem.link import Link
from splitbed.errors import MachineError
from splitbed.workers.fork_server import ending_fork_server

# A shell that starts the tests in its background has them ignore Ctrl-C, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_fork_server() -> None:
    """Tests before left none in this process, whose children some of these look at."""
    with ending_fork_server():
        pass


@pytest.fixture(scope="session")
def backend() -> str:
    """The backend that this machine would use."""
    try:
        return choose()
    except MachineError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def link(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    """A link that the tests of a module share; each shapes it for itself."""
    with open_link(backend, tmp_path_factory.mktemp("run")) as opened:
        yield opened


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"
