"""Ways of getting an array to another process and an answer back, each as its users know it.

    serve ADDRESS   answers all of them, until stdin ends
    ask ADDRESS     for each line of JSON on stdin, a round: seconds of each by its name, on stdout

All connections are warm and long-lived; each round asks all of them, one after another. Raw TCP
and unary gRPC can keep the rhythm of a sweep: rest, work, send, have work done there, and only then
be answered.
"""

import json
import math
import os
import pickle
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import numpy as np
import numpy.typing as npt
import zmq

from splitbed.node.running import GRPC_EXPERIMENTS
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import Dialled, streams
from splitbed.runtime.memory import keep_freed_memory
from splitbed.v1.tensors_pb2 import FrameHeader, Header
from splitbed.wire import CHANNEL_OPTIONS

ANSWER_BYTES = 70_000
"""What comes back: as much as the boxes of a busy picture, raw."""

RAW, UNARY, PICKLE, ZEROMQ, OURS = "raw TCP", "unary gRPC", "pickle over TCP", "ZeroMQ", "ours"
_PORTS = {RAW: 50061, UNARY: 50062, PICKLE: 50063, ZEROMQ: 50064, OURS: 50065}
_HEAD = struct.Struct("<QQd")
"""Bytes that follow; of a question, those wanted back and the seconds of work before they are sent;
of an answer, 0 and the seconds that it was worked."""
_ANSWER = bytes(ANSWER_BYTES)
HEAD_BYTES = _HEAD.size
_MOST_BYTES = 64 << 20
_NOTHING = memoryview(bytes(_MOST_BYTES))
_TAKES_ALL = [("grpc.max_receive_message_length", _MOST_BYTES)]

Floats = npt.NDArray[np.float32]
Ask = Callable[[Floats], None]
"""Sends an array and waits for the answer."""
_WORKED_ON = np.ones((512, 512), np.float32)


def _work(seconds: float) -> float:
    """Compute for so long, over what a part may have in its caches; how long it was."""
    start = time.perf_counter()
    while (worked := time.perf_counter() - start) < seconds:
        np.add(_WORKED_ON, 1, out=_WORKED_ON)
    return worked


def _send(
    connection: socket.socket, payload: bytes | memoryview, back: int = 0, work_s: float = 0
) -> None:
    head = _HEAD.pack(len(payload), back, work_s)
    sent = connection.sendmsg([head, payload])
    connection.sendall(memoryview(payload)[sent - len(head) :])


def _receive(connection: socket.socket, buffer: memoryview) -> tuple[memoryview, int, float]:
    head = connection.recv(_HEAD.size, socket.MSG_WAITALL)
    if len(head) < _HEAD.size:
        raise EOFError
    length, back, work_s = _HEAD.unpack(head)
    got = 0
    while got < length:
        got += connection.recv_into(buffer[got:length])
    return buffer[:length], back, work_s


def _tcp_server(
    address: str, name: str, answer: Callable[[memoryview, int], bytes | memoryview]
) -> None:
    listener = socket.create_server((address, _PORTS[name]))

    def serve() -> None:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = memoryview(bytearray(_MOST_BYTES))
        with connection:
            while True:
                try:
                    asked, back, work_s = _receive(connection, buffer)
                    worked_s = _work(work_s)
                    _send(connection, answer(asked, back), 0, worked_s)
                except (EOFError, OSError):
                    return

    threading.Thread(target=serve, daemon=True).start()


def _tcp(address: str, name: str) -> tuple[socket.socket, memoryview]:
    connection = socket.create_connection((address, _PORTS[name]))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection, memoryview(bytearray(_MOST_BYTES))


@dataclass
class _Wanted:
    """An answer of so many bytes after so much work, and how much it was; which is not counted."""

    nbytes: int = ANSWER_BYTES
    work_s: float = 0.0
    worked_s: float = 0.0


def _raw(address: str, wanted: _Wanted) -> Ask:
    connection, buffer = _tcp(address, RAW)

    def ask(array: Floats) -> None:
        _send(connection, array.data.cast("B"), wanted.nbytes, wanted.work_s)
        answer, _, wanted.worked_s = _receive(connection, buffer)
        np.frombuffer(answer, np.uint8)

    return ask


def _pickled(address: str) -> Ask:
    connection, buffer = _tcp(address, PICKLE)

    def ask(array: Floats) -> None:
        _send(connection, pickle.dumps(array, pickle.HIGHEST_PROTOCOL))
        pickle.loads(_receive(connection, buffer)[0])

    return ask


def _unpickled(message: memoryview, _: int) -> bytes:
    pickle.loads(message)
    return pickle.dumps(np.frombuffer(_ANSWER, np.float32), pickle.HIGHEST_PROTOCOL)


