"""More than two nodes and more than one link: each link what it was asked to be, hop by hop."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netem.link import Link
from netem.spec import LinkSpec, Shape, symmetric
from orchestrator.ask.topology import Namespaces, load_topology
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import Joint, local_joints
from tests.net.traffic import carry, cut, delivered

pytestmark = pytest.mark.measures

ASKED = LinkSpec(uplink=Shape(rate_mbit=10, delay_ms=10), downlink=Shape(rate_mbit=30, delay_ms=10))
FIXED = symmetric(rate_mbit=50, delay_ms=5)
CHAIN = """
name: chain
nodes: [ue, edge, cloud]
links:
  access: {ends: [ue, edge]}
  backhaul: {ends: [edge, cloud], shape: {rate_mbit: 50, delay_ms: 5}}
"""
CALL = """
name: call
nodes: [ue-a, network, ue-b]
links:
  from-a: {ends: [ue-a, network]}
  to-b: {ends: [ue-b, network], shape: {rate_mbit: 50, delay_ms: 5}}
"""


@contextmanager
def joined(content: str, folder: Path, backend: str) -> Iterator[dict[str, Joint]]:
    (file := folder / "topology.yaml").write_text(content)
    topology = load_topology(file)
    assert isinstance(topology, Namespaces)
    site = Site(topology, backend, topology.names)
    with scratch() as space, local_joints(site, topology, space, ASKED) as joints:
        yield joints


@pytest.mark.parametrize("content", [CHAIN, CALL])
def test_each_link_is_shaped_and_proved_between_its_own_nodes(
    content: str, tmp_path: Path, backend: str
) -> None:
    with joined(content, tmp_path, backend) as joints:
        nodes = {node.side: node for joint in joints.values() for node in joint.ends}
        try:
            for node in nodes.values():
                node.start()
            assert {name: node.started().name for name, node in nodes.items()} == {
                name: name for name in nodes
            }
            for joint, spec in zip(joints.values(), (ASKED, FIXED), strict=True):
                assert joint.shape(ASKED) == spec
                assert joint.link.read_back() == spec
                assert not (proof := joint.prove(spec)).fault, proof
        finally:
            for node in nodes.values():
                node.stop()


def test_the_middle_of_a_chain_has_an_interface_in_each_link_and_joins_nothing(
    tmp_path: Path, backend: str
) -> None:
    with joined(CHAIN, tmp_path, backend) as joints:
        access, backhaul = (joint.link for joint in joints.values())
        assert isinstance(access, Link)
        assert isinstance(backhaul, Link)
        assert {*backhaul.ue.counters()} == {"lo", "data0", "data1"}
        sent = 100_000
        before = access.edge.counters()
        carry(access, sent)
        crossed = {name: now.since(before[name]) for name, now in access.edge.counters().items()}
        assert crossed[access.edge_device].received_bytes > sent
        assert crossed[backhaul.ue_device].received_bytes < 1000
        with access.ue.open_socket() as lost, pytest.raises(OSError, match="unreachable"):
            lost.connect((backhaul.edge_address, 9))


def test_a_link_that_is_cut_carries_nothing_while_the_other_goes_on(
    tmp_path: Path, backend: str
) -> None:
    with joined(CHAIN, tmp_path, backend) as joints:
        access, backhaul = (joint.link for joint in joints.values())
        assert isinstance(access, Link)
        assert isinstance(backhaul, Link)
        with cut(backhaul):
            assert delivered(backhaul, 20) == 0
            assert delivered(access, 20) == 20
        assert backhaul.read_back() == FIXED
        assert delivered(backhaul, 20) == 20
