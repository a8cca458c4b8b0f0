"""The gRPC service of a node that shapes the interface that its data crosses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc

from netem.egress import Shaper
from netem.spec import Shape, checked
from splitbed.node.answering import answering
from splitbed.node.config import ShaperConfig
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import LinkShape, Shaped


class ShaperService(nodes_pb2_grpc.ShaperServicer):
    """Shapes and reads back on behalf of the orchestrator."""

    def __init__(self, shaper: Shaper) -> None:
        self._shaper = shaper

    @answering
    def Shape(self, request: nodes_pb2.ShapeRequest, context: grpc.ServicerContext) -> Shaped:
        """Shape what this node sends; and what it receives, if that is given."""
        ingress = shape_of(request.ingress) if request.HasField("ingress") else None
        return _shaped(*self._shaper.apply(shape_of(request.egress), ingress))

    @answering
    def Read(self, request: nodes_pb2.ReadShapeRequest, context: grpc.ServicerContext) -> Shaped:
        """What the kernel says."""
        return _shaped(*self._shaper.read())


@contextmanager
def serve_shaper(
    config: ShaperConfig | None, port: int, description: nodes_pb2.NodeDescription
) -> Iterator[dict[str, Callable[[grpc.Server], None]]]:
    """The service by its name, if the node has an interface to shape, for traffic of `port` alone.

    The description tells what shapes. Raises what :class:`netem.egress.Shaper` does.
    """
    if config is None:
        yield {}
        return
    with Shaper(config.dev, port, ingress=config.ingress) as shaper:
        description.shaper, description.shapes_ingress = shaper.kind, config.ingress
        service = ShaperService(shaper)
        yield {
            "splitbed.v1.Shaper": lambda s: nodes_pb2_grpc.add_ShaperServicer_to_server(service, s)
        }


def shape_of(asked: LinkShape) -> Shape:
    """The shape that a message asks for; UsageError for one that cannot be."""
    return checked(Shape, **{field.name: value for field, value in asked.ListFields()})


def shape_message(shape: Shape) -> LinkShape:
    """A shape as it travels."""
    return LinkShape(**shape.model_dump())


def _shaped(egress: Shape, ingress: Shape | None) -> Shaped:
    return Shaped(egress=shape_message(egress), ingress=shape_message(ingress) if ingress else None)
