"""How parts come to a node, and are opened there: over the link, or beside it."""

import time
from collections.abc import Iterator
from dataclasses import replace

import grpc

from splitbed.errors import NodeError
from splitbed.node.answering import answering, given_up
from splitbed.node.delivery import CutPart, Decode, receive, span_of
from splitbed.node.host import NodeHost
from splitbed.node.parts.fetch import Fetch
from splitbed.node.streams.connection import Dialled
from splitbed.telemetry import MODELS
from splitbed.timeline import NS_PER_MS
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece


class PartsService(nodes_pb2_grpc.PartsServicer):
    """Takes one part at a time, and opens it beside those that are to be kept.

    ``dialled`` is the node that this one dials, None where it dials none.
    """

    def __init__(self, host: NodeHost, dialled: Dialled | None) -> None:
        self._host = host
        self._dialled = dialled
        self._came: CutPart | None = None
        host.forget.append(self.forget)

    def forget(self) -> None:
        """Forget the part that came last."""
        self._came = None
        MODELS.set(0)

    @answering
    def Receive(
        self, request: nodes_pb2.Delivery, context: grpc.ServicerContext
    ) -> nodes_pb2.PartReceived:
        """Fetch a part over the link, and decode it as it comes, where it comes encoded."""
        if self._dialled is None:
            raise NodeError(f"the {self._host.name} node dials no other to fetch a part from")
        with self._host.turn(context), given_up(context, self._dialled.cancel):
            fetch = self._dialled.part(request)
            received = self._fetched(fetch, request, context.time_remaining())
        received.resumed = fetch.resumed
        return received

    @answering
    def Take(
        self, request: Iterator[PartPiece], context: grpc.ServicerContext
    ) -> nodes_pb2.PartReceived:
        """Take a part from the orchestrator."""
        with self._host.turn(context):
            return self._take(request)

    def _fetched(
        self, fetch: Fetch, request: nodes_pb2.Delivery, seconds: float | None
    ) -> nodes_pb2.PartReceived:
        self._put_aside()
        if not (coder := request.coder):
            return self._take(iter(fetch))
        # coders take a while to import
        from splitbed.model_coders.increments import update_named
        from splitbed.model_coders.published import is_class
        from splitbed.model_coders.rest import MOST_HAVE
        from splitbed.node.parts.coded import decoding

        came, before = self._came, self._came.part.path if self._came else None
        updates = update_named(coder) is not None
        if updates and before is None:
            raise NodeError(f"{coder} updates a part, and none came before it")
        base, beside = before if updates else None, before if request.rest else None
        kind = coder if is_class(coder) else ""
        if kind and kind not in self._host.model_coders:
            raise NodeError(
                f"the {self._host.name} node does not import {kind} to decode with: list it as one"
                " of model_coders in its configuration, and have its module where the node starts"
            )
        most_bytes = self._host.limits.model_bytes
        with decoding(self._host.folder, most_bytes, seconds, base, beside, kind) as (decode, have):
            fetch.without(have[:MOST_HAVE])
            try:
                return self._take(iter(fetch), decode)
            except NodeError:
                self._came = came if base or beside else None  # one that adds nothing leaves it
                raise

    def _put_aside(self) -> None:
        """Have no file where the next part comes to: to remove a large one takes its time."""
        if self._came is not None and (path := self._came.part.path) is not None:
            before = path.replace(path.with_stem("before"))
            self._came = replace(self._came, part=replace(self._came.part, path=before))

    def _take(
        self, pieces: Iterator[PartPiece], decode: Decode | None = None
    ) -> nodes_pb2.PartReceived:
        self._came = None
        start_ns = time.monotonic_ns()
        arrived = receive(pieces, self._host.folder, self._host.limits, decode)
        end_ns = time.monotonic_ns()
        MODELS.set(1)
        self._came = arrived.cut
        return nodes_pb2.PartReceived(
            bytes=arrived.cut.part.nbytes,
            receive_ms=(end_ns - start_ns) / NS_PER_MS,
            link_ms=(arrived.came_ns - start_ns) / NS_PER_MS,
            decoded=arrived.decoded,
            came_bytes=arrived.came_bytes,
        )

    @answering
    def Open(
        self, request: nodes_pb2.SessionOptions, context: grpc.ServicerContext
    ) -> nodes_pb2.Loaded:
        """Open a session on the part that came last and warm it up."""
        with self._host.turn(context):
            if self._came is None:
                raise NodeError(f"the {self._host.name} node has no part: let it receive one first")
            return self._host.held.load(self._came, request, time.monotonic_ns())

    @answering
    def Warm(
        self, request: nodes_pb2.WarmRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.WarmReply:
        """Take a part that is held as the one opened last, and warm it up again."""
        with self._host.turn(context):
            self._host.held.warm(span_of(request.span), request.warmup)
        return nodes_pb2.WarmReply()
