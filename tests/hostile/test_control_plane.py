"""Who is let in by TLS, or not at all, and wants to keep the orchestrator out."""

import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from splitbed.graphs.formats import format_named, load_graph
from splitbed.graphs.parts import store
from splitbed.messages import packed
from splitbed.node.config import Tls
from splitbed.security.access import RUN_KEY, open_channel
from splitbed.security.authority import issue_authority
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from tests.graphs import models
from tests.hostile.attacked import LEAST_LOCK_S, LOCKED_S, SMALL, Attacked, attacked, within
from tests.hostile.length import tries
from tests.hostile.test_files import deployed
from tests.security.certified import certified
from tests.shared_machine import until

DEPLOY, TAKE = "/splitbed.v1.Edge/Deploy", "/splitbed.v1.Parts/Take"
OWN = ("grpc.use_local_subchannel_pool", 1)
LET_GO_S = 30.0


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Attacked, Tls]]:
    """An edge node with TLS, and a certificate of its authority that is the UE's."""
    folder, authority = tmp_path_factory.mktemp("secure"), issue_authority()
    edge, ours, ue = (certified(folder, role, authority) for role in ("edge", "orchestrator", "ue"))
    with attacked("edge", folder, tls=ours, own=edge, limits=SMALL) as node:
        yield node, ue


def half_open(channel: grpc.Channel, path: str, *sent: bytes, run: str = "") -> Any:
    """A call that sends no more than this, and does not end."""
    gone = iter(lambda: time.sleep(0.1), 0)  # never

    def requests() -> Iterator[bytes]:
        yield from sent
        for _ in itertools.takewhile(lambda _: not done, gone):
            pass

    done: list[object] = []
    call: Any = channel.stream_stream(path)
    begun = call(requests(), metadata=((RUN_KEY, run),) if run else ())
    begun.add_done_callback(done.append)
    return begun


@contextmanager
def connected(node: Attacked, tls: Tls | None, count: int) -> Iterator[list[grpc.Channel]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(open_channel(node.control, tls, None, [OWN])) for _ in range(count)
        ]


def test_a_certificate_of_another_role_keeps_nobody_out(secure: tuple[Attacked, Tls]) -> None:
    node, ue = secure
    with node.unharmed(), connected(node, ue, 8) as channels:
        for _ in range(tries(5, 100)):
            calls = [half_open(one, path, run="x") for one in channels for path in (DEPLOY, TAKE)]
            assert {one.code() for one in calls} == {grpc.StatusCode.PERMISSION_DENIED}
        for one in channels:
            reads: Any = nodes_pb2_grpc.NodeStub(one)
            with pytest.raises(grpc.RpcError, match="not for this certificate"):
                reads.Describe(nodes_pb2.DescribeRequest(), timeout=LOCKED_S)


@pytest.mark.parametrize("sent", [(), (b"",)])
def test_half_open_calls_keep_nobody_out(edge: Attacked, sent: tuple[bytes, ...]) -> None:
    with connected(edge, None, 8) as channels:
        calls = [half_open(one, DEPLOY, *sent) for one in channels for _ in range(10)]
        until(lambda: sum(one.is_active() for one in calls) <= 16)
        time.sleep(tries(1, 60))


def test_a_half_sent_deploy_is_ended_by_reset(edge: Attacked) -> None:
    with connected(edge, None, 1) as (channel,):
        piece = nodes_pb2.ModelPiece(task="tensors", format="onnx", runtime="onnx", data=b"x")
        begun = half_open(channel, DEPLOY, piece.SerializeToString())
        time.sleep(0.5)
        assert begun.is_active()
        stub: Any = nodes_pb2_grpc.NodeStub(edge.channel)
        stub.Reset(nodes_pb2.ResetRequest(), timeout=LOCKED_S)
        until(lambda: not begun.is_active())


def is_let_in(channel: grpc.Channel) -> bool:
    """Whether another run may begin; it leaves again."""
    stub: Any = nodes_pb2_grpc.NodeStub(channel)
    try:
        stub.Reset(nodes_pb2.ResetRequest(last=True), timeout=LET_GO_S)
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        assert "at work for another run" in (error.details() or "")
        return False
    return True


