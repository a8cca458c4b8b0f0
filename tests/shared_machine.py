"""What tests do about a machine that others use, too: wait for events, and measure again."""

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

HANG_S = 120.0
"""After so long nothing will come any more; what is waited for takes a hundredth of it."""

TRIES, PAUSE_S = 6, 0.1

_OF_THE_MACHINE = (
    "stages leave",  # others come between two stages of a frame, and between nothing else
    "Mbit/s, asked",  # they may slow the proof of a link, again and again
    "(allowed ",
    "the machine was disturbed",
)

AS_USUAL = ("env", "--default-signal")
"""Before a command: it takes signals, whatever these tests were started to ignore."""


def until(
    came: Callable[[], object],
    process: "subprocess.Popen[str] | subprocess.Popen[bytes] | None" = None,
) -> None:
    """Wait until `came`; fails when `process` ends before, or when it never will."""
    given_up_s = time.monotonic() + HANG_S
    while not came():
        if process is not None and process.poll() is not None and not came():
            pytest.fail(f"{process.args!r} ended before: {process.communicate()}")
        assert time.monotonic() < given_up_s, "waited in vain"
        time.sleep(0.02)


def within(low: float, measure: Callable[[], float], high: float) -> None:
    """Whether what is measured lies in a band that physics gives.

    As a proof of a link is (netem/probe/client.py): what others disturbed is measured again, after
    a pause that doubles for a stall to pass; what is wrong stays wrong.
    """
    seen: list[float] = []
    for attempt in range(TRIES):
        if seen:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        seen.append(measure())
        if low <= seen[-1] <= high:
            return
    pytest.fail(f"{seen} not within {low:.4g} to {high:.4g}")


def blames_the_machine(reason: str) -> bool:
    """Whether all that makes a row or a run INVALID is what others do to a machine."""
    return all(any(word in one for word in _OF_THE_MACHINE) for one in reason.split("; "))


def counts(row: Mapping[str, str]) -> bool:
    """Whether a row of a table is VALID, but for what others do to the machine."""
    return row["valid"] == "true" or blames_the_machine(row["reason"])


def assert_measured(done: "subprocess.CompletedProcess[str]", *runs: Path) -> None:
    """A command that measured these runs went well, but for what others do to the machine."""
    told = f"{done.stdout}\n{done.stderr}"
    assert done.returncode in (0, 1), told
    reasons = [one for run in runs for one in json.loads((run / "run.json").read_text())["reasons"]]
    assert all(map(blames_the_machine, reasons)), told
    assert done.returncode == bool(reasons), told
