"""What real nodes are at is ended when nobody waits for it any more."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from netem.service import shape_message
from netem.spec import symmetric
from orchestrator.testbed.nodes.node_process import NodeProcess
from splitbed.flow import Span
from splitbed.node.delivery import span_message
from splitbed.v1 import nodes_pb2 as messages
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.node.loopback import LAYERS, Splits, loopback_pair
from tests.shared_machine import until

GIVEN_UP = "nobody waits for it any more"


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        (here := Splits(*both)).load(3)
        yield here


def node(splits: Splits, name: str) -> NodeProcess:
    found = splits.pair.nodes[name]
    assert isinstance(found, NodeProcess)
    return found


def warming_up(splits: Splits) -> tuple[str, Any]:
    request = messages.WarmRequest(span=span_message(Span(3, LAYERS)), warmup=100_000)
    return "edge", rpc.PartsStub(node(splits, "edge").channel).Warm.future(request)


def slowing_down(splits: Splits) -> tuple[str, Any]:
    request = messages.LimitRequest(slowdown=9000, measure=True)
    return "ue", rpc.UeStub(node(splits, "ue").channel).LimitProcessor.future(request)


def proving_a_link(splits: Splits) -> tuple[str, Any]:
    shape = shape_message(symmetric(rate_mbit=0.1, delay_ms=500).uplink)
    request = messages.ProveLinkRequest(peer="edge", uplink=shape, downlink=shape)
    request.probe_port, request.probe_token = splits.pair.edge.probe_port, b"x" * 16
    return "ue", rpc.LinksStub(node(splits, "ue").channel).Prove.future(request)


@pytest.mark.parametrize("begin", [warming_up, slowing_down, proving_a_link])
def test_long_work_ends_with_its_caller(
    splits: Splits, begin: Callable[[Splits], tuple[str, Any]]
) -> None:
    name, work = begin(splits)
    log = node(splits, name).log
    before = log.read_text().count(GIVEN_UP)
    splits.pair.nodes[name].read_clock()  # it came after
    work.cancel()
    until(lambda: log.read_text().count(GIVEN_UP) > before)
    assert splits.run().frame == 0
