"""A chain of three machines, the second link IPv6: nodes shape, and prove whom they dial."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.net.machines import ACCESS, AHEAD_S, BACKHAUL, Machines, brought_up
from tests.net.sweeps import ORCHESTRATE, TIMEOUT_S
from tests.node.loopback import small_model
from tests.shared_machine import counts, until

pytestmark = pytest.mark.usefixtures("backend")

MEASURED = """
import sys
from pathlib import Path
from netem.spec import symmetric
from orchestrator.ask.flow import FLOWS, Flow
from orchestrator.ask.topology import load_topology
from orchestrator.testbed.machines import remote_nodes
from orchestrator.testbed.nodes.node import prove
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import remote_joints
from splitbed.errors import SplitbedError

topology = load_topology(Path(sys.argv[1]))
nodes = remote_nodes(topology, topology.names)
try:
    for node in nodes.values():
        node.start()
        node.started()
    way = tuple((name, 0) for name in topology.names)
    FLOWS["every"] = Flow("", way, tuple(place.ends for place in topology.links.values()))
    joints = remote_joints(Site(topology, None, "every"), nodes, [(symmetric(rate_mbit=20),)])
    for rate_mbit, (name, joint) in zip((20, 50), joints.items()):
        joint.link.shape(spec := symmetric(rate_mbit=rate_mbit))
        proof = prove(*joint.ends, spec, 60)
        print(name, joint.link.backend[:6], proof.fault or "proved")
    for name, joint in joints.items():
        print(name, joint.link.read_back().downlink.rate_mbit)
except SplitbedError as error:
    print(error)
finally:
    for node in nodes.values():
        node.stop()
"""


@pytest.fixture(scope="module")
def machines(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with brought_up(tmp_path_factory.mktemp("chain"), [ACCESS, BACKHAUL]) as three:
        yield three


def measured(machines: Machines, topology: Path) -> list[str]:
    """What is said of the links, where the orchestrator is."""
    process = machines.popen([sys.executable, "-c", MEASURED, str(topology)])
    out, err = process.communicate(timeout=TIMEOUT_S)
    logs = "".join(machine.log.read_text() for machine in machines.by_name.values())
    assert process.returncode == 0, err + logs
    return out.splitlines()


def test_each_link_of_a_chain_is_shaped_and_proved_by_its_own_ends(machines: Machines) -> None:
    assert measured(machines, machines.topology) == [
        "ue-edge nodes- proved",
        "edge-cloud nodes- proved",
        "ue-edge 20.0",  # the other's change has left it alone
        "edge-cloud 50.0",
    ]


def test_a_node_at_the_address_of_another_is_refused_by_name(machines: Machines) -> None:
    text = machines.topology.read_text()
    swapped = text.replace("10.88.2.1", "x").replace("10.88.3.1", "10.88.2.1")
    (wrong := machines.topology.with_name("wrong.yaml")).write_text(
        swapped.replace("x", "10.88.3.1")
    )
    [said] = measured(machines, wrong)
    assert "calls itself cloud, the topology edge" in said


def test_a_middle_node_with_one_shaper_for_both_links_is_refused(machines: Machines) -> None:
    edge = machines.edge
    config = edge.config.read_text()
    edge.stop()
    try:
        one = yaml.safe_load(config) | {"shaper": {"dev": "data0"}}
        edge.config.write_text(yaml.safe_dump(one))
        edge.start()
        [said] = measured(machines, machines.topology)
        assert "the edge node has 2 links and one shaper for all" in said
    finally:
        edge.stop()
        edge.config.write_text(config)
        edge.start()


CUT_S = 10.0


class Chain:
    """A sweep of a chain over these machines in the background."""

    def __init__(self, machines: Machines, folder: Path, *options: str) -> None:
        self.out = folder / "run"
        model = str(small_model(folder / "small.onnx", 96))
        argv = [*ORCHESTRATE, "sweep", "--topology", str(machines.topology), "--model", model]
        argv += ["--flow", "chain", "--split", "2:4+5:1", "--no-profile", "--no-delivery"]
        self.process = machines.popen([*argv, "--out", str(self.out), *options])

    def lines(self, name: str) -> list[dict[str, Any]]:
        file = self.out / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def to_the_cloud(self) -> list[dict[str, Any]]:
        """The frames that have crossed the second link."""
        return [one for one in self.lines("samples.jsonl") if "uplink2" in dict(one["hops"])]

    def ended(self) -> "subprocess.CompletedProcess[str]":
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err
        return subprocess.CompletedProcess([], self.process.returncode, out, err)


def test_a_chain_is_measured_over_machines_whose_clocks_all_differ(
    machines: Machines, tmp_path: Path
) -> None:
    own = ("--link-of", "edge-cloud:rate_mbit=40")
    chain = Chain(machines, tmp_path, "--bw", "20", "--runs", "3", *own)
    done = chain.ended()
    assert done.returncode in (0, 1), done.stderr
    with (chain.out / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["split"] for row in rows] == ["0:0:6", "0:6:0", "2:3:1", "6:0:0"], done.stderr
    for row in rows:
        assert counts(row), row["reason"]
        assert row["link"] == "20 Mbit/s and 40 Mbit/s"
        assert abs(float(row["link2_mbit"]) / 40 - 1) < 0.03
        assert not row["e2e_uncertainty_ms"]  # a frame ends where it began
    split = rows[2]
    unsure_ms = float(split["one_way_uncertainty_ms"])
    for hop, mbit in (("uplink", 20), ("uplink2", 40)):
        wire_ms = int(split[f"{hop}_bytes"]) * 8 / (mbit * 1e3)
        assert float(split[f"{hop}_ms"]) > wire_ms - unsure_ms
    for cell in chain.lines("cells.jsonl"):
        for node, ahead_s in AHEAD_S.items():
            clock = cell["clocks"][node]
            assert abs(clock["offset_ms"] / 1e3 - ahead_s) <= clock["uncertainty_ms"] / 1e3


def test_a_hop_that_is_cut_is_waited_for_and_a_node_that_dies_costs_its_cell_alone(
    machines: Machines, tmp_path: Path
) -> None:
    chain = Chain(machines, tmp_path, "--bw", "20", "--runs", "4")
    until(chain.to_the_cloud, chain.process)
    before = len(chain.lines("cells.jsonl"))
    data1 = ["ip", "link", "set", "data1"]
    machines.edge.namespace.run([*data1, "down"])
    time.sleep(CUT_S)
    machines.edge.namespace.run([*data1, "up"])
    until(lambda: chain.lines("cells.jsonl")[before:], chain.process)
    cut = chain.lines("cells.jsonl")[before]
    assert (cut["error"], cut["frames"]) == (None, 4)
    assert max(one["e2e_ms"] for one in chain.lines("samples.jsonl")) > CUT_S * 1e3
    cloud = machines.by_name["cloud"]
    cloud.stop(signal.SIGKILL)
    cloud.start()  # as systemd would
    done = chain.ended()
    assert done.returncode == 1
    cells = chain.lines("cells.jsonl")
    [error] = [cell["error"] for cell in cells if cell["error"]]
    assert "cloud" in error
    assert len({cell["key"] for cell in cells}) == 4
    assert len(chain.lines("samples.jsonl")) >= 3 * 4
