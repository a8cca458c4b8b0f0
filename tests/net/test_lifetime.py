"""Nothing of a link outlives it, however it ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from netem.backends import BACKENDS, linkbox, open_link
from netem.backends.linkbox import BoxEgress, uml_environment
from netem.doctor import UML
from netem.namespace import new_namespace
from netem.spec import symmetric
from splitbed.errors import LinkError
from tests.fork_server import no_fork_server
from tests.shared_machine import until

__all__ = ["no_fork_server"]

HOLD_A_LINK = """
import sys, time
from pathlib import Path
from netem.backends import open_link

with open_link(sys.argv[1], Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def box_backend(backend: str) -> str:
    """The link box, also where native would do."""
    del backend  # only for its skip
    if lacks := BACKENDS["linkbox"].lacks():
        pytest.skip(f"needs the link box: {lacks[0].name} {lacks[0].detail}")
    return "linkbox"


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def namespaces() -> set[str]:
    """Every network namespace that a process is in."""
    return _links(Path("/proc").glob("[0-9]*/ns/net"))


def namespaces_of(processes: Iterable[psutil.Process]) -> set[str]:
    """The network namespaces that these keep open or are in, and this process is not."""
    folders = [Path(f"/proc/{process.pid}") for process in processes]
    links = _links(
        entry for folder in folders for entry in (*folder.glob("fd/*"), folder / "ns/net")
    )
    return {link for link in links if link.startswith("net:")} - _links([Path("/proc/self/ns/net")])


def _links(entries: Iterable[Path]) -> set[str]:
    seen = set()
    for entry in entries:
        with suppress(OSError):  # ended meanwhile
            seen.add(str(entry.readlink()))
    return seen


def _folder(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


def test_a_closed_link_leaves_no_process_and_no_file(backend: str, run_dir: Path) -> None:
    with open_link(backend, run_dir):
        children = psutil.Process().children(recursive=True)
    assert alive(children) == []
    assert psutil.Process().children() == []
    assert list(run_dir.glob("*")) == []


def test_a_link_that_fails_in_use_is_closed_too(backend: str, run_dir: Path) -> None:
    children: list[psutil.Process] = []
    with pytest.raises(ZeroDivisionError), open_link(backend, run_dir):
        children += psutil.Process().children(recursive=True)
        raise ZeroDivisionError
    assert alive(children) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_parent_leaves_nothing(
    backend: str, run_dir: Path, number: signal.Signals
) -> None:
    argv = [sys.executable, "-c", HOLD_A_LINK, backend, str(run_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        children = psutil.Process(parent.pid).children(recursive=True)
        theirs = namespaces_of([psutil.Process(parent.pid), *children])
        os.kill(parent.pid, number)
    assert theirs
    until(lambda: not alive(children))
    assert not namespaces() & theirs
    assert list(run_dir.glob("*")) == []


@pytest.mark.parametrize("into_boot_s", [0, 0.3, 0.8])
def test_a_parent_killed_while_the_box_boots_leaves_no_process(
    box_backend: str, run_dir: Path, into_boot_s: float
) -> None:
    argv = [sys.executable, "-c", HOLD_A_LINK, box_backend, str(run_dir)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as parent:
        whole = psutil.Process(parent.pid)
        until(whole.children, parent)
        time.sleep(into_boot_s)
        children = whole.children(recursive=True)
        parent.kill()
    until(lambda: not alive(children))
    # and those that it was just starting
    until(lambda: not [p for p in psutil.process_iter() if str(run_dir) in _folder(p)])


def test_a_namespace_ends_with_its_descriptor() -> None:
    with new_namespace() as namespace:
        inode = os.fstat(namespace.fd).st_ino
        inside = subprocess.Popen(namespace.command(["sleep", "60"]))
        try:
            until(lambda: f"net:[{inode}]" in namespaces(), inside)
        finally:
            inside.kill()
            inside.wait()
    assert f"net:[{inode}]" not in namespaces()


def test_a_box_that_dies_is_told_at_the_next_change(box_backend: str, run_dir: Path) -> None:
    with open_link(box_backend, run_dir) as link:
        assert isinstance(link.uplink, BoxEgress)
        box = [p for p in psutil.Process().children(recursive=True) if UML in p.name()]
        box[0].kill()
        until(lambda: not alive(box[:1]))
        with pytest.raises(LinkError, match="link box"):
            link.shape(symmetric(rate_mbit=5))


def test_a_line_that_tc_refuses_is_told_and_the_box_goes_on(
    box_backend: str, run_dir: Path
) -> None:
    with open_link(box_backend, run_dir) as link:
        assert isinstance(link.uplink, BoxEgress)
        with pytest.raises(LinkError, match="rate"):
            link.uplink.box.tc(
                "qdisc replace dev vec1 root netem rate bogus\nqdisc show dev vec1\n"
            )
        link.shape(symmetric(rate_mbit=5))


@pytest.mark.parametrize(("shared", "is_there"), [("/dev/shm", True), ("/no/where", False)])
def test_a_boxs_memory_is_where_code_may_run_whatever_tmpdir_says(
    monkeypatch: pytest.MonkeyPatch, box_backend: str, tmp_path: Path, shared: str, is_there: bool
) -> None:
    if is_there and os.statvfs(shared).f_flag & os.ST_NOEXEC:
        pytest.skip(f"{shared} runs no code here, as in a container")
    monkeypatch.setattr(f"netem.backends.{box_backend}._SHARED_MEMORY", shared)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (folder := tmp_path / "box").mkdir()
    assert uml_environment(folder)["TMPDIR"] == (shared if is_there else str(folder))


@pytest.mark.parametrize(
    ("script", "told"),
    [("echo out of memory >&2; exit 1", "out of memory"), ("sleep 60", "silent")],
    ids=["ends", "hangs"],
)
def test_a_box_that_does_not_come_up_is_told_and_removed(
    box_backend: str, run_dir: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    fake = run_dir / "bin" / UML
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    assert shutil.which(UML) == str(fake)
    monkeypatch.setattr(linkbox, "_BOOT_S", 0.5)
    with pytest.raises(LinkError, match=told), open_link(box_backend, run_dir):
        pass
    assert psutil.Process().children(recursive=True) == []