def test_an_orchestrator_that_was_killed_at_everything_lets_go(pair: dict[str, Attacked]) -> None:
    nodes = [pair["edge"], pair["ue"]]
    argv = [sys.executable, "-m", "tests.hostile.dying", *(node.control for node in nodes)]
    with ExitStack() as stack:
        for node in nodes:
            stack.enter_context(node.unharmed())
        others = [stack.enter_context(other_run(node)) for node in nodes]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as dying:
            assert dying.stdout is not None
            assert dying.stdout.readline() == b"all under way\n"
            assert not any(map(is_let_in, others))
            dying.kill()
        left = {*others}

        def all_let_go() -> bool:
            left.difference_update([*filter(is_let_in, left)])
            return not left

        within(LET_GO_S, all_let_go)


def other_run(node: Attacked) -> grpc.Channel:
    return open_channel(node.control, None, None, [OWN], "another")


def endless(folder: Path) -> tuple[int, tuple[bytes, ...]]:
    """Layers and files of a model that is quick on made-up inputs, and takes minutes on 1000s."""
    nodes = [
        models.node("Sub", "x hundred", "over"),
        models.node("Relu", "over", "units"),
        models.node("Mul", "units thousand", "wanted"),
        models.node("Cast", "wanted", "size", to=7),
        models.node("ConstantOfShape", "size", "a0"),
        *(models.node("Cos", f"a{place}", f"a{place + 1}") for place in range(400)),
        models.node("ReduceSum", "a400", "y", keepdims=0),
    ]
    weights = {
        "hundred": np.array([100], np.float32),
        "thousand": np.array([10_000], np.float32),
    }
    path = models.save(
        models.model(nodes, {"x": [1]}, {"y": None}, weights), folder / "endless.onnx"
    )
    graph = load_graph(path)
    stored = store(graph, folder / "stored").folder
    return graph.n, tuple((stored / name).read_bytes() for name in format_named("onnx").FILES)


def test_a_run_that_does_not_end_is_ended_by_reset(edge: Attacked, tmp_path: Path) -> None:
    layers, files = endless(tmp_path)
    assert not deployed(edge, "onnx", layers, *files)
    stub, packets = (
        nodes_pb2_grpc.EdgeStub(edge.channel),
        packed(0, {"x": np.array([1000], np.float32)}),
    )
    with ThreadPoolExecutor() as pool:
        run = pool.submit(lambda: stub.SetReference(packets))
        time.sleep(1)
        assert not run.done()
        ask: Any = nodes_pb2_grpc.NodeStub(edge.channel)
        ask.Reset(nodes_pb2.ResetRequest(), timeout=LEAST_LOCK_S)
        assert "CANCELLED" in str(run.exception())


def test_who_watches_and_goes_keeps_nobody_out(edge: Attacked) -> None:
    def come_and_go(_: int) -> None:
        with connected(edge, None, 1) as (channel,):
            stub: Any = health_pb2_grpc.HealthStub(channel)
            for turn in range(tries(50, 20_000)):
                watching = stub.Watch(health_pb2.HealthCheckRequest(), timeout=LOCKED_S)
                if turn % 2:
                    with suppress(grpc.RpcError):
                        next(watching)
                watching.cancel()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))


def test_clients_that_vanish_in_their_calls_keep_nobody_out(edge: Attacked) -> None:
    words = f"""
import os, sys, time, grpc
channels = [grpc.insecure_channel({edge.control!r}, [{OWN!r}]) for _ in range(4)]
def requests():
    yield b""
    time.sleep(60)
calls = [one.stream_unary({DEPLOY!r}).future(requests()) for one in channels for _ in range(16)]
time.sleep(0.5)
os._exit(1)
"""
    for _ in range(tries(1, 20)):
        subprocess.run([sys.executable, "-c", words], check=False, timeout=60)


@pytest.mark.parametrize("plane", ["control", "data"])
def test_silent_connections_keep_nobody_out(
    secure: tuple[Attacked, Tls], edge: Attacked, plane: str
) -> None:
    for node, tls in ((secure[0], secure[0].tls), (edge, None)):
        host, _, port = getattr(node, plane).partition(":")
        with node.unharmed(), ExitStack() as stack:
            for _ in range(tries(1200, 1900)):
                stack.enter_context(socket.create_connection((host, int(port)), 5))
            with open_channel(node.control, tls, None, [OWN]) as channel:
                fresh: Any = nodes_pb2_grpc.NodeStub(channel)
                fresh.Describe(nodes_pb2.DescribeRequest(), timeout=LOCKED_S, wait_for_ready=True)
