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

from tests.net.sweeps import ORCHESTRATE, TIMEOUT_S
from tests.net.two_machines import Machines, two_machines
from tests.nodes.loopback import small_model

pytestmark = pytest.mark.usefixtures("backend")

SIDE = 96  # 3:3 sends 0.6 MB: a second at 5 Mbit/s


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, backend: str) -> Iterator[Machines]:
    with two_machines(tmp_path_factory.mktemp("faults")) as both:
        yield both


class Sweep:
    """A sweep of one split in the background; the fault comes while its frames cross."""

    def __init__(self, machines: Machines, folder: Path, *options: str) -> None:
        self.out = folder / "run"
        model = str(small_model(folder / "small.onnx", SIDE))
        argv = [*ORCHESTRATE, "sweep", "--topology", str(machines.topology), "--model", model]
        argv += ["--out", str(self.out), "--no-profile", "--no-delivery", "--split", "3:3"]
        self._process = machines.popen([*argv, "--runs", "4", *options])

    def lines(self, name: str) -> list[dict[str, object]]:
        file = self.out / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def wait_for_a_frame_of_the_split(self) -> None:
        deadline = time.monotonic() + 60
        while not any(
            sample["intermediate_tensors"] == 2 for sample in self.lines("samples.jsonl")
        ):
            assert self._process.poll() is None, self._process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def ended(self) -> "subprocess.CompletedProcess[str]":
        out, err = self._process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err
        return subprocess.CompletedProcess([], self._process.returncode, out, err)

    def cells(self) -> dict[str, object]:
        """The error of each cell by its key, in the order of measurement."""
        return {str(cell["key"]): cell["error"] for cell in self.lines("cells.jsonl")}

    def slowest_ms(self) -> float:
        return max(float(str(sample["e2e_ms"])) for sample in self.lines("samples.jsonl"))


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
    assert list(failed) == ["3:3 raw over 5 Mbit/s"]
    assert "edge" in str(failed["3:3 raw over 5 Mbit/s"])


def test_a_link_that_is_down_for_ten_seconds_is_waited_for(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "5")
    sweep.wait_for_a_frame_of_the_split()
    data0 = ["ip", "link", "set", "data0"]
    machines.ue.namespace.run([*data0, "down"])
    time.sleep(10)
    machines.ue.namespace.run([*data0, "up"])
    sweep.ended()
    assert set(sweep.cells().values()) == {None}
    assert 10_000 < sweep.slowest_ms() < 60_000


def test_a_link_that_stays_down_fails_the_cell_in_time_and_the_sweep_goes_on(
    machines: Machines, tmp_path: Path
) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "5", "--frame-timeout-s", "4")
    sweep.wait_for_a_frame_of_the_split()
    data0 = ["ip", "link", "set", "data0"]
    machines.ue.namespace.run([*data0, "down"])
    down_s = time.monotonic()
    while len(sweep.cells()) < 2:
        time.sleep(0.1)
        assert time.monotonic() - down_s < 30
    machines.ue.namespace.run([*data0, "up"])
    done = sweep.ended()
    assert done.returncode == 1
    errors = list(sweep.cells().values())
    assert "it took too long" in str(errors[1])
    assert (errors[0], errors[2]) == (None, None)


def test_a_slow_reader_holds_the_frame_up_and_no_more(machines: Machines, tmp_path: Path) -> None:
    sweep = Sweep(machines, tmp_path, "--bw", "50")
    sweep.wait_for_a_frame_of_the_split()
    entered = machines.edge.process
    assert entered is not None
    edge = psutil.Process(machines.edge.pid)
    edge.suspend()
    before = psutil.Process(machines.ue.pid).memory_info().rss
    time.sleep(3)
    assert psutil.Process(machines.ue.pid).memory_info().rss < before + 50e6
    edge.resume()
    psutil.Process(entered.pid).resume()  # nsenter stops with its child
    sweep.ended()
    assert set(sweep.cells().values()) == {None}


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
    frames = len(sweep.lines("samples.jsonl"))
    assert machines.edge.stop(signal.SIGTERM) == 0
    assert not _shaped(machines)
    machines.edge.start()
    sweep.ended()
    assert len(sweep.lines("samples.jsonl")) > frames  # the one in flight came back


def _shaped(machines: Machines) -> bool:
    [qdisc] = json.loads(machines.edge.namespace.run(["tc", "-j", "qdisc", "show", "dev", "data0"]))
    return bool(qdisc["kind"] != "noqueue")
