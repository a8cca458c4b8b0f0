"""What a sweep over two machines does when one of them, or what joins them, fails."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from tests.net.machines import Machines, brought_up
from tests.net.sweeps import ORCHESTRATE, TIMEOUT_S
from tests.node.loopback import small_model
from tests.shared_machine import until

pytestmark = pytest.mark.usefixtures("backend")

DOWN_S = 2.5
SIDE = 64  # 3:3 sends 0.26 MB: 0.4 s at 5 Mbit/s


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[Machines]:
    with brought_up(tmp_path_factory.mktemp("faults")) as both:
        yield both


def split_over(mbit: int) -> str:
    """The key of the split's cell."""
    return f"3:3 raw over {mbit} Mbit/s"


class Sweep:
    """A sweep of one split in the background; the fault comes while its frames cross."""

    def __init__(self, machines: Machines, folder: Path, *options: str) -> None:
        self.out = folder / "run"
        model = str(small_model(folder / "small.onnx", SIDE))
        argv = [*ORCHESTRATE, "sweep", "--topology", str(machines.topology), "--model", model]
        argv += ["--out", str(self.out), "--no-profile", "--no-delivery", "--split", "3:3"]
        self.process = machines.popen([*argv, "--runs", "4", *options])

    def lines(self, name: str) -> list[dict[str, object]]:
        file = self.out / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def of_the_split(self) -> list[dict[str, object]]:
        """The frames of which two tensors crossed."""
        return [s for s in self.lines("samples.jsonl") if s["intermediate_tensors"] == 2]

    def wait_for_a_frame_of_the_split(self) -> None:
        until(self.of_the_split, self.process)

    def ended(self) -> "subprocess.CompletedProcess[str]":
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err
        return subprocess.CompletedProcess([], self.process.returncode, out, err)

    def cells(self) -> dict[str, object]:
        """The error of each cell by its key, in the order of measurement."""
        return {str(cell["key"]): cell["error"] for cell in self.lines("cells.jsonl")}


def test_an_edge_that_is_killed_and_started_again_costs_one_cell(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "5,50")
    sweep.wait_for_a_frame_of_the_split()
    machines.edge.stop(signal.SIGKILL)
    machines.edge.start()  # as systemd would
    done = sweep.ended()
    assert done.returncode == 1
    failed = {key: error for key, error in sweep.cells().items() if error}
    assert len(sweep.cells()) == 6
    [(key, error)] = failed.items()
    assert key.startswith("3:3")
    assert "edge" in str(error)


def test_a_link_that_is_down_and_a_slow_reader_hold_a_frame_up_and_no_more(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "5,50")
    sweep.wait_for_a_frame_of_the_split()
    data0 = ["ip", "link", "set", "data0"]
    machines.ue.namespace.run([*data0, "down"])
    time.sleep(DOWN_S)
    machines.ue.namespace.run([*data0, "up"])
    until(lambda: {split_over(5), split_over(50)} & {*sweep.cells()}, sweep.process)
    frames = len(sweep.of_the_split())
    until(lambda: len(sweep.of_the_split()) > frames, sweep.process)
    entered = machines.edge.process
    assert entered is not None
    edge = psutil.Process(machines.edge.pid)
    edge.suspend()
    time.sleep(DOWN_S)
    edge.resume()
    psutil.Process(entered.pid).resume()  # nsenter stops with its child
    sweep.ended()
    assert set(sweep.cells().values()) == {None}
    slow = [float(str(sample["e2e_ms"])) for sample in sweep.of_the_split()]
    assert sorted(slow)[-2] > DOWN_S * 1e3 > 2 * sorted(slow)[-3]


def test_a_link_that_stays_down_fails_the_cell_in_time_and_the_sweep_goes_on(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "5", "--frame-timeout-s", "4")
    sweep.wait_for_a_frame_of_the_split()
    data0 = ["ip", "link", "set", "data0"]
    machines.ue.namespace.run([*data0, "down"])
    until(lambda: split_over(5) in sweep.cells(), sweep.process)
    machines.ue.namespace.run([*data0, "up"])
    done = sweep.ended()
    assert done.returncode == 1
    errors = sweep.cells()
    assert "it took too long" in str(errors.pop(split_over(5)))
    assert list(errors.values()) == [None, None]


def test_certificates_of_another_authority_are_told_as_such(
    machines: Machines, tmp_path: Path
) -> None:
    topology = yaml.safe_load(machines.topology.read_text())
    others = machines.topology.parent / "others"
    init = ["-m", "splitbed.cli", "certs", "init", str(others), "--ue", "10.88.1.1"]
    subprocess.run([ORCHESTRATE[0], *init, "--edge", "10.88.2.1"], check=True, capture_output=True)
    topology["tls"] = {
        "ca": "others/ca.pem",
        "cert": "others/orchestrator.pem",
        "key": "others/orchestrator.key",
    }
    (wrong := machines.topology.with_name("wrong.yaml")).write_text(yaml.safe_dump(topology))
    sweep = Sweep(machines, tmp_path, "--bw", "50", "--topology", str(wrong))
    done = sweep.ended()
    assert done.returncode == 3
    assert "TLS failed" in done.stderr
    assert not sweep.out.exists()


def test_a_node_that_is_told_to_stop_finishes_its_frame_and_leaves_the_link_as_it_was(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "2")
    sweep.wait_for_a_frame_of_the_split()
    frames = len(sweep.of_the_split())
    time.sleep(0.5)  # the next one, of 1 s, is on its way
    assert machines.edge.stop(signal.SIGTERM) == 0
    assert not _shaped(machines)
    machines.edge.start()
    sweep.ended()
    assert len(sweep.of_the_split()) > frames  # the one in flight came back


def _shaped(machines: Machines) -> bool:
    [qdisc] = json.loads(machines.edge.namespace.run(["tc", "-j", "qdisc", "show", "dev", "data0"]))
    return bool(qdisc["kind"] != "noqueue")


def test_a_sweep_at_work_has_the_nodes_alone_and_interrupted_leaves_them_to_the_next(
    machines: Machines, tmp_path: Path
) -> None:
    first = Sweep(machines, tmp_path, "--bw", "5", "--runs", "100")  # until the second was refused
    first.wait_for_a_frame_of_the_split()
    (tmp_path / "second").mkdir()
    second = Sweep(machines, tmp_path / "second", "--bw", "50")
    done = second.ended()
    assert done.returncode == 3
    assert "at work for another run" in done.stderr
    first.process.send_signal(signal.SIGTERM)
    done = first.ended()
    assert done.returncode == 130
    assert "--resume" in done.stdout
    assert not any(first.cells().values())
    assert len(first.cells()) < 3
    (tmp_path / "next").mkdir()
    after = Sweep(machines, tmp_path / "next", "--bw", "50")
    after.ended()
    assert len(after.cells()) == 3
