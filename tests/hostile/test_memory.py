"""Memory: whatever a hostile orchestrator asks at once, a node grows by what its limits allow."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from splitbed.graphs.formats import format_named, load_graph
from splitbed.graphs.parts import store
from splitbed.messages import packed
from splitbed.node.config import Limits
from splitbed.tensors import Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from tests.hostile.attacked import Attacked, attacked
from tests.hostile.length import tries
from tests.hostile.test_files import ANSWER_S, asked, deployed

LIMITS = Limits(
    message_bytes=1 << 20, tensor_bytes=8 << 20, model_bytes=1 << 20, session_bytes=64 << 20,
    sessions=2, streams=8,
)  # fmt: skip
ASKED_BYTES = (
    LIMITS.own_bytes
    - LIMITS.sessions * (2 * LIMITS.model_bytes + LIMITS.session_bytes)
    - (4 * LIMITS.model_bytes + LIMITS.session_bytes)
)
"""Of a node without sessions."""
CALLERS, HELD_S = 2 * LIMITS.streams, 1.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    asked = LIMITS.model_dump()
    with attacked("edge", tmp_path_factory.mktemp("memory"), limits=asked) as edge:
        yield edge


def peak_bytes(node: Attacked) -> int:
    """The most memory that it has had."""
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def seeded(datatype: str, itemsize: int, over: int = 0) -> nodes_pb2.Input:
    given = nodes_pb2.Input(random=nodes_pb2.RandomTensors(seed=1))
    elements = LIMITS.tensor_bytes // itemsize + over
    given.tensors.add(name="x", datatype=datatype, shape=[elements])
    return given


def unread(channel: grpc.Channel, given: nodes_pb2.Input) -> None:
    """Have an input added, and do not take the answer."""
    call = rpc.StationsStub(channel).AddInput(given, timeout=HELD_S)
    with suppress(grpc.RpcError):
        next(iter(call))
        threading.Event().wait(HELD_S)


def inputs(channel: grpc.Channel) -> None:
    for datatype, itemsize in (("BOOL", 1), ("FP32", 4), ("FP64", 8)):
        unread(channel, seeded(datatype, itemsize))


def enormous(channel: grpc.Channel) -> None:
    for over in (1, 1 << 28, 1 << 33):
        unread(channel, seeded("INT8", 1, over))


def references(channel: grpc.Channel) -> None:
    tensors: Tensors = {"y": np.zeros(LIMITS.tensor_bytes, np.uint8)}
    for place in range(3):
        with suppress(grpc.RpcError):
            rpc.StationsStub(channel).KeepReference(packed(place, tensors), timeout=10)


def half_sent(channel: grpc.Channel) -> None:
    """Most of the largest reference, whose end never comes."""
    messages = [*packed(1, {"y": np.zeros(LIMITS.tensor_bytes, np.uint8)})]

    def sent() -> Iterator[Any]:
        yield from messages[:-1]
        threading.Event().wait(HELD_S)

    with suppress(grpc.RpcError):
        rpc.StationsStub(channel).KeepReference(sent(), timeout=HELD_S)


def pictures(channel: grpc.Channel) -> None:
    """A small file of very many pixels, for an input that is as large as can be."""
    side = 4 * int((LIMITS.tensor_bytes // 3) ** 0.5)
    ppm = b"P6 %d %d 255\n" % (side, side)
    recipe = nodes_pb2.PictureRecipe(
        height=800, width=800, mean=[0] * 3, std=[1] * 3, layout="NCHW", datatype="FP32"
    )
    given = nodes_pb2.Input(picture=nodes_pb2.Picture(data=ppm + bytes(1000), recipe=recipe))
    given.tensors.add(name="x", datatype="FP32", shape=[1, 3, 800, 800])
    unread(channel, given)


def assignments(channel: grpc.Channel) -> None:
    """Large ones, each kept beside the others, of codecs that no other names."""
    stub = rpc.StationsStub(channel)
    for number in range(1, 40):
        asked = nodes_pb2.Assignment(number=number, node="edge", keep=range(number))
        asked.model.task, asked.model.runtime, asked.model.layers = "tensors", "onnx", 2
        asked.model.inputs.add(name="x", datatype="FP32", shape=[8])
        asked.stations.add(node="edge", source=True, gives=f"zstd:{number % 20}+zstd:{number}")
        asked.stations.add(node="ue")
        hop = asked.hops.add(name="downlink")
        hop.ranges.add(tensor="x", low=[0.0] * 100_000, high=[1.0] * 100_000)
        with suppress(grpc.RpcError):
            stub.Assign(asked, timeout=10)


def raw(channel: grpc.Channel) -> None:
    """Messages as large as can be that mean nothing."""
    calls: Any = channel
    for path in ("/splitbed.v1.Stations/Assign", "/splitbed.v1.Edge/Load"):
        with suppress(grpc.RpcError):
            calls.unary_unary(path)(b"\xff" * (LIMITS.message_bytes - 64), timeout=10)


def greedy(folder: Path) -> tuple[bytes, ...]:
    """A model that makes a tensor of 8 MB for each unit by which its input is over 100."""
    nodes = [
        helper.make_node("Sub", ["x", "hundred"], ["over"]),
        helper.make_node("Relu", ["over"], ["units"]),
        helper.make_node("Mul", ["units", "million"], ["wanted"]),
        helper.make_node("Cast", ["wanted"], ["size"], to=TensorProto.INT64),
        helper.make_node("ConstantOfShape", ["size"], ["made"]),
        helper.make_node("ReduceSum", ["made"], ["y"], keepdims=0),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", [1]), ("y", []))
    ]
    constants = [
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in (("hundred", 100), ("million", 2e6))
    ]
    graph = helper.make_graph(nodes, "greedy", ends[:1], ends[1:], constants)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        folder / "greedy.onnx",
    )
    stored = store(load_graph(folder / "greedy.onnx"), folder / "stored").folder
    return tuple((stored / name).read_bytes() for name in format_named("onnx").FILES)


def test_what_a_model_asks_for_a_frame_it_does_not_get(node: Attacked, tmp_path: Path) -> None:
    """Made-up inputs, with which it was tried, take no memory."""
    files, before = greedy(tmp_path), peak_bytes(node)
    stub = rpc.EdgeStub(node.channel)

    def whole(x: float) -> str:
        tensors: Tensors = {"x": np.array([x], np.float32)}
        return asked(lambda: stub.SetReference(packed(0, tensors), timeout=ANSWER_S))

    with node.unharmed():
        assert not deployed(node, "onnx", load_graph(tmp_path / "greedy.onnx").n, *files)
        assert not whole(0)
        assert "ONNX Runtime failed" in whole(100 + 500)
        assert not whole(0)
    assert peak_bytes(node) - before < LIMITS.memory_bytes


@pytest.mark.parametrize(
    "attack",
    [inputs, enormous, references, half_sent, pictures, assignments, raw],
    ids=lambda attack: attack.__name__,
)
def test_many_at_once_take_no_more_than_the_limits_add_up_to(
    node: Attacked, attack: Callable[[grpc.Channel], None]
) -> None:
    before = peak_bytes(node)
    with node.unharmed(), ThreadPoolExecutor(CALLERS) as callers:
        for _ in range(tries(1, 30)):
            channels = [node.open_channel() for _ in range(CALLERS)]
            [*callers.map(attack, channels)]
            for channel in channels:
                channel.close()
    assert peak_bytes(node) - before < ASKED_BYTES
