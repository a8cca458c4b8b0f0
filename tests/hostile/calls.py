"""Calls as they go over the wire: a method, and messages of raw bytes; a corpus of them is kept.

Each line of a file of the corpus is a call: ``{"node", "path", "messages"}``, these as base64.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from splitbed.v1 import inference_pb2, nodes_pb2

CORPUS = Path(__file__).parent / "corpus"
SERVICES = {
    "edge": ("Node", "Parts", "Stations", "Edge"),
    "ue": ("Node", "Parts", "Stations", "Links", "Ue"),
}
"""Of the control plane of each node without an interface to shape; every node has ALSO."""
QUEUED = 1000
"""The assignment of a run that has queues."""
INFERENCE = "/inference."
"""How the methods begin that a UE answers on the port of its clients."""
ALSO = (
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
)


@dataclass(frozen=True)
class Call:
    """Messages to a method of a node."""

    node: str
    path: str
    messages: tuple[bytes, ...]


@cache
def methods(node: str) -> dict[str, MethodDescriptor]:
    """What can be called on the control plane of a node, and by clients of a UE, by path."""
    known = nodes_pb2.DESCRIPTOR.services_by_name
    services: list[Any] = [*(known[name] for name in SERVICES[node]), *ALSO]
    if node == "ue":
        services += inference_pb2.DESCRIPTOR.services_by_name.values()
    return {
        f"/{service.full_name}/{method.name}": method
        for service in services
        for method in service.methods
    }


def kept(name: str) -> Iterator[Call]:
    """The calls of a file of the corpus, in its order."""
    for line in (CORPUS / f"{name}.jsonl").read_text().splitlines():
        call = json.loads(line)
        messages = tuple(map(base64.b64decode, call["messages"]))
        yield Call(call["node"], call["path"], messages)


def as_line(call: Call) -> str:
    """A call as a line of the corpus."""
    messages = [base64.b64encode(message).decode() for message in call.messages]
    return json.dumps({"node": call.node, "path": call.path, "messages": messages})
