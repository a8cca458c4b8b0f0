"""What becomes of an offered load when its edge dies, and when the run is ended under it."""

import json
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import pytest

from orchestrator.results.records import FrameRecord
from orchestrator.results.run_folder import RunFolder
from tests.net.sweeps import Place, ended
from tests.net.test_lifetime import namespaces, namespaces_of
from tests.net.test_sweep_faults import left_over
from tests.shared_machine import until

FRAMES, UES = 60, 2
# of each UE 3 s; 8 KB are 17 ms on the wire; with this seed both that cross it come first
LOAD = ("--split", "2:4", "--bw", "4", "--load", "fps:20", "--runs", f"{FRAMES}", "--seed", "9")


@dataclass(frozen=True)
class Told:
    """A run whose edge was killed under load, and which was ended under load thereafter."""

    place: Place
    done: "subprocess.CompletedProcess[str]"
    namespaces: set[str]
    """Those of its nodes."""
    left: Sequence[psutil.Process]

    @property
    def attempts(self) -> list[list[FrameRecord]]:
        """The frames of each attempt at a cell, in the order of measurement."""
        return attempts(self.place)


def attempts(place: Place) -> list[list[FrameRecord]]:
    found: dict[str, list[FrameRecord]] = defaultdict(list)
    for frame in RunFolder(place.out).frames():
        found[frame.attempt].append(frame)
    return [*found.values()]


def crossing(place: Place, number: int) -> bool:
    """Whether the cell of that number is measured, and one of its frames has crossed the link."""
    return len(every := attempts(place)) == number and any(one.hops for one in every[-1])


@pytest.fixture(scope="module")
def told(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Told:
    del backend  # only for its skip
    place = Place(tmp_path_factory.mktemp("faults"))
    process = place.start(*LOAD, "--ues", f"{UES}", "--no-delivery")
    until(lambda: crossing(place, 1), process)
    place.node("edge").kill()
    until(lambda: crossing(place, 2), process)
    theirs = namespaces_of(place.processes())
    process.send_signal(signal.SIGTERM)
    return Told(place, ended(process), theirs, left_over(place))


def test_an_edge_that_dies_fails_its_cell_is_brought_back_and_the_next_is_measured(
    told: Told,
) -> None:
    before, after = told.attempts
    (failed,) = [json.loads(line) for line in (told.place.out / "cells.jsonl").open()]
    assert failed["attempt"] == before[0].attempt
    assert "the edge node died (signal 9)" in failed["error"]
    assert {one.outcome for one in before} >= {"ok", "error"}
    assert any(one.outcome == "ok" for one in after)
    (row,) = told.place.rows()
    assert int(row["offered"]) == FRAMES * UES
    assert row["valid"] == "false"
    assert row["sustained"] == "false"


def test_a_run_that_is_ended_under_load_tells_of_every_frame_and_leaves_nothing(
    told: Told,
) -> None:
    assert told.done.returncode == 130, told.done.stderr
    assert "Traceback" not in told.done.stderr
    verdict = told.place.run_json()
    assert verdict["verdict"] == "INVALID"
    assert "the sweep was interrupted" in verdict["reasons"]
    for frames in told.attempts:
        assert Counter(one.ue for one in frames) == {"ue-1": FRAMES, "ue-2": FRAMES}
        assert all(one.outcome for one in frames)
    assert "error" in {one.outcome for one in told.attempts[-1]}
    assert told.left == []
    assert list(told.place.temporary.iterdir()) == []
    assert told.namespaces
    assert not namespaces() & told.namespaces
