"""What a sweep does when something goes wrong: nothing measured is lost, nothing is left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.net.sweeps import ORCHESTRATE, TIMEOUT_S, Place, ended
from tests.shared_machine import until

pytestmark = pytest.mark.usefixtures("backend")

# 8 KB at 1 Mbit/s: a frame that crosses takes 0.07 s, a cell with its proofs some 2 s
SLOW = ("--split", "2:4,3:3", "--bw", "1", "--runs", "3")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def samples(place: Place) -> int:
    file = place.out / "samples.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


def crossed(place: Place) -> bool:
    """Whether a frame has crossed the link: the cell that it is of takes a while yet."""
    file = place.out / "samples.jsonl"
    return file.exists() and '["uplink",' in file.read_text()


def left_over(place: Place) -> list[psutil.Process]:
    """Processes of any kind that were started for, or work in, this test's temporary folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "status"]):
        # a link box is started in a folder of its own, a node is told of its socket
        words = " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        if str(place.temporary) in words and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.mark.parametrize("side", ["edge"])  # that of a UE is told apart in tests/node
def test_a_node_that_dies_fails_its_cell_and_the_sweep_goes_on(place: Place, side: str) -> None:
    process = place.start(*SLOW)
    until(lambda: crossed(place), process)
    place.node(side).kill()
    done = ended(process)
    assert done.returncode == 1
    rows = place.rows()
    assert len(rows) == 4
    (failed,) = [row for row in rows if row["errors"] == "1"]
    assert f"the {side} node died" in failed["reason"]
    assert failed["valid"] == "false"
    assert all(row["valid"] == "true" for row in rows if row is not failed)
    assert "INVALID" in done.stdout
    assert f"the {side} node died" in done.stdout


@pytest.mark.parametrize("side", ["ue"])  # likewise of an edge
def test_a_node_that_hangs_fails_its_cell_and_the_sweep_goes_on(place: Place, side: str) -> None:
    process = place.start("--split", "3:3", "--bw", "1", "--frame-timeout-s", "3")
    until(lambda: crossed(place), process)
    place.node(side).suspend()
    done = ended(process)
    assert done.returncode == 1
    failed = [row for row in place.rows() if row["errors"] == "1"]
    assert len(failed) == 1
    assert f"the {side} node hung" in failed[0]["reason"]
    assert len(place.rows()) == 3


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])  # SIGTERM: test_load_faults.py
def test_a_sweep_that_is_stopped_keeps_its_cells_and_leaves_nothing(
    place: Place, how: signal.Signals
) -> None:
    process = place.start(*SLOW)
    until(lambda: place.cells() > 0, process)
    running_before = left_over(place)
    process.send_signal(how)
    done = ended(process)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stdout
    assert [row["valid"] for row in place.rows()].count("true") == place.cells() > 0
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
    assert str(place.temporary) not in cleaned(place)  # it lives
    assert process.poll() is None
    process.kill()
    process.communicate()
    until(lambda: not left_over(place))  # nodes and link box die without anybody's help
    (bystander := place.temporary / "splitbed-notes").mkdir()
    assert "removed" in cleaned(place)
    assert list(place.temporary.iterdir()) == [bystander]

    kept = (place.out / "cells.jsonl").read_text()
    resumed = ended(place.popen([*ORCHESTRATE, "sweep", "--resume", str(place.out)]))
    assert resumed.returncode == 0, resumed.stderr + resumed.stdout
    assert (place.out / "cells.jsonl").read_text().startswith(kept)
    rows = place.rows()
    assert [row["split"] for row in rows] == ["0:6", "2:4", "3:3", "6:0"]
    assert all(row["valid"] == "true" for row in rows)
    assert [row["frames"] for row in rows] == ["6", "3", "3", "6"]  # anchors once more at the end


def cleaned(place: Place) -> str:
    """What `orchestrate clean` says that it removed."""
    env = {**os.environ, "TMPDIR": str(place.temporary)}
    argv = [*ORCHESTRATE, "clean"]
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


def test_an_ordinary_user_can_sweep(place: Place, tmp_path: Path) -> None:
    from tests.net.test_rootless import as_nobody

    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    model = Path(place.model).read_bytes().hex()
    write = (
        f"import pathlib; pathlib.Path('/mnt/home/m.onnx').write_bytes(bytes.fromhex('{model}'))"
    )
    sweep = [*ORCHESTRATE, "sweep", "--model", "/mnt/home/m.onnx", "--split", "3:3", "--bw", "20"]
    script = f'{sys.executable} -c "$0" && cd /mnt/home && exec "$@"'
    done = as_nobody(["sh", "-c", script, write, *sweep], "0666")
    assert done.returncode == 0, done.stderr + done.stdout
    assert "VALID" in done.stdout


def test_the_invalid_cell_of_a_run_is_measured_again_alone(place: Place) -> None:
    assert place.sweep("--split", "2:4", "--bw", "20").returncode == 0
    file = place.out / "cells.jsonl"
    cells = [json.loads(line) for line in file.read_text().splitlines()]
    for bad in (cell for cell in cells if cell["split"] == "2:4"):  # twice, if disturbed
        for proof in bad["proofs"]:  # of one alone, a stall, it would be measured again at once
            proof["fault"] = "the uplink carries 19 of 20 Mbit/s"
        bad["machine"] = None
    file.write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    go_on = [*ORCHESTRATE, "sweep", "--resume", str(place.out)]

    def more() -> list[str]:
        """The splits measured since; anchors that were disturbed are, in any case."""
        lines = file.read_text().splitlines()[len(cells) :]
        return [json.loads(line)["split"] for line in lines]

    kept = ended(place.popen(go_on))
    assert kept.returncode == 1
    assert "the uplink carries 19 of 20 Mbit/s" in kept.stdout
    assert "2:4" not in more()
    again = ended(place.popen([*go_on, "--remeasure", "invalid"]))
    assert again.returncode == 0, again.stderr + again.stdout
    assert "2:4" in more()
    assert [row["valid"] for row in place.rows()] == ["true"] * 3
