"""Work in a process that may die: what it may take, and what is told of its end."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.workers.allowance import ALLOWED, Allowance
from splitbed.workers.fork_server import ending_fork_server, fork_server, prepare
from splitbed.workers.task import Answer, Task
from splitbed.workers.wanted import WANTED
from splitbed.workers.worker import WALL, Died, Worker
from tests.shared_machine import HANG_S, until
from tests.workers import tasks

ENOUGH = Allowance(1 << 30, 20.0, 1 << 30)


def worker(task: Task, allowed: Allowance = ENOUGH, **asked: object) -> Worker:
    return Worker(f"{tasks.__name__}:{task.__name__}", asked, allowed)


def answer(task: Task, allowed: Allowance = ENOUGH, **asked: object) -> Answer:
    with worker(task, allowed, **asked) as one:
        return one.answer()


def test_it_gets_what_is_asked_and_all_that_it_is_fed() -> None:
    with worker(tasks.echo, number=7, long="x" * 200_000) as one:
        pid = one.ready()["pid"]
        assert pid == one.pid != os.getpid()
        for _ in range(1000):
            assert one.feed(b"0123456789" * 20)
        said = one.answer()
    assert said["number"] == 7
    assert said["fed"] == "0123456789" * 20_000
    assert len(str(said["long"])) == 200_000
    assert said["parent"] == fork_server().pid


def test_it_works_where_who_asks_is_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_server()  # which began elsewhere
    monkeypatch.chdir(tmp_path)
    assert answer(tasks.folder) == {"folder": str(tmp_path)}


def test_it_is_forked_of_a_process_of_one_thread_that_has_imported_what_it_needs() -> None:
    prepare("splitbed.runtime.trial", "splitbed.runtime.onnx", "splitbed.model_coders.worker")
    prepare("splitbed.runtime.tflite:interpreter_class")
    assert answer(tasks.threads) == {"threads": 1}
    assert psutil.Process(fork_server().pid).num_threads() == 1


@pytest.mark.parametrize(
    ("task", "allowed", "how"),
    [
        (tasks.crash, ENOUGH, "SIGSEGV"),
        (tasks.spin, Allowance(1 << 30, 0.0), "killed: it was at work for too long"),
        (tasks.half, ENOUGH, "killed"),
    ],
)
def test_how_it_died_is_told(
    task: Task, allowed: Allowance, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitbed.workers.worker.GRACE_S", HANG_S)
    with pytest.raises(Died, match=how):
        answer(task, allowed)


@pytest.mark.parametrize(
    ("task", "kind", "what"),
    [
        (tasks.refuse, UsageError, "this is wrong"),
        (tasks.fail, NodeError, "KeyError: 'nobody thought of it'"),
        (tasks.hoard, NodeError, f"more than {64 << 20} bytes of memory"),
    ],
)
def test_what_it_says_of_what_is_wrong_is_told(
    task: Task, kind: type[Exception], what: str
) -> None:
    for asked in (Worker.answer, Worker.ready) if task is tasks.refuse else (Worker.answer,):
        with worker(task, Allowance(64 << 20, 20.0)) as one, pytest.raises(kind, match=what):
            asked(one)


def test_one_that_does_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.workers.worker.GRACE_S", 0.0)
    with worker(tasks.sleep, Allowance(1 << 30, 0.2)) as one:
        one.ready()
        with pytest.raises(Died, match=f"over {WALL * 0.2:g} s"):
            one.answer()
        until(lambda: not psutil.pid_exists(one.pid))


def test_it_writes_no_more_than_it_may(tmp_path: Path) -> None:
    for most, error in ((1 << 20, {}), ((1 << 20) - 1, {"error": "File too large"})):
        said = answer(tasks.write, Allowance(1 << 30, 20.0, most), path=str(tmp_path / "file"))
        assert said == error


@pytest.mark.parametrize("end", [Worker.kill, Worker.close])
def test_it_ends_when_it_is_ended(end: Callable[[Worker], None]) -> None:
    with worker(tasks.sleep) as one:
        one.ready()
        end(one)
        until(lambda: not psutil.pid_exists(one.pid))


def test_one_that_nobody_listened_to_ends_when_it_is_left() -> None:
    with worker(tasks.sleep):
        until(lambda: workers() != [])
    until(lambda: workers() == [])


def test_one_that_has_ended_is_not_ended_again(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    with worker(tasks.threads) as one:
        one.ready()
        until(lambda: not psutil.pid_exists(one.pid))
        monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    assert not killed


def test_one_that_talks_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitbed.workers.worker._MOST_SAID_BYTES", 1 << 20)
    with pytest.raises(Died, match="too much"):
        answer(tasks.talk)


def test_who_is_given_up_does_not_wait_to_feed_it() -> None:
    with worker(tasks.sleep) as one:
        token = WANTED.set(lambda: False)
        try:
            with pytest.raises(NodeError, match="given up"):
                one.feed(bytes(1 << 20))
        finally:
            WANTED.reset(token)


def test_what_cannot_be_imported_is_the_machines_fault_and_ends_nobody_else() -> None:
    before = fork_server().pid
    with worker(tasks.echo) as other:
        prepare("tests.workers.broken", "tests.workers.tasks:nothing_that_is_there")
        with (
            Worker("tests.workers.broken:task", {}, ENOUGH) as one,
            pytest.raises(MachineError, match="half of it is missing"),
        ):
            one.accepted("read a file")
        assert other.answer()["parent"] == fork_server().pid == before


@pytest.mark.parametrize(
    ("room", "says"), [(0, "no room"), (1, "no room"), (2, "process: Too many open files")]
)
def test_where_there_can_be_no_process_that_is_said_and_ends_nobody_else(
    room: int, says: str
) -> None:
    before = fork_server().pid
    with worker(tasks.echo) as other:
        other.ready()
        until(lambda: len(workers()) == 1 and psutil.Process(before).status() == "sleeping")
        used = {int(file.name) for file in Path(f"/proc/{before}/fd").iterdir()}
        most = max(most for most in range(1024) if most - len(used & {*range(most)}) == room)
        limits = resource.prlimit(before, resource.RLIMIT_NOFILE)
        resource.prlimit(before, resource.RLIMIT_NOFILE, (most, limits[1]))
        try:
            with (
                worker(tasks.echo) as one,
                pytest.raises(MachineError, match=says),
            ):
                one.accepted("read a file")
        finally:
            resource.prlimit(before, resource.RLIMIT_NOFILE, limits)
        assert other.answer()["parent"] == before
    assert answer(tasks.echo)["parent"] == before


def test_where_there_can_be_no_pipe_that_is_said_and_none_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fork_server()
    pipes, files = iter([os.pipe()]), len([*Path("/proc/self/fd").iterdir()])

    def pipe() -> tuple[int, int]:
        if (ends := next(pipes, None)) is None:
            raise OSError(24, "Too many open files")
        return ends

    monkeypatch.setattr(os, "pipe", pipe)
    with pytest.raises(MachineError, match="cannot start a worker: Too many open files"):
        worker(tasks.echo)
    assert len([*Path("/proc/self/fd").iterdir()]) == files - 2


def test_it_is_held_to_what_it_is_held_to_already_where_that_is_less() -> None:
    program = (
        "from resource import *; from splitbed.workers.allowance import Allowance\n"
        "setrlimit(RLIMIT_FSIZE, (4096, 4096))\n"
        "Allowance(1 << 40, 1000.0, 1 << 20, threads=3).hold()\n"
        "print(getrlimit(RLIMIT_FSIZE)[0], getrlimit(RLIMIT_CPU)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    file_bytes, seconds = map(int, done.stdout.split())
    assert file_bytes == 4096
    assert 3000 < seconds < 3010


def test_files_may_take_what_a_session_may_and_no_more_than_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ALLOWED, "session_bytes", 64 << 20)
    assert Allowance.of_files(1 << 20).memory_bytes == 68 << 20
    assert Allowance.of_files(1 << 50).memory_bytes <= psutil.virtual_memory().total


def test_a_larger_file_may_take_longer_to_open_and_run() -> None:
    small, large = (Allowance.of_files(nbytes).seconds for nbytes in (0, 1 << 30))
    assert large - small == pytest.approx(64)


def workers() -> list[psutil.Process]:
    return psutil.Process(fork_server().pid).children()


def test_how_one_ended_that_was_never_ready_is_told() -> None:
    with worker(tasks.vanish) as one:
        until(lambda: workers() == [])
        with pytest.raises(Died, match="killed"):
            one.ready()


def test_many_at_once_do_not_wait_for_one_another() -> None:
    with worker(tasks.sleep) as one, worker(tasks.echo) as other:
        one.ready()
        assert other.answer()["fed"] == ""
        assert psutil.pid_exists(one.pid)


def test_a_fork_server_that_ended_is_started_anew() -> None:
    with worker(tasks.sleep) as one:
        one.ready()
        os.kill(fork_server().pid, signal.SIGKILL)
        with pytest.raises(MachineError, match="fork server ended"):
            one.accepted("read a file")
    assert answer(tasks.echo)["fed"] == ""


def test_none_is_left_behind_when_the_last_has_left() -> None:
    with ending_fork_server():
        with ending_fork_server():
            pid = fork_server().pid
        assert answer(tasks.echo)["parent"] == pid
    assert not psutil.pid_exists(pid)
    assert answer(tasks.echo)["parent"] != pid


def test_all_of_it_ends_with_the_process_that_started_it() -> None:
    program = (
        "import time; from tests.workers.test_worker import fork_server, tasks, worker\n"
        "one = worker(tasks.sleep); one.ready(); print(fork_server().pid, one.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pids = [*map(int, process.stdout.readline().split())]
        process.kill()
    with suppress(psutil.NoSuchProcess):
        until(lambda: not any(map(psutil.pid_exists, pids)))
