"""What a node says of itself, and whose turn it is to change it."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import grpc
import psutil
import pytest

from splitbed.node.host import NodeHost
from splitbed.v1 import nodes_pb2
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import ending_fork_server
from splitbed.workers.task import Answer, Ready
from splitbed.workers.worker import Worker
from tests.shared_machine import until
from ue_node.service import UeService

ENOUGH = Allowance(1 << 30, 20.0, 1 << 30)
BUSY_S = 0.5
WAITED_FOR = cast(grpc.ServicerContext, SimpleNamespace(is_active=lambda: True))


def compute(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Be busy for as long as is asked."""
    ready()
    while time.process_time() < cast(float, asked["seconds"]):
        pass
    return {}


def test_who_asks_over_and_over_has_a_node_look_at_all_processes_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, looks = NodeHost("edge", tmp_path), list[psutil.Process]()

    def children(self: psutil.Process, *, recursive: bool) -> list[psutil.Process]:
        del recursive
        looks.append(self)
        return []

    monkeypatch.setattr(psutil.Process, "children", children)
    monkeypatch.setattr("splitbed.node.host.BUSY_LOOK_S", 3600)
    for _ in range(10):
        host.Describe(nodes_pb2.DescribeRequest(), WAITED_FOR)
    assert len(looks) == 1


def test_what_workers_computed_counts_when_they_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitbed.node.host.BUSY_LOOK_S", 0)
    host = NodeHost("edge", tmp_path)

    def busy_s() -> float:
        return host.Describe(nodes_pb2.DescribeRequest(), WAITED_FOR).busy_s

    def computed(seconds: float) -> float:
        with Worker(f"{__name__}:{compute.__name__}", {"seconds": seconds}, ENOUGH) as worker:
            worker.answer()
        return busy_s()

    with ending_fork_server():
        before = computed(0)  # with what the fork server takes to start
        computed(BUSY_S)
        until(lambda: busy_s() - before > 0.9 * BUSY_S)


def test_a_processor_is_limited_when_it_is_its_turn(tmp_path: Path) -> None:
    host = NodeHost("ue", tmp_path)
    service, request = UeService(host), nodes_pb2.LimitRequest(slowdown=2)
    with ThreadPoolExecutor(1) as other:
        with host.held.turn:
            limited = other.submit(service.LimitProcessor, request, WAITED_FOR)
            with pytest.raises(TimeoutError):
                limited.result(0.3)
        assert limited.result().stretch == 2
