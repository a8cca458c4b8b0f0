"""A link is opened by whatever process wants one, which stays what it was.

`test_rootless.py` runs all of this as an ordinary user, too.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from netem.backends import open_link
from netem.link import Link
from netem.spec import symmetric
from tests.fork_server import no_fork_server
from tests.net.traffic import connected

__all__ = ["no_fork_server"]


def myself() -> dict[str, object]:
    """All of this process that a link might change."""
    me = psutil.Process()
    namespaces = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            namespaces.add(
                frozenset((kind.name, kind.readlink()) for kind in (task / "ns").iterdir())
            )
    return {
        "pid": os.getpid(),
        "users": os.getresuid() + os.getresgid(),
        "argv": me.cmdline(),
        "folder": Path.cwd(),
        "environment": dict(os.environ),
        "handlers": [signal.getsignal(number) for number in sorted(signal.valid_signals())],
        "namespaces": namespaces,  # of all threads
        "open": {file.readlink() for file in Path("/proc/self/fd").iterdir() if file.exists()},
        "children": me.children(recursive=True),
    }


@contextmanager
def unchanged() -> Iterator[None]:
    """This process is the same after as before."""
    before = myself()
    yield
    assert myself() == before


def exchanged(link: Link) -> bytes:
    """What arrives of three bytes that cross the link and come back."""
    near, far = connected(link.ue, link.edge, link.edge_address)
    with near, far:
        near.sendall(b"abc")
        far.sendall(far.recv(3, socket.MSG_WAITALL)[::-1])
        return near.recv(3, socket.MSG_WAITALL)


def test_opening_a_link_changes_nothing_of_this_process(backend: str, run_dir: Path) -> None:
    with unchanged(), open_link(backend, run_dir) as link:
        link.shape(symmetric(rate_mbit=20, delay_ms=1))
        assert exchanged(link) == b"cba"
        mine = {name: Path("/proc/self/ns", name).readlink() for name in ("net", "user")}
        assert link.ue.run(["readlink", "/proc/self/ns/net"]).strip() != str(mine["net"])


def test_a_thread_opens_a_link_beside_others_that_go_on(backend: str, run_dir: Path) -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()

    def use() -> bytes:
        with open_link(backend, run_dir) as link:
            return exchanged(link)

    try:
        with unchanged(), ThreadPoolExecutor(1) as thread:
            assert thread.submit(use).result() == b"cba"
    finally:
        done.set()
        other.join()


def test_two_links_are_open_at_once(backend: str, run_dir: Path) -> None:
    with unchanged(), ExitStack() as stack:
        links = [stack.enter_context(open_link(backend, run_dir / name)) for name in "ab"]
        assert [exchanged(link) for link in links] == [b"cba", b"cba"]


def test_an_exception_inside_leaves_nothing(backend: str, run_dir: Path) -> None:
    with unchanged(), pytest.raises(ZeroDivisionError), open_link(backend, run_dir):
        raise ZeroDivisionError
    assert list(run_dir.glob("*")) == []


def test_what_runs_inside_an_end_is_in_its_namespace_and_ends_as_it_ends(
    backend: str, run_dir: Path
) -> None:
    with open_link(backend, run_dir) as link:
        argv = [sys.executable, "-c", "import os, sys; print(os.getpid()); sys.exit(7)"]
        with subprocess.Popen(link.ue.command(argv), stdout=subprocess.PIPE) as inside:
            said, _ = inside.communicate()
    assert (int(said), inside.returncode) == (inside.pid, 7)
