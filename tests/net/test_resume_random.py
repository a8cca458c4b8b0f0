"""A sweep of blocks, killed at random moments and resumed; and its run, packed and run again."""

import json
import random
import subprocess
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.results.archive import extract
from orchestrator.results.reading import read
from tests.net.sweeps import ORCHESTRATE, Place
from tests.shared_machine import assert_measured, until

pytestmark = pytest.mark.usefixtures("backend")

KILLS, SEED = 3, 6
CELLS, BLOCKS = 4, 2
ASKED = ("--split", "2:4,3:3", "--bw", "50", "--runs", "3", "--blocks", f"{BLOCKS}")
ANCHORS = ("0:6", "6:0")


def lines(place: Place, name: str) -> list[dict[str, Any]]:
    """The whole lines of a file of the run."""
    found = []
    for line in (place.out / name).read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # half of one, as the killed run left it
            continue
    return found


def go_on(place: Place) -> "subprocess.Popen[str]":
    if not (place.out / "run.json").exists():
        return place.start(*ASKED)
    return place.popen([*ORCHESTRATE, "sweep", "--resume", str(place.out)])


def size(place: Place) -> int:
    file = place.out / "samples.jsonl"
    return file.stat().st_size if file.exists() else 0


def _grew(place: Place, before: int) -> bool:
    return size(place) > before


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, backend: str) -> tuple[Place, list[str]]:
    """A run that ended after it was killed several times, and its journal at each of them."""
    place, journals = Place(tmp_path_factory.mktemp("killed")), []
    dice = random.Random(SEED)
    for kill in range(KILLS):
        process, before = go_on(place), size(place)
        until(partial(_grew, place, before), process)
        # a cell takes about a second: within frames, proofs, between cells, as it is written
        time.sleep(dice.uniform(0, 1))
        if kill == KILLS - 1:
            until(place.cells, process)
        process.kill()
        process.communicate()
        journals.append((place.out / "cells.jsonl").read_text() if place.cells() else "")
    done = place.orchestrate("sweep", "--resume", str(place.out))
    assert_measured(done, place.out)
    assert len(journals[0].splitlines()) < CELLS
    return place, journals


def test_what_was_journalled_before_a_kill_is_kept(killed: tuple[Place, list[str]]) -> None:
    place, journals = killed
    assert any(journals)
    journal = (place.out / "cells.jsonl").read_text()
    for before in journals:
        assert journal.startswith(before.rpartition("\n")[0])


def test_no_cell_is_measured_again_before_all_are_there(killed: tuple[Place, list[str]]) -> None:
    place, _ = killed
    keys = [cell["key"] for cell in lines(place, "cells.jsonl")]
    # those after were disturbed, and ended twice
    assert Counter(keys[:CELLS]) == Counter(place.run_json()["grid"])


def test_every_frame_of_a_cell_is_there_once(killed: tuple[Place, list[str]]) -> None:
    place, _ = killed
    frames: dict[str, list[int]] = {}
    for sample in lines(place, "samples.jsonl"):
        frames.setdefault(sample["attempt"], []).append(sample["frame"])
    for cell in lines(place, "cells.jsonl"):
        assert frames[cell["attempt"]] == [0, 1, 2]
        assert cell["frames"] == 3


def test_a_row_has_the_frames_of_both_blocks_and_an_anchors_those_of_once_more(
    killed: tuple[Place, list[str]],
) -> None:
    place, _ = killed
    for row, visits in zip(place.rows(), read(place.out).visits, strict=True):
        blocks = [0, 1, 2] if row["split"] in ANCHORS else [0, 1]
        assert [visit.block for visit in visits] == blocks
        assert all(visit.error is None for visit in visits)
        assert (row["frames"], row["blocks"]) == (str(3 * len(blocks)), str(BLOCKS))
        assert row["e2e_covers"] == "blocks of this run"
        assert row["e2e_coverage_pct"] == ""


def test_each_block_has_an_order_of_its_own_and_the_anchors_come_after_all(
    killed: tuple[Place, list[str]],
) -> None:
    place, _ = killed
    order = "random (seed 0), in each of 2 blocks anew, the anchors once more at the end"
    assert place.run_json()["order"] == order
    first = [cell for cell in lines(place, "cells.jsonl") if cell["measured"] == 1]
    expected = [0] * CELLS + [1] * CELLS + [BLOCKS] * len(ANCHORS)
    assert [cell["block"] for cell in first] == expected
    keys = [cell["key"] for cell in first]
    assert sorted(keys[:CELLS]) == sorted(keys[CELLS : 2 * CELLS])
    assert keys[:CELLS] != keys[CELLS : 2 * CELLS]


def test_rows_are_in_the_order_of_the_grid_and_cells_were_measured_in_another(
    killed: tuple[Place, list[str]],
) -> None:
    place, _ = killed
    assert [row["split"] for row in place.rows()] == ["0:6", "2:4", "3:3", "6:0"]
    in_time = [cell["key"] for cell in lines(place, "cells.jsonl")]
    assert in_time[:CELLS] != place.run_json()["grid"]


def replayed(place: Place, *words: str) -> "subprocess.CompletedProcess[str]":
    return place.orchestrate("replay", *words)


def test_its_archive_is_run_again_without_the_model_and_agrees(
    killed: tuple[Place, list[str]], tmp_path: Path
) -> None:
    place, _ = killed
    archive, again = tmp_path / "run.zip", tmp_path / "again"
    packed = place.orchestrate("pack", str(place.out), "--with-model", "--out", str(archive))
    assert packed.returncode == 0, packed.stderr
    model = Path(place.model)
    model.rename(hidden := tmp_path / "hidden")
    try:
        done = replayed(place, str(archive), "--out", str(again))
    finally:
        hidden.rename(model)
    assert_measured(done, *(file.parent for file in again.rglob("run.json")))
    words = done.stderr.rpartition("cross-check it with: orchestrate ")[2].split()
    found = json.loads(place.orchestrate(*words, "--json").stdout)
    assert found["deterministic"]["verdict"] == "REPRODUCED"
    assert len(found["rows"]) == CELLS
    # of a model of milliseconds, on a machine that others use, times are not sure to be


def test_a_model_that_is_not_the_archives_is_refused_before_anything_is_sent(
    killed: tuple[Place, list[str]], tmp_path: Path
) -> None:
    place, _ = killed
    archive = tmp_path / "run.zip"
    packed = place.orchestrate("pack", str(place.out), "--out", str(archive))
    assert packed.returncode == 0, packed.stderr
    assert extract(archive, tmp_path / "unpacked").model is None
    (other := tmp_path / "other.onnx").write_bytes(Path(place.model).read_bytes() + b"\x32\x00")
    words = (str(archive), "--out", str(tmp_path / "again"), "--model", str(other))
    done = replayed(place, *words)
    assert done.returncode == 2
    assert "the model here is not that of" in done.stderr
    assert list((tmp_path / "again").iterdir()) == []
    assert list(place.temporary.iterdir()) == []
