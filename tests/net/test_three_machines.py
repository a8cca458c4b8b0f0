"""A chain of three machines, the second link IPv6: nodes shape, and prove whom they dial."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.net.machines import ACCESS, BACKHAUL, Machines, brought_up
from tests.net.sweeps import TIMEOUT_S

pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.measures]

MEASURED = """
import sys
from pathlib import Path
from netem.spec import symmetric
from orchestrator.ask.flow import FLOWS, Flow
from orchestrator.ask.topology import load_topology
from orchestrator.testbed.machines import remote_nodes
from orchestrator.testbed.node import prove
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
