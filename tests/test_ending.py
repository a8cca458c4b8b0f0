"""What ends a command from outside: signals, and readers of its output that go away."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from splitbed.errors import INTERRUPTED
from tests.shared_machine import AS_USUAL, HANG_S

AT_WORK = """
import fcntl, signal, sys, termios, time
from pathlib import Path
from splitbed.command import run_command_line

def work():
    try:
        print("begun", flush=True)
        while True:
            time.sleep(0.01)
            print("at it", file=sys.{stream}, flush=True)
    finally:
        Path(sys.argv[1]).write_text("unmade")

{before}
run_command_line(work, service={service})
"""
TAKE_TERMINAL = "fcntl.ioctl(0, termios.TIOCSCTTY, 0)"
OUTLIVE_TERMINAL = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE)


class AtWork:
    """A command that prints while it works, and unmakes what it made when it ends."""

    def __init__(
        self,
        folder: Path,
        *,
        stream: str = "stderr",
        service: bool = False,
        before: str = "",
        terminal: int | None = None,
    ) -> None:
        self._made = folder / "made"
        script = AT_WORK.format(stream=stream, service=service, before=before)
        self.process = subprocess.Popen(
            [*AS_USUAL, sys.executable, "-c", script, str(self._made)],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
            start_new_session=True,
        )
        assert self.out.readline() == "begun\n"

    @property
    def out(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def err(self) -> IO[str]:
        assert self.process.stderr is not None
        return self.process.stderr

    def ended(self) -> int:
        """Its exit code, once everything that it made is unmade."""
        code = self.process.wait(HANG_S)
        assert self._made.read_text() == "unmade"
        return code


@pytest.mark.parametrize("how", ENDING)
def test_a_signal_ends_it_as_ctrl_c_does(how: signal.Signals, tmp_path: Path) -> None:
    command = AtWork(tmp_path)
    command.process.send_signal(how)
    _, said = command.process.communicate(timeout=HANG_S)
    assert said.splitlines()[-1] == "interrupted"
    assert command.ended() == INTERRUPTED


def test_who_wants_nothing_buffered_sees_each_word_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    command = AtWork(tmp_path, before="sys.stderr.flush = lambda: None")
    assert command.err.readline() == "at it\n"
    command.process.send_signal(signal.SIGTERM)
    assert command.ended() == INTERRUPTED


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_that_nobody_reads_ends_it(stream: str, tmp_path: Path) -> None:
    command = AtWork(tmp_path, stream=stream)
    (command.out if stream == "stdout" else command.err).close()
    assert command.ended() == INTERRUPTED


def test_a_terminal_that_is_closed_ends_it(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    command = AtWork(tmp_path, terminal=its, before=TAKE_TERMINAL)
    os.close(its)
    os.close(ours)
    assert command.ended() == INTERRUPTED


def test_one_that_was_started_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    command = AtWork(tmp_path, before=OUTLIVE_TERMINAL)
    command.process.send_signal(signal.SIGHUP)
    for _ in range(20):
        assert command.err.readline() == "at it\n"
    command.process.send_signal(signal.SIGTERM)
    command.process.communicate(timeout=HANG_S)
    assert command.ended() == INTERRUPTED


def test_a_service_goes_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    command = AtWork(tmp_path, service=True)
    command.err.close()
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(0.3)
    command.process.send_signal(signal.SIGTERM)
    assert command.ended() == INTERRUPTED
