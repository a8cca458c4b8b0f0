"""More than two nodes and more than one link: each link what it was asked to be, hop by hop."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from netem.link import Link
from netem.spec import LinkSpec, Shape, symmetric
from orchestrator.ask.flow import FLOWS, Flow
from orchestrator.ask.topology import Namespaces, load_topology
from orchestrator.testbed.nodes.node import prove
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.site import Site
from orchestrator.testbed.testbed import Joint, local_joints
from tests.net.traffic import carry, cut, delivered

PROOF_S = 60.0
ASKED = LinkSpec(uplink=Shape(rate_mbit=10, delay_ms=10), downlink=Shape(rate_mbit=30, delay_ms=10))
OTHER = symmetric(rate_mbit=50, delay_ms=5)
CHAIN = """
name: chain
nodes: [ue, edge, cloud]
links:
  access: {ends: [ue, edge]}
  backhaul: {ends: [edge, cloud]}
"""
CALL = """
name: call
nodes: [ue-a, network, ue-b]
links:
  from-a: {ends: [ue-a, network]}
  to-b: {ends: [ue-b, network]}
"""


Joined = Callable[[str], AbstractContextManager[dict[str, Joint]]]


@pytest.fixture
def joined(tmp_path: Path, backend: str, monkeypatch: pytest.MonkeyPatch) -> Joined:
    """The links and nodes of a topology, all of which a flow takes."""

    @contextmanager
    def opened(content: str) -> Iterator[dict[str, Joint]]:
        (file := tmp_path / "topology.yaml").write_text(content)
        topology = load_topology(file)
        assert isinstance(topology, Namespaces)
        links = tuple(place.ends for place in topology.links.values())
        every = Flow("all of it", tuple((name, 0) for name in topology.names), links)
        monkeypatch.setitem(FLOWS, "every", every)
        site = Site(topology, backend, "every")
        with scratch() as space, local_joints(site, topology, space, (ASKED,)) as joints:
            yield joints

    return opened


@pytest.mark.parametrize("content", [CHAIN, CALL])
def test_each_link_is_shaped_and_proved_between_its_own_nodes(content: str, joined: Joined) -> None:
    with joined(content) as joints:
        nodes = {node.side: node for joint in joints.values() for node in joint.ends}
        try:
            for node in nodes.values():
                node.start()
            assert {name: node.started().name for name, node in nodes.items()} == {
                name: name for name in nodes
            }
            for joint, spec in zip(joints.values(), (ASKED, OTHER), strict=True):
                joint.link.shape(spec)
                assert not (proof := prove(*joint.ends, spec, PROOF_S)).fault, proof
            assert [joint.link.read_back() for joint in joints.values()] == [ASKED, OTHER]
        finally:
            for node in nodes.values():
                node.stop()


def test_the_middle_of_a_chain_has_an_interface_in_each_link_and_joins_nothing(
    joined: Joined,
) -> None:
    with joined(CHAIN) as joints:
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
    joined: Joined,
) -> None:
    with joined(CHAIN) as joints:
        access, backhaul = (joint.link for joint in joints.values())
        assert isinstance(access, Link)
        assert isinstance(backhaul, Link)
        with cut(backhaul):
            assert delivered(backhaul, 20) == 0
            assert delivered(access, 20) == 20
        assert backhaul.read_back() == ASKED
        assert delivered(backhaul, 20) == 20
