"""A node's links to those that it dials."""

import pytest

from netem.spec import symmetric
from orchestrator.testbed.scratch import scratch
from orchestrator.testbed.testbed import Joint
from splitbed.errors import NodeError
from tests.node.loopback import loopback_link, loopback_nodes

SPEC = symmetric(rate_mbit=5, delay_ms=1, jitter_ms=1)


def test_a_node_proves_the_link_to_one_that_it_dials_and_to_no_other() -> None:
    with scratch() as space:
        ue, edge = loopback_nodes(space, address="::1").values()
        try:
            for node in (edge, ue):
                node.start()
            assert (ue.started().name, edge.started().name) == ("ue", "edge")
            joint = Joint(ue, edge, loopback_link("::1"))
            proof = joint.prove(SPEC)
            assert proof.pings
            assert "uplink" in proof.fault  # loopback is no link of 5 Mbit/s
            edge.side = "cloud"
            with pytest.raises(NodeError, match="this node dials no cloud: edge"):
                joint.prove(SPEC)
        finally:
            for node in (ue, edge):
                node.stop()


def test_a_link_with_a_shape_of_its_own_keeps_it_whatever_a_cell_asks() -> None:
    with scratch() as space:
        ue, edge = loopback_nodes(space).values()
    fixed, asked = symmetric(rate_mbit=50), symmetric(rate_mbit=5)
    for own, spec in ((fixed, fixed), (None, asked)):
        joint = Joint(ue, edge, loopback_link(), own)
        assert joint.shape(asked) == joint.link.read_back() == spec
