"""A node elsewhere, which is this run's for as long as it lives, whatever it is at."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2_grpc

from orchestrator.ask.topology import Machines, NodePlace
from orchestrator.testbed.nodes.node import RemoteNode
from splitbed.errors import LateError, MachineError, NodeError
from splitbed.node.answering import Requests
from splitbed.node.calls import lease
from splitbed.node.calls.door import Door, Inline
from splitbed.node.calls.slots import Slots
from splitbed.node.host import NodeHost
from splitbed.security.access import Guard
from splitbed.v1 import nodes_pb2_grpc
from tests.shared_machine import until

SILENT_S = 0.3
SECRETLESS = Machines.model_construct(name="here", nodes={}, tls=None, token_file=None)
Run = Callable[..., RemoteNode]


@pytest.fixture
def resets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of nodes that were reset, from now on."""
    reset, names = NodeHost.Reset, list[str]()

    def counted(host: NodeHost, request: Any, context: Any) -> Any:
        names.append(host.description.name)
        return reset(host, request, context)

    monkeypatch.setattr(NodeHost, "Reset", counted)
    return names


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resets: list[str]) -> Iterator[Run]:
    """Another run on the same node, not started, which it takes for the one of that name."""
    monkeypatch.setattr(lease, "SILENT_S", SILENT_S)
    host = NodeHost("edge", tmp_path)
    host.description.name = "edge"
    door = Door(Guard(None, None), Slots(8, 8), host.lease)
    server = grpc.server(Inline(), interceptors=[door, Requests()])
    nodes_pb2_grpc.add_NodeServicer_to_server(host, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    place = NodePlace(control=f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop, None)

        def remote(name: str = "edge") -> RemoteNode:
            node = RemoteNode(name, place, SECRETLESS)
            stack.callback(node.stop)
            node.start()
            return node

        yield remote


def is_let_in(node: RemoteNode) -> bool:
    try:
        node.started()
    except MachineError as error:
        assert "at work for another run" in str(error)
        return False
    return True


def test_a_run_that_is_silent_but_lives_keeps_its_node(run: Run) -> None:
    first, second = run(), run()
    first.started()
    time.sleep(3 * SILENT_S)
    assert not is_let_in(second)
    assert first.answers()


def test_one_at_a_wrong_address_is_told_and_not_reset(run: Run, resets: list[str]) -> None:
    node = run("ue")
    with pytest.raises(NodeError, match="calls itself edge, the topology ue"):
        node.started()
    node.stop()
    assert resets == []


def test_a_call_that_takes_too_long_is_no_frame(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Late(grpc.RpcError, grpc.Call):  # type: ignore[misc]
        def code(self) -> grpc.StatusCode:
            return grpc.StatusCode.DEADLINE_EXCEEDED

    node = run()
    monkeypatch.setattr(node, "answers", lambda: True)
    with (
        pytest.raises(LateError, match=r"^it took too long \(asked to warm it in 3 s\)$"),
        node.asked("warm it in 3 s"),
    ):
        raise Late  # type: ignore[abstract]


def test_one_that_died_or_ended_lets_go(run: Run) -> None:
    first, second, third = run(), run(), run()
    first.started()
    first.channel.close()  # as the kernel does for who is killed
    until(lambda: is_let_in(second))
    second.stop()
    assert is_let_in(third)


def test_one_whose_connection_broke_is_heard_again(run: Run) -> None:
    first, second = run(), run()
    first.started()
    first.kill()  # what it was at; the next call is on another connection
    first.started()
    time.sleep(3 * SILENT_S)
    assert not is_let_in(second)
