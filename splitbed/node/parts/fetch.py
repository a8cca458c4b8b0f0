"""A part as the node that dials has it come: one that was cut off goes on where it was."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import grpc

from splitbed.errors import NodeError
from splitbed.v1 import nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import Delivery, PartHeader, PartPiece
from splitbed.workers.wanted import LOOK_S, check_wanted

RECONNECT_S = 5.0
"""How long the node that sends may be gone."""
IN_VAIN = 3
"""How often in a row it may be cut off before more has come."""


class Fetch:
    """Fetches a part over ``channel``; NodeError comes as ``failure`` makes it of gRPC's."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        delivery: Delivery,
        failure: Callable[[grpc.RpcError], NodeError],
    ) -> None:
        self.resumed = 0
        """How often it was cut off, and went on."""
        self._channel = channel
        self._metadata = metadata
        self._failure = failure
        self._asked = Delivery(span=delivery.span, coder=delivery.coder)
        self._header: PartHeader | None = None
        self._call: grpc.Call | None = None
        self._cancelled = False
        self._in_vain = 0

    def __iter__(self) -> Iterator[PartPiece]:
        """What the other node sends, the header once; given up by :meth:`cancel`."""
        while True:
            before = self._asked.offset
            try:
                yield from self._pieces()
                return
            except grpc.RpcError as error:
                if not self._goes_on(error, before):
                    raise self._failure(error) from None
            self.resumed += 1

    def without(self, have: Iterable[bytes]) -> None:
        """Ask for no tensors of these hashes."""
        self._asked.have.extend(have)

    def cancel(self) -> None:
        """Give it up, from any thread, begun or not."""
        self._cancelled = True
        if self._call is not None:
            self._call.cancel()

    def _goes_on(self, error: grpc.RpcError, before: int) -> bool:
        assert isinstance(error, grpc.Call)
        self._in_vain = self._in_vain + 1 if self._asked.offset == before else 0
        begun = self._header is not None and self._in_vain <= IN_VAIN
        if error.code() is not grpc.StatusCode.UNAVAILABLE or not begun:
            return False
        ready, end_s = grpc.channel_ready_future(self._channel), time.monotonic() + RECONNECT_S
        try:
            while time.monotonic() < end_s:
                check_wanted()
                with suppress(grpc.FutureTimeoutError):
                    ready.result(LOOK_S)
                    return True
            return False
        finally:
            ready.cancel()  # or it asks for ever

    def _pieces(self) -> Iterator[PartPiece]:
        stub = nodes_pb2_grpc.DataStub(self._channel)
        call = stub.DeliverPart(self._asked, metadata=self._metadata)
        self._call = call
        if self._cancelled:
            call.cancel()
        for piece in call:
            if piece.WhichOneof("body") == "header":
                if self._header is None:
                    self._header = piece.header
                    yield piece
                elif piece.header != self._header:
                    raise NodeError("a part was cut off, and now there is another in its place")
            else:
                self._asked.offset += len(piece.data)
                yield piece
