"""The data plane of a node that others dial: parts for them, and the streams of their frames."""

from collections.abc import Callable, Iterator

import grpc

from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.node.answering import answering
from splitbed.node.delivery import Parcel, span_of
from splitbed.node.stations.passing import Passing
from splitbed.node.stream import Stream
from splitbed.node.streams.connection import streams
from splitbed.node.tcp import pin_cubic
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import PartPiece


class DataService(nodes_pb2_grpc.DataServicer):
    """Sends the parts that ``parcel`` finds, and takes frames through this node, at ``port``."""

    def __init__(self, passing: Passing, parcel: Callable[[Span, str], Parcel], port: int) -> None:
        self._passing = passing
        self._parcel = parcel
        self._port = port

    def add_to(self, server: grpc.Server) -> None:
        """Have a server answer with this."""
        nodes_pb2_grpc.add_DataServicer_to_server(self, server)
        server.add_generic_rpc_handlers((streams(self._serve),))

    @answering
    def DeliverPart(
        self, request: nodes_pb2.Delivery, context: grpc.ServicerContext
    ) -> Iterator[PartPiece]:
        """Send a part that was made ready, or what is lacking of it, from where it was cut off."""
        parcel = self._parcel(span_of(request.span), request.coder)
        if not request.have or not parcel.header.coder:
            yield from parcel.pieces(request.offset)
            return
        from splitbed.model_coders.rest import MOST_HAVE  # coders take a while to import
        from splitbed.node.parts.coded import rest_of

        if len(request.have) > MOST_HAVE:
            raise NodeError(f"refused {len(request.have)} hashes of tensors: over {MOST_HAVE}")
        with rest_of(parcel, {*request.have}) as rest:
            yield from rest.pieces(request.offset)

    def _serve(self, stream: Stream) -> None:
        pin_cubic(self._port)
        self._passing.serve(stream)