def _unary_server(address: str) -> grpc.Server:
    answers: dict[int, bytes] = {}

    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        np.frombuffer(request, np.float32)
        wanted = dict(context.invocation_metadata())
        back = int(wanted["back"])
        answers[back] = made = answers.get(back) or bytes(back)
        worked_s = _work(float(wanted["work"]))
        context.set_trailing_metadata((("worked", f"{worked_s:.6f}"),))
        return made

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(
        answer, None, None
    )
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=_TAKES_ALL)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("b", {"A": handler}),))
    server.add_insecure_port(f"{address}:{_PORTS[UNARY]}")
    server.start()
    return server


def _unary(address: str, wanted: _Wanted) -> Ask:
    channel = grpc.insecure_channel(f"{address}:{_PORTS[UNARY]}", _TAKES_ALL)
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/b/A", None, None)
    payloads: dict[int, bytes] = {}

    def ask(array: Floats) -> None:
        # raw bytes as they are given: making them of an array is not what is compared
        payload = payloads.setdefault(id(array), b"") or array.tobytes()
        payloads[id(array)] = payload
        metadata = (("back", str(wanted.nbytes)), ("work", str(wanted.work_s)))
        answer, done = call.with_call(payload, metadata=metadata)
        wanted.worked_s = float(dict(done.trailing_metadata())["worked"])
        np.frombuffer(answer, np.uint8)

    return ask


def _zeromq_server(address: str) -> None:
    sock: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REP)
    sock.bind(f"tcp://{address}:{_PORTS[ZEROMQ]}")

    def serve() -> None:
        while True:
            np.frombuffer(sock.recv(copy=False).buffer, np.float32)
            sock.send(_ANSWER, copy=False)

    threading.Thread(target=serve, daemon=True).start()


def _zeromq(address: str) -> Ask:
    sock: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
    sock.connect(f"tcp://{address}:{_PORTS[ZEROMQ]}")

    def ask(array: Floats) -> None:
        sock.send(array.data, copy=False)
        np.frombuffer(sock.recv(copy=False).buffer, np.float32)

    return ask


def _ours_server(address: str) -> grpc.Server:
    answer = np.frombuffer(_ANSWER, np.float32)

    def serve(stream: Stream) -> None:
        for received in stream:
            # the rate of the link, in the place of a number that a link has not
            stream.rate_mbit = received.header.frame.input or math.inf
            received.tensors()
            stream.send(Header(frame=FrameHeader()), {"answer": answer})

    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=CHANNEL_OPTIONS)
    server.add_generic_rpc_handlers((streams(serve),))
    server.add_insecure_port(f"{address}:{_PORTS[OURS]}")
    server.start()
    return server


class _Ours:
    def __init__(self, address: str) -> None:
        self._node = Dialled("peer", f"{address}:{_PORTS[OURS]}")
        self.rate_mbit = 0

    def __call__(self, array: Floats) -> None:
        with self._node.stream() as stream:
            stream.rate_mbit = self.rate_mbit or math.inf
            stream.send(Header(frame=FrameHeader(input=self.rate_mbit)), {"x": array})
            stream.receive("frame").tensors()


def _serve(address: str) -> None:
    _tcp_server(address, RAW, lambda _, back: _NOTHING[:back])
    _tcp_server(address, PICKLE, _unpickled)
    _zeromq_server(address)
    servers = [_unary_server(address), _ours_server(address)]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    for server in servers:
        server.stop(0)


def _ask(address: str) -> None:
    wanted, ours = _Wanted(), _Ours(address)
    asks: dict[str, Ask] = {
        RAW: _raw(address, wanted),
        UNARY: _unary(address, wanted),
        PICKLE: _pickled(address),
        ZEROMQ: _zeromq(address),
        OURS: ours,
    }
    arrays: dict[int, Floats] = {}
    for turn, line in enumerate(sys.stdin):
        asked = json.loads(line)
        wanted.nbytes = asked["back"]
        rest_s, own_s, wanted.work_s = asked["rhythm"]
        ours.rate_mbit = asked["rate_mbit"]
        nbytes = asked["bytes"]
        array = arrays.setdefault(nbytes, np.ones(-(-nbytes // 4), np.float32))
        names = [name for name in asks if name in asked["names"]]
        taken = {}
        for place in range(len(names)):
            name = names[(place + turn) % len(names)]
            wanted.worked_s = 0.0
            time.sleep(rest_s)
            _work(own_s)
            start = time.perf_counter()
            asks[name](array)
            taken[name] = time.perf_counter() - start - wanted.worked_s
        sys.stdout.write(json.dumps(taken) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    keep_freed_memory()
    os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)  # as nodes begin
    {"serve": _serve, "ask": _ask}[sys.argv[1]](sys.argv[2])
