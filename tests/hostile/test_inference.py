"""Who asks a UE's split for what it makes of tensors, and means harm."""

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from splitbed.security.access import open_channel
from splitbed.security.authority import Authority, issue_authority
from splitbed.v1 import inference_pb2 as oip
from splitbed.v1 import nodes_pb2
from splitbed.v1.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.hostile.attacked import CALL_S, LOCKED_S, SMALL, Attacked, attacked
from tests.hostile.calls import Call, kept
from tests.hostile.length import tries
from tests.hostile.test_control_plane import OWN, half_open
from tests.node.loopback import SIDE, free_port
from tests.security.certified import certified
from tests.shared_machine import until

INFER = "/inference.GRPCInferenceService/ModelInfer"
SHAPE = (1, 3, SIDE, SIDE)
REFUSED = (
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
)


def request(*shape: int, raw: bytes = b"", **changed: object) -> oip.ModelInferRequest:
    """For what the split makes of a tensor that is said to be so."""
    asked = oip.ModelInferRequest(model_name="small", raw_input_contents=[raw])
    asked.inputs.add(name="image", datatype="FP32", shape=shape)
    asked.MergeFrom(oip.ModelInferRequest(**changed))  # type: ignore[arg-type]
    return asked


FINE = request(*SHAPE, raw=bytes(4 * 3 * SIDE * SIDE))


@contextmanager
def client(ue: Attacked) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(ue.infer, [OWN]) as channel:
        yield channel


def is_answered(ue: Attacked) -> bool:
    """Whether somebody else gets what the split makes of his tensors."""
    with client(ue) as channel:
        own: Any = GRPCInferenceServiceStub(channel)
        try:
            return bool(own.ModelInfer(FINE, timeout=LOCKED_S).outputs)
        except grpc.RpcError:
            return False


def for_clients(call: Call) -> Call:
    """The call of a sweep, as `serve` makes it."""
    if not call.path.endswith("/Assign"):
        return call
    [message] = call.messages
    asked = nodes_pb2.Assignment.FromString(message)
    asked.clients = True
    return replace(call, messages=(asked.SerializeToString(),))


@pytest.fixture
def served(pair: dict[str, Attacked], ue: Attacked) -> Attacked:
    """A UE node that a split is assigned to: as it was at the first frame of a run."""
    for call in kept("run"):
        pair[call.node].send(for_clients(call), CALL_S)
        if call.path.endswith("/RunFrame"):
            break
    until(lambda: is_answered(ue))
    return ue


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Attacked, Authority]]:
    """A UE node with TLS, and its authority."""
    folder, authority = tmp_path_factory.mktemp("secure"), issue_authority()
    ours, ue = (certified(folder, role, authority) for role in ("orchestrator", "ue"))
    infer = f"127.0.0.1:{free_port()}"
    with attacked("ue", folder, tls=ours, own=ue, infer=infer, limits=SMALL) as node:
        yield node, authority


def strange(dice: random.Random) -> Iterator[bytes]:
    """Requests that claim what cannot be, and what is no request."""
    for claim in ((1 << 14,) * 2, (1 << 31, 1), (1 << 62, 4), (0, 1 << 62), (-1, 3, 4), (1,) * 64):
        yield request(*claim, raw=b"12345678").SerializeToString()
    yield request(*SHAPE, raw=b"few").SerializeToString()
    yield request(*SHAPE, raw=bytes(900_000)).SerializeToString()
    yield request(*SHAPE, model_name="x" * 100_000).SerializeToString()
    yield request(*SHAPE, outputs=[{"name": "y" * 100_000}]).SerializeToString()
    yield request(*SHAPE, inputs=[{"name": str(n), "shape": [1]} for n in range(20_000)]
    ).SerializeToString()  # fmt: skip
    yield request(*SHAPE, outputs=[{}] * 400_000).SerializeToString()
    typed = oip.InferTensorContents(int64_contents=[1] * 500_000)
    yield request(*SHAPE, inputs=[{"name": "image", "contents": typed}]).SerializeToString()
    whole = FINE.SerializeToString()
    for _ in range(tries(50, 20_000)):
        cut = bytearray(whole[: dice.randrange(len(whole))])
        for _ in range(dice.randrange(1, 20)):
            cut[dice.randrange(len(cut)) if cut else 0 :][:1] = dice.randbytes(1)
        yield bytes(cut)


def test_requests_that_claim_what_cannot_be_are_refused_and_others_answered(
    served: Attacked,
) -> None:
    with client(served) as channel:
        calls: Any = channel.unary_unary(INFER)
        for sent in strange(random.Random(1)):
            try:
                calls(sent, timeout=30)
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                assert error.code() in REFUSED, error.details()
    until(lambda: is_answered(served))


def test_half_open_requests_keep_no_other_client_out(served: Attacked) -> None:
    with client(served) as channel:
        calls = [half_open(channel, INFER) for _ in range(40)]
        until(lambda: is_answered(served))
        for one in calls:
            one.cancel()


def test_clients_that_give_up_leave_the_split_to_others(served: Attacked) -> None:
    for _ in range(tries(3, 200)):
        with client(served) as channel:
            own: Any = GRPCInferenceServiceStub(channel)
            calls = [own.ModelInfer.future(FINE) for _ in range(8)]
            for one in itertools.islice(calls, 1, None):
                one.cancel()
    until(lambda: is_answered(served))


@pytest.mark.parametrize(
    ("role", "answered"),
    [("client", True), ("orchestrator", True), ("edge", False), ("ue", False), ("", False)],
)
def test_only_certificates_of_clients_are_answered(
    secure: tuple[Attacked, Authority], role: str, answered: bool, tmp_path: Path
) -> None:
    node, authority = secure
    tls = certified(tmp_path, role, authority) if role else None
    with open_channel(node.infer, tls, None, [OWN]) as channel:
        asked: Any = GRPCInferenceServiceStub(channel)
        try:
            assert asked.ServerLive(oip.ServerLiveRequest(), timeout=LOCKED_S * 5).live
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            refused = grpc.StatusCode.PERMISSION_DENIED if role else grpc.StatusCode.UNAVAILABLE
            assert (answered, error.code()) == (False, refused)
        else:
            assert answered
