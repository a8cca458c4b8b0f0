"""What a sweep does when something goes wrong: nothing measured is lost, nothing is left."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.net.sweeps import AS_A_USER, TIMEOUT_S, Place, ended
from tests.shared_machine import assert_measured, counts, until

pytestmark = pytest.mark.usefixtures("backend")

# 8 KB at 1 Mbit/s: a frame that crosses takes 0.07 s, a cell with its proofs some 2 s
SLOW = ("--split", "2:4,3:3", "--bw", "1", "--runs", "3")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def samples(place: Place) -> int:
    file = place.out / "samples.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def crossings(place: Place) -> int:
    """How many frames have crossed the link: the cell that the last is of takes a while yet."""
    file = place.out / "samples.jsonl"
    return file.read_text().count('["uplink",') if file.exists() else 0


def left_over(place: Place) -> list[psutil.Process]:
    """Processes of any kind that were started for, or work in, this test's temporary folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        # a link box is started in a folder of its own, a node is told of its socket
        words = " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        if str(place.temporary) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_node_that_dies_or_hangs_fails_its_cell_and_the_sweep_goes_on(place: Place) -> None:
    # a UE that dies and an edge that hangs are told apart in tests/node
    process = place.start(*SLOW, "--frame-timeout-s", "3")
    until(lambda: crossings(place), process)
    place.node("edge").kill()
    until(place.cells, process)
    before = crossings(place)
    until(lambda: crossings(place) > before, process)
    place.node("ue").suspend()
    done = ended(process)
    assert done.returncode == 1
    rows = place.rows()
    assert len(rows) == 4
    failed = [row for row in rows if row["errors"] == "1"]
    assert len(failed) == 2
    assert all(counts(row) != (row in failed) for row in rows)
    for told in ("the edge node died", "the ue node hung"):
        assert [told in row["reason"] for row in failed].count(True) == 1
        assert told in done.stdout
    assert "INVALID" in done.stdout


# SIGTERM: test_load_faults.py; SIGHUP is taken as that is
def test_a_sweep_that_is_stopped_keeps_its_cells_and_leaves_nothing(place: Place) -> None:
    process = place.start(*SLOW)
    until(lambda: place.cells() > 0, process)
    running_before = left_over(place)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stdout
    assert [counts(row) for row in place.rows()].count(True) == place.cells() > 0
    assert running_before != []
    assert place.run_json()["verdict"] == "INVALID"
    assert list(place.temporary.iterdir()) == []
    assert left_over(place) == []


def test_a_sweep_whose_output_nobody_reads_ends_likewise(place: Place) -> None:
    process = place.start(*SLOW)
    until(lambda: place.cells() > 0, process)
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()
    assert process.wait(TIMEOUT_S) == 130
    assert place.run_json()["verdict"] == "INVALID"
    assert list(place.temporary.iterdir()) == []
    assert left_over(place) == []


def test_a_sweep_that_is_killed_leaves_nothing_that_clean_does_not_remove_and_goes_on(
    place: Place,
) -> None:
    process = place.start(*SLOW)
    until(lambda: place.cells() >= 2 and samples(place) > 3 * place.cells(), process)
    process.send_signal(signal.SIGSTOP)  # or it might end before it is killed
    assert str(place.temporary) not in cleaned(place)  # it lives
    assert process.poll() is None
    process.kill()
    process.communicate()
    until(lambda: not left_over(place))  # nodes and link box die without anybody's help
    (bystander := place.temporary / "splitbed-notes").mkdir()
    assert "removed" in cleaned(place)
    assert list(place.temporary.iterdir()) == [bystander]

    kept = (place.out / "cells.jsonl").read_text()
    resumed = place.orchestrate("sweep", "--resume", str(place.out))
    assert_measured(resumed, place.out)
    assert (place.out / "cells.jsonl").read_text().startswith(kept)
    rows = place.rows()
    assert [row["split"] for row in rows] == ["0:6", "2:4", "3:3", "6:0"]
    assert all(map(counts, rows))
    assert [row["frames"] for row in rows] == ["6", "3", "3", "6"]  # anchors once more at the end


def cleaned(place: Place) -> str:
    """What `orchestrate clean` says that it removed."""
    env = {**os.environ, "TMPDIR": str(place.temporary)}
    argv = [*AS_A_USER, "clean"]  # which begins sooner
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout


def test_a_disk_that_fills_stops_the_run_with_what_was_measured_readable(place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small disk")
    place.out.mkdir()
    script = f'mount -t tmpfs -o size=48k tmpfs {place.out} && "$@"; code=$?; '
    script += f"cp {place.out}/* {place.folder}/; exit $code"
    argv = ["unshare", "--mount", "sh", "-c", script, "sh"]
    done = ended(place.popen([*argv, *place.argv("--split", "all", "--bw", "20,50")]))
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    kept = Place(place.folder)
    summary = (kept.folder / "summary.csv").read_text().splitlines()
    assert len(summary) > 2
    assert list(place.temporary.iterdir()) == []


def test_the_invalid_cell_of_a_run_is_measured_again_alone(place: Place) -> None:
    few = ("--runs", "3", "--no-delivery")
    assert_measured(place.sweep("--split", "2:4", "--bw", "20", *few), place.out)
    file = place.out / "cells.jsonl"
    cells = [json.loads(line) for line in file.read_text().splitlines()]
    for bad in (cell for cell in cells if cell["split"] == "2:4"):  # twice, if disturbed
        for proof in bad["proofs"]:  # of one alone, a stall, it would be measured again at once
            proof["fault"] = "the uplink carries 19 of 20 Mbit/s"
        bad["machine"] = None
    file.write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    go_on = ("sweep", "--resume", str(place.out))

    def more() -> list[str]:
        """The splits measured since; anchors that were disturbed are, in any case."""
        lines = file.read_text().splitlines()[len(cells) :]
        return [json.loads(line)["split"] for line in lines]

    kept = place.orchestrate(*go_on)
    assert kept.returncode == 1
    assert "the uplink carries 19 of 20 Mbit/s" in kept.stdout
    assert "2:4" not in more()
    again = place.orchestrate(*go_on, "--remeasure", "invalid")
    assert_measured(again, place.out)
    assert "2:4" in more()
    assert len(place.rows()) == 3
