"""How long a node that was started here is waited for: as long as it is at work."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.testbed.nodes import node
from orchestrator.testbed.nodes.node_process import NodeProcess
from orchestrator.testbed.scratch import scratch
from splitbed.errors import NodeError
from tests.node.loopback import loopback_nodes


@pytest.fixture
def edge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeProcess]:
    """Not started; it takes many times as long as a node may do nothing."""
    monkeypatch.setattr(node, "START_TIMEOUT_S", 0.2)
    with scratch() as space:
        edge = loopback_nodes(space)["edge"]
        yield edge
        edge.stop()


def test_one_that_is_at_work_is_waited_for(edge: NodeProcess) -> None:
    edge.start()
    assert edge.started().name == "edge"


def test_one_that_does_nothing_is_given_up(edge: NodeProcess) -> None:
    edge.start()
    assert edge.process is not None
    edge.process.send_signal(signal.SIGSTOP)
    with pytest.raises(NodeError, match="the edge node did not answer its start"):
        edge.started()
    edge.process.send_signal(signal.SIGCONT)
