"""Topologies: how the pair is joined, as YAML that a user can copy and change."""

import importlib.resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netem.spec import one_line
from splitbed.errors import UsageError


class Topology(BaseModel):
    """Two namespaces on this machine and the link between them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    link_backend: str = "auto"
    subnet: str = "10.77.0.0/24"
    data_port: int = Field(50051, ge=1024, le=65535)


def load_topology(file: Path | None) -> Topology:
    """The topology of a file, or ``topologies/pair.yaml``; UsageError when it is none."""
    source = file or importlib.resources.files("topologies") / "pair.yaml"
    try:
        return Topology.model_validate(yaml.safe_load(source.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read the topology {source}: {error}") from None
    except ValidationError as error:
        raise UsageError(f"{source} is no topology: {one_line(error)}") from None
