"""A node's links to those that it dials."""

import pytest

from netem.spec import symmetric
from orchestrator.testbed.nodes.node import prove
from orchestrator.testbed.scratch import scratch
from splitbed.errors import NodeError
from splitbed.v1.nodes_pb2 import LinkProof
from tests.node.loopback import loopback_nodes

PROOF_S = 60.0
SPEC = symmetric(rate_mbit=5, delay_ms=1, jitter_ms=1)


def test_a_node_proves_the_link_to_one_that_it_dials_and_to_no_other() -> None:
    with scratch() as space:
        ue, edge = loopback_nodes(space, address="::1").values()
        try:
            for node in (edge, ue):
                node.start()
            assert (ue.started().name, edge.started().name) == ("ue", "edge")
            proof = prove(ue, edge, SPEC, PROOF_S)
            assert proof.pings
            assert "uplink" in proof.fault  # loopback is no link of 5 Mbit/s
            assert not proof.rates_known
            known = LinkProof(uplink_mbit=5, downlink_mbit=5)
            again = prove(ue, edge, SPEC, PROOF_S, known)
            assert (again.rates_known, again.fault, again.uplink_mbit) == (True, "", 5)
            edge.side = "cloud"
            refused = pytest.raises(NodeError, match="this node dials no cloud: edge")
            with refused, ue.asked("prove the link"):
                prove(ue, edge, SPEC, PROOF_S)
        finally:
            for node in (ue, edge):
                node.stop()
