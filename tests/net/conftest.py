"""Links to test on. A machine that cannot make one skips, with what it lacks."""

import signal
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from netem.backends import choose, open_link
from netem.link import Link
from splitbed.errors import MachineError
from splitbed.workers.fork_server import ending_fork_server, fork_server

# A shell that starts the tests in its background has them ignore Ctrl-C, and their children too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def one_fork_server() -> Iterator[None]:
    """What nodes need is imported once for a module, and not again for each of its sweeps.

    It is there before what is of one test alone, such as its TMPDIR. A module that looks at the
    children of this process has that of tests/fork_server.py in its place.
    """
    with ending_fork_server():
        fork_server()
        yield


@pytest.fixture(scope="module")
def anchors_once() -> Iterator[None]:
    """Sweeps of a module do not have the anchors once more at the end, two visits of five.

    Its tests do not look at those; tests/net/test_resume_random.py does.
    """
    with patch("orchestrator.measure.sweep.anchors_again", lambda *_: []):
        yield


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
