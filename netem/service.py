"""The gRPC services of a node for its links: shaping those that it may, proving those it dials."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields

import grpc

from netem.egress import Shaper
from netem.probe.client import prove
from netem.probe.proof import Proof, judge, nominal_rtt_ms
from netem.spec import LinkSpec, Shape, checked
from splitbed.errors import NodeError
from splitbed.node.answering import answering
from splitbed.node.config import EdgeConfig, NodeConfig, ShaperConfig
from splitbed.node.tcp import facts_to, pin_cubic
from splitbed.security.addresses import host_and_port
from splitbed.telemetry import tell_link
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from splitbed.v1.nodes_pb2 import LinkShape, Shaped

_PROVED = [one.name for one in fields(Proof)]
Services = dict[str, Callable[[grpc.Server], None]]


class ShaperService(nodes_pb2_grpc.ShaperServicer):
    """Shapes and reads back on behalf of the orchestrator, each link by the node at its other end.

    A lone shaper may serve whatever link there is: its name is empty.
    """

    def __init__(self, shapers: Mapping[str, Shaper]) -> None:
        self._shapers = shapers

    @answering
    def Shape(self, request: nodes_pb2.ShapeRequest, context: grpc.ServicerContext) -> Shaped:
        """Shape what this node sends; and what it receives, if that is given."""
        ingress = shape_of(request.ingress) if request.HasField("ingress") else None
        return _shaped(*self._shaper(request.towards).apply(shape_of(request.egress), ingress))

    @answering
    def Read(self, request: nodes_pb2.ReadShapeRequest, context: grpc.ServicerContext) -> Shaped:
        """What the kernel says."""
        return _shaped(*self._shaper(request.towards).read())

    def _shaper(self, towards: str) -> Shaper:
        if found := self._shapers.get(towards) or self._shapers.get(""):
            return found
        raise NodeError(
            f"this node shapes no link to {towards}, only to {', '.join(self._shapers)}"
        )


@contextmanager
def serve_shapers(config: NodeConfig, description: nodes_pb2.NodeDescription) -> Iterator[Services]:
    """The service by its name, if the node has interfaces to shape, for the data port alone.

    The description tells what shapes. Raises what :class:`netem.egress.Shaper` does.
    """
    if not config.shaper:
        yield {}
        return
    with ExitStack() as stack:
        shapers = {}
        for one in config.shaper:
            shaper = Shaper(one.dev, _port(config, one), ingress=one.ingress)
            shapers[one.towards or ""] = stack.enter_context(shaper)
            description.shaper = shaper.kind
            description.shapes.add(towards=one.towards or "", ingress=one.ingress)
        service = ShaperService(shapers)
        yield {
            "splitbed.v1.Shaper": lambda s: nodes_pb2_grpc.add_ShaperServicer_to_server(service, s)
        }


def _port(config: NodeConfig, shaper: ShaperConfig) -> int:
    """Of the data that crosses what it shapes: there is one at the end that is dialled."""
    listens = [config.listen] if isinstance(config, EdgeConfig) else []
    dialled = [place for peer, place in config.dials.items() if peer == shaper.towards]
    return host_and_port([*dialled, *listens, *config.dials.values()][0])[1]


class LinkService(nodes_pb2_grpc.LinksServicer):
    """Proves the links to the nodes that this one dials."""

    def __init__(self, dials: Mapping[str, str]) -> None:
        self._dials = dials

    @answering
    def Prove(
        self, request: nodes_pb2.ProveLinkRequest, context: grpc.ServicerContext
    ) -> nodes_pb2.LinkProof:
        """Measure rate and round trip of a link, and say what TCP has been through."""
        if request.peer not in self._dials:
            raise NodeError(f"this node dials no {request.peer}: {', '.join(self._dials)}")
        return _proved(self._dials[request.peer], request)


def _proved(address: str, request: nodes_pb2.ProveLinkRequest) -> nodes_pb2.LinkProof:
    if not 0 < request.probe_port < 1 << 16:
        raise NodeError(f"there is no port {request.probe_port} to prove the link against")
    host, port = host_and_port(address)
    spec = LinkSpec(uplink=shape_of(request.uplink), downlink=shape_of(request.downlink))
    pin_cubic(port)
    known = None
    if request.HasField("known"):
        known = Proof(**{name: getattr(request.known, name) for name in _PROVED})
    end = host, request.probe_port
    proof = prove(end, request.probe_token, spec, known=known)
    facts = facts_to((host, port))
    tell_link(
        request.peer,
        (spec.uplink.rate_mbit, spec.downlink.rate_mbit),
        None if proof.rates_known else (proof.uplink_mbit, proof.downlink_mbit),
        (nominal_rtt_ms(spec), proof.rtt_min_ms),
        facts.retransmits if facts else None,
    )
    return nodes_pb2.LinkProof(
        **vars(proof),
        fault=judge(proof, spec) or "",
        tcp=nodes_pb2.TcpFacts(**vars(facts)) if facts else None,
    )


def links_service(dials: Mapping[str, str]) -> Services:
    """The service by its name, if the node dials others."""
    service = LinkService(dials)
    added = {"splitbed.v1.Links": lambda s: nodes_pb2_grpc.add_LinksServicer_to_server(service, s)}
    return added if dials else {}


def shape_of(asked: LinkShape) -> Shape:
    """The shape that a message asks for; UsageError for one that cannot be."""
    return checked(Shape, **{field.name: value for field, value in asked.ListFields()})


def shape_message(shape: Shape) -> LinkShape:
    """A shape as it travels."""
    return LinkShape(**shape.model_dump())


def _shaped(egress: Shape, ingress: Shape | None) -> Shaped:
    return Shaped(egress=shape_message(egress), ingress=shape_message(ingress) if ingress else None)
