"""A real sweep of several blocks: killed, gone on with, and what its rows say."""

import json

import pytest

from orchestrator.results.reading import read
from tests.net.sweeps import ORCHESTRATE, Place, ended
from tests.shared_machine import until

pytestmark = pytest.mark.usefixtures("backend")

CELLS, BLOCKS = 3, 2
ASKED = ("--split", "3:3", "--bw", "20", "--runs", "3", "--blocks", str(BLOCKS))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, backend: str) -> tuple[Place, str]:
    """A run that was killed in its second block and gone on with; its journal at the kill."""
    place = Place(tmp_path_factory.mktemp("blocks"))
    process = place.start(*ASKED)
    until(lambda: place.cells() > CELLS, process)
    process.kill()
    process.communicate()
    before = (place.out / "cells.jsonl").read_text().rpartition("\n")[0]
    done = ended(place.popen([*ORCHESTRATE, "sweep", "--resume", str(place.out)]))
    assert done.returncode in (0, 1), done.stderr + done.stdout  # 1 of a disturbed machine
    return place, before


def test_each_block_has_each_cell_and_goes_on_where_it_was(run: tuple[Place, str]) -> None:
    place, before = run
    assert (place.out / "cells.jsonl").read_text().startswith(before)
    reading = read(place.out)
    assert len(reading.visits) == CELLS
    blocks = [[visit.block for visit in visits] for visits in reading.visits]
    assert blocks == [[0, 1, 2], [0, 1], [0, 1, 2]]  # the anchors once more
    last = [visit for visits in reading.visits for visit in visits if visit.block == BLOCKS]
    assert all(visit.is_anchor for visit in last)
    assert all(visit.error is None for visits in reading.visits for visit in visits)


def test_a_row_has_the_frames_of_both_blocks(run: tuple[Place, str]) -> None:
    place, _ = run
    for row, visits in zip(place.rows(), (3, 2, 3), strict=True):
        assert (row["frames"], row["blocks"]) == (str(3 * visits), str(BLOCKS))
        assert row["e2e_covers"] == "blocks of this run"
        assert row["e2e_coverage_pct"] == ""


def test_run_json_says_that_each_block_had_an_order_of_its_own(run: tuple[Place, str]) -> None:
    place, _ = run
    order = "random (seed 0), in each of 2 blocks anew, the anchors once more at the end"
    assert place.run_json()["order"] == order


def test_the_anchors_come_once_more_after_all_blocks(run: tuple[Place, str]) -> None:
    place, _ = run
    lines = (place.out / "cells.jsonl").read_text().splitlines()
    visits = [json.loads(line) for line in lines]
    first = [visit for visit in visits if visit["measured"] == 1]
    assert [visit["block"] for visit in first] == [0] * CELLS + [1] * CELLS + [2] * 2
