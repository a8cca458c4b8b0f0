"""What a node is told when it is started: its options, or the same as YAML."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, InstanceOf, ValidationError, model_validator

from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import NodeError, UsageError
from splitbed.runtime.provider import OWN, Provider, provider_of
from splitbed.workers.allowance import DECODER_BYTES, OF_BASE, OF_FILES

_Config = TypeVar("_Config", bound="NodeConfig")

MOST_ASSIGNED = 1024
LEAST_CONNECTIONS = 16
PARCELS = 4
"""Parts that are ready to be delivered, for each session that may be open."""
MOST_RUNS = 100_000
"""Of a part, to warm it up or to profile it."""
MOST_SLOWDOWN, LEAST_CPUS, MOST_CPUS = 10_000.0, 0.02, 1024.0
"""Of a processor that is to be slowed; a node with fewer would not answer while it computes."""
_LEAST_CODED_BYTES = 64 << 20

_NAME = r"^[a-z][a-z0-9-]{0,30}$"
NodeName = Annotated[str, Field(pattern=_NAME)]
"""Of a node in its topology: ue, edge, cloud, ue-1."""


def is_node_name(word: str) -> bool:
    """Whether a node can be called so."""
    return re.fullmatch(_NAME, word) is not None


class Tls(Frozen):
    """PEM files of `splitbed certs init`; peers must show a certificate of the same ``ca``."""

    ca: Path
    cert: Path
    key: Path


class Limits(Frozen):
    """What a node takes from its peers at most.

    Of a message; of the tensors of a frame or an input; of a model, or parts of one that come
    together; what a part may take beside its weights; of the inputs and references that are kept
    on disk; sessions open on parts of a model; calls at a time, and connections, on each of its
    ports. Each ``check`` raises NodeError, which names the limit.
    """

    message_bytes: int = Field(65 << 20, ge=1 << 20, le=65 << 20)
    tensor_bytes: int = Field(1 << 30, ge=1 << 10, le=1 << 30)
    model_bytes: int = Field(8 << 30, ge=1 << 10)
    session_bytes: int = Field(2 << 30, ge=64 << 20)
    kept_bytes: int = Field(64 << 30, ge=1 << 10)
    sessions: int = Field(32, ge=2, le=1024)
    streams: int = Field(16, ge=4, le=1024)
    connections: int = Field(2048, ge=LEAST_CONNECTIONS, le=1 << 16)

    @property
    def coded_bytes(self) -> int:
        """What the codecs of all assignments that hold may keep from frame to frame."""
        return max(4 * self.tensor_bytes, _LEAST_CODED_BYTES)

    @property
    def memory_bytes(self) -> int:
        """What a node and its processes grow by at most, with each limit used to its end.

        Beside what is its own that is a decoder, with the update's base, and a profile, with the
        parts that come together and what those may take that are open together, one of each at a
        time.
        """
        decoder = DECODER_BYTES + OF_BASE * self.model_bytes
        profile = OF_FILES * self.model_bytes + self.sessions * self.session_bytes
        return self.own_bytes + decoder + profile

    @property
    def own_bytes(self) -> int:
        """What the memory of the node's own process, and of a trial, grows by at most.

        A call has its message, as it came and as it was read, what it sends of tensors and what
        they become; on the control plane and on that of data. One input at a time is made, by way
        of at most eight bytes for each of its own. Assignments that hold are as large as a message,
        and their codecs keep something; those of one that is told, one at a time, are there twice.
        A session has its file, twice while it is opened, and what it takes besides; a part that is
        tried before, and a stored model that is read, its file four times and as much besides.
        Counted is one of these at a time, as experiments have them.
        """
        call = 2 * self.message_bytes + 2 * self.tensor_bytes
        session = 2 * self.model_bytes + self.session_bytes
        once = 8 * self.tensor_bytes + 4 * self.message_bytes
        trial = OF_FILES * self.model_bytes + self.session_bytes
        coded = 3 * self.coded_bytes
        return 2 * self.streams * call + self.sessions * session + once + trial + coded

    def check_model(self, nbytes: int) -> None:
        """A model of so many bytes, or so many of parts together."""
        self._check("a model", nbytes, "model_bytes")

    def check_kept(self, nbytes: int) -> None:
        """Inputs of so many bytes on disk, or references, or parts that are ready."""
        self._check("to keep inputs, references or parts", nbytes, "kept_bytes")

    def check_assigned(self, count: int, nbytes: int) -> None:
        """So many assignments that hold at once, told in so many bytes together."""
        if count > MOST_ASSIGNED:
            raise NodeError(f"refused {count} assignments at once: at most {MOST_ASSIGNED} hold")
        self._check("assignments", nbytes, "message_bytes")

    def check_under_way(self, count: int, nbytes: int) -> None:
        """So many frames at once of one stream, each of so many bytes: together they are as one."""
        if count * nbytes > (most := self.tensor_bytes):
            raise NodeError(
                f"refused {count} frames of {nbytes} bytes under way at once: limits.tensor_bytes "
                f"is {most} for all of them; let fewer be in flight, or wait"
            )

    def check_coded(self, nbytes: int) -> None:
        """Codecs that keep so many bytes from frame to frame."""
        if nbytes > (most := self.coded_bytes):
            raise NodeError(
                f"refused codecs that keep {nbytes} bytes: limits.tensor_bytes allows {most}"
            )

    def check_parcels(self, count: int) -> None:
        """So many parts that are ready to be delivered."""
        if count > (most := PARCELS * self.sessions):
            raise NodeError(f"refused to have {count} parts ready: limits.sessions allows {most}")

    def _check(self, what: str, nbytes: int, limit: str) -> None:
        if nbytes > (most := getattr(self, limit)):
            raise NodeError(f"refused {what} of {nbytes} bytes: limits.{limit} is {most}")


def checked_runs(runs: int) -> int:
    """So many runs of a part, to warm it up or to profile it; NodeError for too many."""
    if runs > MOST_RUNS:
        raise NodeError(f"refused {runs} runs of a part: at most {MOST_RUNS} are made")
    return runs


class ShaperConfig(Frozen):
    """A data interface that a node shapes: what it sends, and with ``ingress`` what comes in.

    Of a node with several links ``towards`` names the node at the other end of this one.
    """

    dev: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,15}$")
    ingress: bool = False
    towards: NodeName | None = None


def _listed(value: object) -> object:
    return [value] if isinstance(value, dict | ShaperConfig) else value


class NodeConfig(Frozen):
    """One node. ``control`` and ``metrics`` are IP:PORT, or ``unix:PATH``.

    ``dials`` says where the nodes listen that this one dials, by their names; ``model_coders``
    which classes, each ``MODULE:CLASS``, it imports to decode models with; ``provider`` what
    computes its parts (:mod:`splitbed.runtime.provider`).
    """

    WHOSE: ClassVar[str] = "a node"
    name: NodeName
    control: str
    dials: Mapping[NodeName, str] = {}
    metrics: str | None = None
    tls: Tls | None = None
    token_file: Path | None = None
    insecure: bool = False
    log: Literal["console", "json"] = "console"
    limits: Limits = Limits()
    model_coders: tuple[str, ...] = ()
    provider: Annotated[InstanceOf[Provider], BeforeValidator(provider_of)] = OWN
    shaper: Annotated[tuple[ShaperConfig, ...], BeforeValidator(_listed)] = ()
    grace_s: float = Field(30.0, ge=0, le=35)  # deploy/ kills later than that

    @model_validator(mode="after")
    def _shapes_each_link_once(self) -> Self:
        towards = [one.towards for one in self.shaper]
        if len(towards) > 1 and (None in towards or len({*towards}) < len(towards)):
            raise ValueError("of several shapers each says `towards` which other node")
        return self


class EdgeConfig(NodeConfig):
    """``listen`` is where data comes in, and at the same UDP port the proofs of links."""

    WHOSE: ClassVar[str] = "an edge node"
    name: NodeName = "edge"
    listen: str


class UeConfig(NodeConfig):
    """``edge`` is where the node of that name listens, which this one dials.

    On ``infer``, IP:PORT or ``unix:PATH``, clients are answered.
    """

    WHOSE: ClassVar[str] = "a UE node"
    name: NodeName = "ue"
    edge: str | None = None
    infer: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _dials_the_edge(cls, content: object) -> object:
        if not isinstance(content, dict) or not content.get("edge"):
            return content
        dials = content.get("dials") or {}
        if not isinstance(dials, dict):
            return content  # refused as what it is
        return content | {"dials": {"edge": content["edge"], **dials}}

    @model_validator(mode="after")
    def _dials_somebody(self) -> Self:
        if not self.dials:
            raise ValueError("edge is missing: where is the node that it is to dial?")
        return self


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
