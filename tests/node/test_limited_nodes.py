"""Nodes keep to their limits: what is just inside is taken, and what is just outside refused."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import onnx.shape_inference
import psutil
import pytest
import yaml

from splitbed.messages import packed
from splitbed.v1 import nodes_pb2
from splitbed.v1 import nodes_pb2_grpc as rpc
from splitbed.v1.nodes_pb2 import LimitRequest, LinkShape, PartHeader, PartPiece, Span
from splitbed.v1.tensors_pb2 import TensorHeader
from tests.node.loopback import free_port, small_model
from tests.shared_machine import HANG_S, until

TENSOR_BYTES, KEPT_BYTES, MESSAGE_BYTES = 1 << 16, 150_000, 1 << 20
REFUSED = grpc.StatusCode.FAILED_PRECONDITION


@contextmanager
def node(module: str, folder: Path, **asked: object) -> Iterator[grpc.Channel]:
    """The control plane of a node that runs as a file says."""
    address = f"unix:{folder}/{module}.sock"
    (file := folder / f"{module}.yaml").write_text(yaml.safe_dump(asked | {"control": address}))
    argv = [sys.executable, "-m", module, "serve", "--config", str(file)]
    with subprocess.Popen(argv) as process, grpc.insecure_channel(address) as channel:
        try:
            until((folder / f"{module}.sock").exists, process)
            grpc.channel_ready_future(channel).result(HANG_S)
            yield channel
        finally:
            process.kill()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = small_model(tmp_path_factory.mktemp("model") / "small.onnx")
    return bytes(onnx.shape_inference.infer_shapes(onnx.load(file)).SerializeToString())


@pytest.fixture(scope="module")
def limits(model: bytes) -> dict[str, int]:
    return {
        "message_bytes": MESSAGE_BYTES, "tensor_bytes": TENSOR_BYTES, "kept_bytes": KEPT_BYTES,
        "model_bytes": len(model), "sessions": 2,
    }  # fmt: skip


@pytest.fixture(scope="module")
def edge(
    tmp_path_factory: pytest.TempPathFactory, limits: dict[str, int]
) -> Iterator[grpc.Channel]:
    listen = f"127.0.0.1:{free_port()}"
    with node("edge_node", tmp_path_factory.mktemp("edge"), listen=listen, limits=limits) as it:
        yield it


@pytest.fixture(scope="module")
def ue(tmp_path_factory: pytest.TempPathFactory, limits: dict[str, int]) -> Iterator[grpc.Channel]:
    with node("ue_node", tmp_path_factory.mktemp("ue"), edge="127.0.0.1:1", limits=limits) as it:
        yield it


@pytest.fixture(params=["edge", "ue"])
def either(request: pytest.FixtureRequest) -> grpc.Channel:
    channel: grpc.Channel = request.getfixturevalue(request.param)
    rpc.NodeStub(channel).Reset(nodes_pb2.ResetRequest())
    return channel


def refusal(ask: Callable[[], object], code: grpc.StatusCode = REFUSED) -> str:
    """Why a node refuses what it is asked."""
    with pytest.raises(grpc.RpcError) as refused:
        ask()
    failed: Any = refused.value
    assert failed.code() is code
    return str(failed.details())


def seeded(*shape: int, datatype: str = "FP32") -> nodes_pb2.Input:
    tensor = TensorHeader(name="x", datatype=datatype, shape=shape)
    return nodes_pb2.Input(random=nodes_pb2.RandomTensors(seed=1), tensors=[tensor])


def add(channel: grpc.Channel, given: nodes_pb2.Input) -> int:
    """How many bytes an input became, as it was added."""
    return sum(len(one.data) for one in rpc.StationsStub(channel).AddInput(given))


def test_a_message_has_so_many_bytes(either: grpc.Channel) -> None:
    def sent(nbytes: int) -> nodes_pb2.Input:
        given = nodes_pb2.Input(picture=nodes_pb2.Picture(data=bytes(nbytes)), name="p")
        given.tensors.add(name="x", datatype="FP32", shape=[1])
        return given

    framing = sent(MESSAGE_BYTES).ByteSize() - MESSAGE_BYTES
    refusal(lambda: add(either, sent(MESSAGE_BYTES - framing)))  # no picture, but it was read
    outside = grpc.StatusCode.RESOURCE_EXHAUSTED
    refusal(lambda: add(either, sent(MESSAGE_BYTES - framing + 1)), outside)


def every_method() -> Iterator[tuple[str, bool]]:
    """Each call of the control plane, and whether it is sent a stream."""
    for service in nodes_pb2.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            yield f"/{service.full_name}/{method.name}", method.client_streaming


def test_what_is_no_message_is_refused_by_every_call_and_leaves_nothing(
    either: grpc.Channel,
) -> None:
    described = rpc.NodeStub(either).Describe(nodes_pb2.DescribeRequest())
    memory = psutil.Process(described.pid).memory_info
    seen: set[tuple[str, grpc.StatusCode]] = set()
    before = 0
    for _ in range(40):
        for name, streams in every_method():
            with pytest.raises(grpc.RpcError) as refused:
                if streams:
                    cast(Any, either).stream_unary(name)(iter([b"\xff" * 100]))
                else:
                    cast(Any, either).unary_unary(name)(b"\xff" * 100)
            seen.add((name, cast(Any, refused.value).code()))
        before = before or memory().rss
    absent = {name for name, code in seen if code is grpc.StatusCode.UNIMPLEMENTED}
    codes = {name: code for name, code in seen if name not in absent}
    assert {*codes.values()} == {grpc.StatusCode.INVALID_ARGUMENT}
    assert {name.split("/")[1] for name in absent} <= {
        f"splitbed.v1.{one}" for one in ("Data", "Edge", "Ue", "Shaper", "Links")
    }
    assert memory().rss - before < 2 << 20  # gRPC's own parsing would keep 20 KB of each


@pytest.mark.parametrize("datatype", ["FP32", "BOOL", "FP64", "INT8"])
def test_an_input_has_so_many_bytes(either: grpc.Channel, datatype: str) -> None:
    most = TENSOR_BYTES // {"FP32": 4, "FP64": 8}.get(datatype, 1)
    assert TENSOR_BYTES <= add(either, seeded(most, datatype=datatype)) < TENSOR_BYTES + 100
    said = refusal(lambda: add(either, seeded(most + 1, datatype=datatype)))
    assert f"limits.tensor_bytes is {TENSOR_BYTES}" in said


@pytest.mark.parametrize(
    ("shape", "datatype"),
    [((1 << 28,), "BOOL"), ((1 << 26,), "FP32"), ((1 << 33,), "INT8"), ((1 << 62, 4), "FP64")],
)
def test_an_enormous_input_is_refused_by_its_name(
    either: grpc.Channel, shape: tuple[int, ...], datatype: str
) -> None:
    said = refusal(lambda: add(either, seeded(*shape, datatype=datatype)))
    assert "limit" in said


@pytest.mark.parametrize(("height", "fits"), [(4096, True), (4097, False)])
def test_what_a_picture_becomes_has_so_many_bytes(
    either: grpc.Channel, height: int, fits: bool
) -> None:
    recipe = nodes_pb2.PictureRecipe(
        height=height, width=4, mean=[0], std=[1], layout="NCHW", datatype="FP32"
    )
    picture = nodes_pb2.Picture(data=b"none", recipe=recipe)
    given = nodes_pb2.Input(picture=picture, name="p")
    given.tensors.add(name="x", datatype="FP32", shape=[1])
    said = refusal(lambda: add(either, given))
    assert ("limits.tensor_bytes" in said, "p is not a picture" in said) == (not fits, fits)


@pytest.mark.parametrize(("samples", "fits"), [(TENSOR_BYTES // 4, True), (1 << 15, False)])
def test_what_a_sound_becomes_has_so_many_bytes(
    either: grpc.Channel, samples: int, fits: bool
) -> None:
    sound = nodes_pb2.Sound(data=b"RIFFnone", samples=samples, rate=16_000)
    given = nodes_pb2.Input(sound=sound, name="s")
    given.tensors.add(name="x", datatype="FP32", shape=[1])
    assert ("limits.tensor_bytes" in refusal(lambda: add(either, given))) == (not fits)


def test_inputs_that_are_kept_have_so_many_bytes_together(either: grpc.Channel) -> None:
    add(either, seeded(TENSOR_BYTES // 4))
    add(either, seeded(TENSOR_BYTES // 4))
    left = KEPT_BYTES - 2 * TENSOR_BYTES
    said = refusal(lambda: add(either, seeded(left + 1, datatype="INT8")))
    assert f"limits.kept_bytes is {KEPT_BYTES}" in said
    add(either, seeded(left, datatype="INT8"))


def test_a_reference_has_so_many_bytes_and_there_are_so_many(either: grpc.Channel) -> None:
    stub = rpc.StationsStub(either)

    def keep(nbytes: int, place: int = 0) -> object:
        return stub.KeepReference(packed(place, {"y": np.zeros(nbytes, np.uint8)}))

    keep(TENSOR_BYTES)
    assert "limits.tensor_bytes" in refusal(lambda: keep(TENSOR_BYTES + 1))
    keep(1, 99_999)
    assert "an input 100000" in refusal(lambda: keep(1, 100_000))
    keep(TENSOR_BYTES, 1)
    assert "limits.kept_bytes" in refusal(lambda: keep(TENSOR_BYTES, 2))


def deployed(channel: grpc.Channel, *data: bytes) -> nodes_pb2.Deployed:
    first = nodes_pb2.ModelPiece(task="tensors", format="onnx", runtime="onnx")
    pieces = [first, *(nodes_pb2.ModelPiece(data=one) for one in data)]
    return rpc.EdgeStub(channel).Deploy(iter(pieces))


def test_a_model_has_so_many_bytes(edge: grpc.Channel, model: bytes) -> None:
    assert deployed(edge, model).sha256
    said = refusal(lambda: deployed(edge, model, b"x"))
    assert f"limits.model_bytes is {len(model)}" in said


def part(nbytes: int, shape: Sequence[int] = (1,), output: Sequence[int] = (1,)) -> PartPiece:
    """The header of one, whose file then is missing."""
    known = nodes_pb2.ModelInfo(layers=2, task="tensors", runtime="onnx")
    header = PartHeader(span=Span(first=0, last=1), format="onnx", bytes=nbytes, model=known)
    header.inputs.add(name="x", datatype="INT8", shape=shape)
    header.outputs.add(name="y", datatype="INT8", shape=output)
    header.model.inputs.add(name="x", datatype="INT8", shape=shape)
    return PartPiece(header=header)


def test_a_part_has_so_many_bytes_and_so_many_go_in_and_out(
    either: grpc.Channel, model: bytes
) -> None:
    def take(*given: Any) -> str:
        stub = rpc.PartsStub(either)
        return refusal(lambda: stub.Take(iter([part(*given)])))

    most, inside = TENSOR_BYTES, "or others than were sent"
    assert inside in take(len(model))
    assert "limits.model_bytes" in take(len(model) + 1)
    assert inside in take(1, [most], [most])
    assert "limits.tensor_bytes" in take(1, [most + 1])
    assert "limits.tensor_bytes" in take(1, [1], [most + 1])


def test_parts_that_are_profiled_have_so_many_bytes_together(
    either: grpc.Channel, model: bytes
) -> None:
    def profiled(*pieces: PartPiece, runs: int = 1, warmup: int = 0) -> str:
        options = nodes_pb2.ProfileOptions(runs=runs, warmup=warmup)
        told = [nodes_pb2.ProfilePiece(options=options)]
        told += [nodes_pb2.ProfilePiece(piece=one) for one in pieces]
        return refusal(lambda: rpc.NodeStub(either).Profile(iter(told)))

    assert "limits.model_bytes" in profiled(part(len(model) + 1))
    assert "or others than were sent" in profiled(part(len(model)))
    assert "100001 runs" in profiled(runs=100_001)
    assert "100001 runs" in profiled(warmup=100_001)


def test_so_many_parts_are_ready_to_be_delivered(edge: grpc.Channel, model: bytes) -> None:
    deployed(edge, model)
    spans = [Span(first=0, last=last) for last in range(1, 7)]
    spans += [Span(first=1, last=last) for last in range(2, 5)]
    stub = rpc.EdgeStub(edge)
    assert len(stub.Load(nodes_pb2.LoadRequest(deliver=spans[:8])).deliver_bytes) == 8
    said = refusal(lambda: stub.Load(nodes_pb2.LoadRequest(deliver=spans)))
    assert "9 parts ready" in said
    more = nodes_pb2.LoadRequest(deliver=spans[8:])
    more.session.keep.extend(spans[:8])
    assert "9 parts ready" in refusal(lambda: stub.Load(more))


def test_a_part_is_not_sent_from_beyond_its_end(edge: grpc.Channel, model: bytes) -> None:
    deployed(edge, model)
    span = Span(first=0, last=3)
    edge_stub = rpc.EdgeStub(edge)
    (size,) = edge_stub.Load(nodes_pb2.LoadRequest(deliver=[span])).deliver_bytes
    port = rpc.NodeStub(edge).Describe(nodes_pb2.DescribeRequest()).probe_port
    with grpc.insecure_channel(f"127.0.0.1:{port}") as data:
        stub = rpc.DataStub(data)

        def sent(offset: int) -> int:
            pieces = stub.DeliverPart(nodes_pb2.Delivery(span=span, offset=offset))
            return sum(len(one.data) for one in pieces)

        assert [sent(0), sent(size)] == [size, 0]
        assert f"does not go on at {1 << 63}" in refusal(lambda: sent(1 << 63))


def test_a_part_is_warmed_up_so_many_times(either: grpc.Channel) -> None:
    stub = rpc.PartsStub(either)
    for runs, says in ((100_000, "holds no part"), (100_001, "100001 runs")):
        request = nodes_pb2.WarmRequest(span=Span(first=0, last=1), warmup=runs)
        assert says in refusal(lambda request=request: stub.Warm(request))  # type: ignore[misc]


@pytest.mark.parametrize(
    "asked",
    [
        LimitRequest(slowdown=10_001),
        LimitRequest(slowdown=float("inf")),
        LimitRequest(slowdown=float("nan")),
        LimitRequest(slowdown=-1),
        LimitRequest(cpus=0.0199),
        LimitRequest(cpus=1025),
        LimitRequest(cpus=float("nan")),
        LimitRequest(cpus=-1),
    ],
)
def test_a_processor_is_slowed_so_much(ue: grpc.Channel, asked: LimitRequest) -> None:
    stub = rpc.UeStub(ue)
    said = refusal(lambda: stub.LimitProcessor(asked))
    assert "10000 times" in said
    assert "0.02 to 1024 CPUs" in said
    stub.LimitProcessor(LimitRequest(slowdown=10_000))


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (LinkShape(rate_mbit=1, delay_ms=1e9, queue_packets=1000), "delay_ms"),
        (LinkShape(rate_mbit=1e-300), "rate_mbit"),
        (LinkShape(rate_mbit=float("inf")), "rate_mbit"),
        (LinkShape(rate_mbit=float("nan")), "rate_mbit"),
        (LinkShape(rate_mbit=1, delay_ms=float("nan")), "delay_ms"),
        (LinkShape(rate_mbit=1, loss_pct=101), "loss_pct"),
        (LinkShape(), "rate_mbit"),
    ],
)
def test_a_link_that_cannot_be_is_not_proved(ue: grpc.Channel, shape: LinkShape, says: str) -> None:
    request = nodes_pb2.ProveLinkRequest(
        peer="edge", probe_port=9, uplink=shape, downlink=LinkShape(rate_mbit=1)
    )
    assert says in refusal(lambda: rpc.LinksStub(ue).Prove(request))
