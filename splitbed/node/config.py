"""What a node is told when it is started: its options, or the same as YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError

from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import UsageError

_Config = TypeVar("_Config", bound="NodeConfig")


class Tls(Frozen):
    """PEM files of `splitbed certs init`; peers must show a certificate of the same ``ca``."""

    ca: Path
    cert: Path
    key: Path


class Limits(Frozen):
    """What a node takes from its peers at most."""

    message_bytes: int = Field(65 << 20, ge=1 << 20, le=65 << 20)
    tensor_bytes: int = Field(1 << 30, ge=1 << 10, le=1 << 30)
    model_bytes: int = Field(8 << 30, ge=1 << 10)
    sessions: int = Field(32, ge=2, le=1024)  # open on parts of a model
    streams: int = Field(16, ge=4, le=1024)  # calls at a time


class ShaperConfig(Frozen):
    """The data interface that a node shapes: what it sends, and with ``ingress`` what comes in."""

    dev: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,15}$")
    ingress: bool = False


class NodeConfig(Frozen):
    """One node. ``control``, ``listen`` and ``metrics`` are IP:PORT, or ``unix:PATH``."""

    WHOSE: ClassVar[str] = "a node"
    control: str
    metrics: str | None = None
    tls: Tls | None = None
    token_file: Path | None = None
    insecure: bool = False
    log: Literal["console", "json"] = "console"
    limits: Limits = Limits()
    shaper: ShaperConfig | None = None
    grace_s: float = Field(30.0, ge=0, le=35)  # deploy/ kills later than that


class EdgeConfig(NodeConfig):
    """``listen`` is where intermediate data comes in, and at the same UDP port the link's proof."""

    WHOSE: ClassVar[str] = "an edge node"
    listen: str


class UeConfig(NodeConfig):
    """``edge`` is where intermediate data goes."""

    WHOSE: ClassVar[str] = "a UE node"
    edge: str


def load_node_config(
    kind: type[_Config], file: Path | None, options: Mapping[str, object]
) -> _Config:
    """The configuration of ``file`` with ``options`` that are not None over it.

    Paths in the file are relative to it. Raises UsageError for a file that cannot be read, and for
    keys and values that cannot be, naming each.
    """
    asked = _read(file) if file else {}
    asked |= {name: value for name, value in options.items() if value is not None}
    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        where = f"the configuration {file}" if file else "what was asked"
        keys = ", ".join(kind.model_fields)
        raise UsageError(
            f"{where} is none for {kind.WHOSE}: {one_line(error)}; its keys are {keys}"
        ) from None


def _read(file: Path) -> dict[str, object]:
    content = read_yaml(file)
    if isinstance(tls := content.get("tls"), dict):
        content["tls"] = {name: file.parent / str(path) for name, path in tls.items()}
    if isinstance(token := content.get("token_file"), str):
        content["token_file"] = file.parent / token
    return content
