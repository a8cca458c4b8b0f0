"""Topologies: where the two nodes are and how they are joined, as YAML to copy and change."""

import importlib.resources
from pathlib import Path

from pydantic import Field, ValidationError

from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import UsageError
from splitbed.node.config import Tls


class Namespaces(Frozen):
    """Two namespaces on this machine and the link between them."""

    name: str
    link_backend: str = "auto"
    subnet: str = "10.77.0.0/24"
    data_port: int = Field(50051, ge=1024, le=65535)


class NodePlace(Frozen):
    """Where a node's control plane is; and for `orchestrate up`, how it is started there."""

    control: str
    ssh: str | None = None
    config: str | None = None
    command: str | None = None


class Machines(Frozen):
    """Two nodes that run as services, each of which shapes what it sends."""

    name: str
    ue: NodePlace
    edge: NodePlace
    tls: Tls | None = None
    token_file: Path | None = None
    insecure: bool = False


Topology = Namespaces | Machines


def load_topology(file: Path | None) -> Topology:
    """The topology of a file, or ``topologies/pair.yaml``; UsageError when it is none.

    Paths in the file are relative to it.
    """
    source = file or importlib.resources.files("topologies") / "pair.yaml"
    content = read_yaml(source, "topology")
    try:
        if file and {"ue", "edge"} & content.keys():
            return Machines.model_validate(_anchored(content, file.parent))
        return Namespaces.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{source} is no topology: {one_line(error)}") from None


def load_machines(file: Path) -> Machines:
    """The topology of a file that is one of machines; UsageError when it is none."""
    topology = load_topology(file)
    if not isinstance(topology, Machines):
        raise UsageError(f"{file} names no machines: give `ue` and `edge`, each with its `control`")
    return topology


def _anchored(content: dict[str, object], folder: Path) -> dict[str, object]:
    if isinstance(tls := content.get("tls"), dict):
        content["tls"] = {name: folder / str(path) for name, path in tls.items()}
    if isinstance(token := content.get("token_file"), str):
        content["token_file"] = folder / token
    return content
