"""The UE's end of the data plane: one long-lived stream to the edge node."""

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import grpc

from splitbed.errors import NodeError
from splitbed.node.config import Tls
from splitbed.security.access import open_channel, why_unreachable
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece, PartRequest
from splitbed.v1.tensors_pb2 import EdgeReport, Packet, Padding
from splitbed.wire import CHANNEL_OPTIONS, CHUNK_BYTES, Assembler, fill


@dataclass(frozen=True)
class Answer:
    """What came back for one frame, and when it was sent and received (ns)."""

    result: Tensors
    report: EdgeReport
    sent_ns: int
    received_ns: int


class EdgeClient:
    """Sends frames one after another; the connection outlives them, so that it stays warm."""

    def __init__(self, address: str, tls: Tls | None = None, token: str | None = None) -> None:
        self.address = address
        self._tls = tls
        # a frame sent twice would be measured as one: an edge that goes away is told, not retried
        options = [*CHANNEL_OPTIONS, ("grpc.enable_retries", 0)]
        self._channel = open_channel(address, tls, token, options)
        self._stub = nodes_pb2_grpc.DataStub(self._channel)
        self._lock = threading.Lock()
        self._stream: _Stream | None = None
        self._delivery: grpc.Call | None = None

    def exchange(
        self, packets: Iterable[Packet], frame: int, expected: Sequence[TensorInfo]
    ) -> Answer:
        """Send one frame, wait for its result, which must be `expected`, and its report.

        Raises NodeError when the edge is gone, refuses, or answers something else.
        """
        with self._lock, self._open() as stream:
            sent_ns = time.monotonic_ns()
            stream.send(packets)
            header = stream.take("header").header
            if header.frame != frame:
                raise NodeError(f"the edge answered frame {header.frame}, {frame} was asked")
            assembler = fill(Assembler(header, expected), stream.answers())
            received_ns = time.monotonic_ns()
            report = stream.take("report").report
            return Answer(assembler.tensors, report, sent_ns, received_ns)

    def part(self, layers: int) -> Iterator[PartPiece]:
        """Part 1 of the cut after `layers` layers, on the same connection as the frames.

        Raises NodeError when the edge is gone or has no such part ready.
        """
        call = self._stub.DeliverPart(PartRequest(layers=layers))
        self._delivery = call
        try:
            yield from call
        except grpc.RpcError as error:
            raise _failure(error, self.address, self._tls) from None
        finally:
            self._delivery = None

    def warm(self, nbytes: int) -> None:
        """Send `nbytes` that mean nothing, so that the congestion window is open."""
        full, rest = divmod(nbytes, CHUNK_BYTES)
        sizes = [CHUNK_BYTES] * full + [rest]
        with self._lock, self._open() as stream:
            stream.send(
                Packet(padding=Padding(data=bytes(size), last=index == full))
                for index, size in enumerate(sizes)
            )
            stream.take("padding")

    def cancel(self) -> None:
        """Give up what is in flight; the next frame opens a new stream."""
        if (delivery := self._delivery) is not None:
            delivery.cancel()
        if self._stream is not None:
            self._stream.close()

    def close(self) -> None:
        """Close stream and connection."""
        self.cancel()
        self._channel.close()

    def _open(self) -> "_Stream":
        if self._stream is None or self._stream.closed:
            self._stream = _Stream(self._stub, self.address, self._tls)
        return self._stream


class _Stream:
    """One gRPC stream; leaving its context by an error closes it."""

    def __init__(self, stub: nodes_pb2_grpc.DataStub, address: str, tls: Tls | None) -> None:
        self.closed = False
        self._address = address
        self._tls = tls
        self._outgoing: queue.SimpleQueue[Iterable[Packet] | None] = queue.SimpleQueue()
        self._call = stub.Frames(self._requests())

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.close()

    def _requests(self) -> Iterator[Packet]:
        # gRPC takes packets as it can send them, so chunks are copied while others are on the wire
        while (packets := self._outgoing.get()) is not None:
            yield from packets

    def send(self, packets: Iterable[Packet]) -> None:
        self._outgoing.put(packets)

    def answers(self) -> Iterator[Packet]:
        try:
            yield from self._call
        except grpc.RpcError as error:
            raise _failure(error, self._address, self._tls) from None

    def take(self, body: str) -> Packet:
        packet = next(self.answers(), None)
        if packet is None:
            raise NodeError(f"the edge at {self._address} ended the stream")
        if (got := packet.WhichOneof("body")) != body:
            raise NodeError(f"the edge at {self._address} answered with {got}, not {body}")
        return packet

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._outgoing.put(None)
            self._call.cancel()


def _failure(error: grpc.RpcError, address: str, tls: Tls | None) -> NodeError:
    # every error of a call is also the call itself
    assert isinstance(error, grpc.Call)
    if tls and error.code() is grpc.StatusCode.UNAVAILABLE:
        return NodeError(f"the edge failed: {why_unreachable(error, address, tls)}")
    return NodeError(f"the edge at {address} failed: {error.code().name}: {error.details()}")
