"""A module run as a program in a process that was forked: as one that was started anew."""

import json
import os
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from splitbed.errors import MachineError
from splitbed.workers.fork_server import ending_fork_server, fork_server, forked, prepare
from splitbed.workers.program import Program
from tests.shared_machine import until

TELLING = "tests.workers.telling"


def started(log: Path, *argv: str, **environment: str) -> Program:
    its = {**os.environ, "OWN": "its own", **environment}
    return Program(TELLING, argv, log=log, environment=its)


def told(log: Path) -> dict[str, Any]:
    """What it told of itself."""
    until(lambda: log.exists() and log.read_text().count("\n") > 1)
    return dict(json.loads(log.read_text().splitlines()[1]))


def test_it_is_as_one_that_was_started_where_who_asks_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare("numpy")  # whose threads would not be there after a fork
    monkeypatch.chdir(tmp_path)
    program = started(log := tmp_path / "log", "0", "--name", "it")
    assert program.wait() == 0
    said = told(log)
    assert said["called"] == ["-P", "-m", TELLING, "0", "--name", "it"]
    assert said["argv"] == ["0", "--name", "it"]
    assert (said["main"], said["own"]) == ("__main__", "its own")
    assert Path(said["folder"]) == tmp_path
    assert str(tmp_path) not in said["path"]
    assert said["safe"]
    assert said["leads"]  # no Ctrl-C is for it
    assert said["alone"] == os.environ.get("OMP_NUM_THREADS")
    assert {*said["blas"]} == {*said["blas_of_a_worker"]} == {1}
    assert said["ignores"] == [
        one.name
        for one in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
        if one is signal.SIGPIPE or signal.getsignal(one) is signal.SIG_IGN
    ]


_CHANGED = """
import json, os, resource, signal, sys
from pathlib import Path
from splitbed.workers.fork_server import ending_fork_server, fork_server
from splitbed.workers.inherited import Inherited
from splitbed.workers.program import Program

with ending_fork_server():
    fork_server()
    os.umask(0o27)
    os.nice(3)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))
    Path("/proc/self/comm").write_bytes(b"gr\\xc3")  # a long name is cut within a letter
    argv, own = ["3"], {**os.environ, "OWN": ""}
    program = Program("tests.workers.telling", argv, log=Path(sys.argv[1]), environment=own)
    print(json.dumps([program.wait(), vars(Inherited.now())]))
"""


def test_it_inherits_of_who_asks_now_who_may_have_been_started_to_ignore_its_children(
    tmp_path: Path,
) -> None:
    asked = [sys.executable, "-c", _CHANGED, str(log := tmp_path / "log")]
    done = subprocess.run(
        ["env", "--ignore-signal=CHLD", *asked],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [3, (own := told(log)["inherited"])]
    assert (own["umask"], own["niceness"]) == (0o27, min(os.nice(0) + 3, 19))
    assert len(own["cpus"]) == 1
    assert log.stat().st_mode & 0o777 == 0o640


def test_no_ctrl_c_is_for_what_it_is_forked_of() -> None:
    assert os.getpgid(fork_server().pid) != os.getpgid(0)


def test_it_has_a_fork_server_that_was_forked_of_it_with_nothing_else_open(tmp_path: Path) -> None:
    program = started(log := tmp_path / "log", "wait")
    said = told(log)
    server = psutil.Process(said["fork_server"])
    assert server.ppid() == program.pid
    assert server.num_threads() == 1
    # once the worker that it asked is gone, too
    until(lambda: {fd.name for fd in Path(f"/proc/{server.pid}/fd").iterdir()} == {*"0123"})
    program.kill()
    assert program.wait() == -signal.SIGKILL
    until(lambda: not psutil.pid_exists(server.pid))


@pytest.mark.parametrize(
    ("does", "code", "says"),
    [("3", 3, ""), ("no room", 1, "no room"), ("fail", 1, "KeyError: 'nobody thought of it'")],
)
def test_how_it_ended_is_told(tmp_path: Path, does: str, code: int, says: str) -> None:
    program = started(log := tmp_path / "log", does)
    assert program.wait() == program.poll() == code
    assert says in log.read_text().splitlines()[-1]
    program.kill()  # of which nobody hears


def test_one_that_is_told_to_end_does(tmp_path: Path) -> None:
    program = started(log := tmp_path / "log", "wait")
    told(log)
    assert program.poll() is None
    program.terminate()
    assert program.wait() == -signal.SIGTERM


def test_it_ends_with_what_it_was_forked_of(tmp_path: Path) -> None:
    with ending_fork_server():
        program = started(log := tmp_path / "log", "wait")
        told(log)
        os.kill(fork_server().pid, signal.SIGKILL)
        assert program.wait() == -signal.SIGKILL
        until(lambda: not psutil.pid_exists(program.pid))


def test_it_ends_too_where_that_had_ended_before_it_heard_of_it() -> None:
    program = "from splitbed.workers.allowance import end_with_parent; end_with_parent(1 << 30)"
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    assert ended.returncode == -signal.SIGKILL


def test_one_that_is_given_up_before_it_begins_says_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    other = fork_server()
    os.kill(other.pid, signal.SIGKILL)
    until(lambda: other.ended)  # the next writes where this process does by now
    given, said = forked(TELLING)
    with given, said:
        said.readline()
        given.close()
        assert said.readall() == b"\nended 1\n"
    assert capfd.readouterr().err == ""


def test_one_that_ended_before_it_was_told_how_to_begin_is_no_error_of_who_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(pid: int) -> int:
        process = pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([process], [], [])
        return process

    pidfd_open = os.pidfd_open
    monkeypatch.setattr(os, "pidfd_open", killed)
    assert started(tmp_path / "log", "0").wait() == -signal.SIGKILL


def test_what_it_cannot_enter_is_told_where_it_logs(tmp_path: Path) -> None:
    program = Program(
        TELLING,
        ["0"],
        log=(log := tmp_path / "log"),
        environment={},
        namespaces=["/proc/self/ns/no"],
    )
    assert program.wait() == 1
    assert "No such file or directory: '/proc/self/ns/no'" in log.read_text()


def test_where_there_can_be_no_process_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork_server()
    monkeypatch.setattr("splitbed.workers.program.forked", lambda _: _refused(tmp_path))
    with pytest.raises(MachineError, match="cannot start a process"):
        started(tmp_path / "log", "0")


def test_where_no_file_can_be_opened_any_more_that_is_said(tmp_path: Path) -> None:
    fork_server()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(MachineError, match="cannot start a process: Too many open files"):
            started(tmp_path / "log", "0")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def _refused(folder: Path) -> tuple[Any, Any]:
    """What the fork server says of a process that there is none of."""
    (said := folder / "said").write_text('0\n{"error": "cannot start a process: no room"}\n')
    return (folder / "given").open("wb", 0), said.open("rb", 0)
