"""The data plane: what a node that dials, or that is dialled, may send instead of frames."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import grpc
import numpy as np

from splitbed.codecs import codec_named
from splitbed.codecs.coder import Piece
from splitbed.codecs.releases import MOST_RELEASES
from splitbed.codecs.stage import Setting
from splitbed.messages import messages, messages_of_pieces
from splitbed.tensors import TensorInfo
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import (
    Arrived,
    Dropped,
    Failure,
    FrameHeader,
    Header,
    Hello,
    Padding,
    Release,
    Report,
    Stage,
)  # fmt: skip
from tests.hostile.attacked import SMALL, Attacked, attacked, rehearse
from tests.hostile.calls import QUEUED, Call, kept
from tests.hostile.fuzz import changed, damaged
from tests.hostile.length import tries
from tests.node.loopback import free_port

FRAMES = "/splitbed.v1.Data/Frames"
CUT = TensorInfo("d", "FP32", (1, 8, 16, 16))
"""Of the cut whose frames a run has several of under way."""
CODER = codec_named("zstd").bind([CUT], Setting())
ENCODED = CODER.encode({"d": np.random.default_rng(0).random(CUT.shape, np.float32)})
HELD = Stage(name="uplink", releases=[Release(ns=1 << 63, bytes=1)] * (MOST_RELEASES + 1))
KINDS = (
    Header(frame=FrameHeader(frame=1, assignment=QUEUED, at=1)),
    Header(frame=FrameHeader(frame=1, assignment=QUEUED, at=2)),
    Header(arrived=Arrived(frame=1, assignment=QUEUED)),
    Header(dropped=Dropped(frame=1, assignment=QUEUED, node="\x1b[2J")),
    Header(report=Report(frame=1, assignment=QUEUED, at=1)),
    Header(report=Report(frame=1, assignment=QUEUED, at=1, stages=[HELD])),
    Header(failure=Failure(frame=1, assignment=QUEUED, reason="x" * 5000)),
    Header(frame=FrameHeader(frame=1, assignment=1, at=1)),
    Header(frame=FrameHeader(frame=1 << 40, assignment=2, at=2)),
    Header(report=Report(max_abs_diff=1)),
    Header(padding=Padding(bytes=1000, back=1000)),
    Header(hello=Hello(node="ue")),
    Header(failure=Failure(reason="\x1b[2J")),
)
GIVEN_UP_S = 0.3


def stream(rng: Random) -> tuple[bytes, ...]:
    """Messages of a data plane, some of them others than they should be."""
    sent: list[bytes] = []
    kinds = [Header(hello=Hello(node="ue"))] * (rng.random() < 0.7)
    kinds += rng.choices(KINDS, k=rng.randint(1, 4))
    for kind in kinds:
        header = Header.FromString(kind.SerializeToString())
        if rng.random() < 0.4:
            header = _changed(header, rng)
        whole = [*(_frame(header, rng) if header.HasField("frame") else messages(header))]
        if rng.random() < 0.5:
            place = rng.randrange(len(whole))
            whole[place] = damaged(whole[place], rng, rng.choice(whole))
        sent += whole
    return tuple(sent)


def _frame(header: Header, rng: Random) -> Iterator[bytes]:
    """Its tensor whole, or in pieces, of which some may be empty, or too many come."""
    if rng.random() < 0.5:
        return messages(header, ENCODED)
    data = np.tile(ENCODED["d"], rng.choice((1, 1, 8)))
    *parts, last = np.split(data, sorted(rng.choices(range(len(data)), k=rng.randint(0, 3))))
    pieces = [*(Piece(CODER.encoded[0], one, last=False) for one in parts)]
    return messages_of_pieces(
        header, CODER.encoded, [*pieces, Piece(CODER.encoded[0], last, last=True)]
    )


def _changed(header: Header, rng: Random) -> Header:
    return Header.FromString(changed(Header.DESCRIPTOR, header.SerializeToString(), rng))


def storm(node: Attacked, count: int, seed: int) -> set[str]:
    """Open streams until so many messages are sent; how they were ended."""
    rng, answers, sent = Random(seed), set(), 0
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(node.data, options) as channel:
        while sent < count and node.process.poll() is None:
            call = Call(node.role, FRAMES, stream(rng))
            answers.add(node.send(call, GIVEN_UP_S, channel))
            sent += len(call.messages)
    return answers


def test_a_storm_of_streams_harms_no_node(edge: Attacked) -> None:
    rehearse({"edge": edge})  # so that there is something to do with a frame
    with ThreadPoolExecutor(4) as pool:
        each = tries(500, 50_000) // 4
        answers = set().union(*pool.map(lambda seed: storm(edge, each, seed), range(4)))
    assert "FAILED_PRECONDITION" in answers
    assert "UNKNOWN" not in answers


Answer = Callable[[Any, grpc.ServicerContext], Iterator[bytes]]


@contextmanager
def stranger(address: str, answer: Answer) -> Iterator[None]:
    """A server in place of the edge, which answers whatever is asked so."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, _call: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
            return grpc.stream_stream_rpc_method_handler(answer, None, None)

    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([Anything()])
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        server.stop(None).wait()


def nonsense(seed: int) -> Answer:
    """What no edge answers."""
    rng = Random(seed)

    def answer(_request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
        if rng.random() < 0.2:
            context.abort(rng.choice([*grpc.StatusCode][1:]), "\x1b[2J" * rng.randint(0, 500))
        if rng.random() < 0.5:
            yield from stream(rng)
        else:
            yield rng.randbytes(rng.randint(0, 4000))

    return answer


def nothing(_request: Any, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Nothing, for as long as it is waited for."""
    ended = Event()
    if context.add_callback(ended.set):
        ended.wait()
    yield from ()


def test_calls_that_wait_for_a_silent_edge_lock_no_ue(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    request = nodes_pb2.WarmLinkRequest(bytes=1000, back=1000, peer="edge").SerializeToString()
    call = Call("ue", "/splitbed.v1.Stations/WarmLink", (request,))

    def give_up(node: Attacked) -> None:
        with node.open_channel() as channel:
            for _ in range(tries(20, 2000)):
                assert node.send(call, GIVEN_UP_S / 3, channel) != "OK"

    with stranger(address, nothing), attacked("ue", tmp_path, edge=address, limits=SMALL) as ue:
        with ue.unharmed(), ThreadPoolExecutor(8) as pool:
            list(pool.map(give_up, [ue] * 8))
        with ue.unharmed():  # and none of them is left that others would wait for
            assert ue.send(call, GIVEN_UP_S) == "DEADLINE_EXCEEDED"


def test_a_stranger_in_place_of_the_edge_harms_no_ue(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    asking = ("Assign", "RunFrame", "Offer", "AwaitFrame", "WarmLink", "Receive")
    calls = [one for one in kept("run") if one.node == "ue" and one.path.endswith(asking)]
    with stranger(address, nonsense(0)), attacked("ue", tmp_path, edge=address, limits=SMALL) as ue:
        rehearse({"ue": ue})
        with ue.unharmed():
            for call in calls * tries(2, 500):
                assert ue.send(call, GIVEN_UP_S) != "UNKNOWN"
