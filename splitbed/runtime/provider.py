"""What computes a part: an execution provider of ONNX Runtime, or a delegate of TFLite.

    provider: openvino                                       the provider's name in lower case
    provider: {name: openvino, options: {num_of_threads: 1}, tolerance: 0.01}
    --provider openvino:num_of_threads=1,tolerance=0.01      the same on a command line

Whatever a provider does not take of a graph its runtime computes itself. So who took which nodes is
told of each part that is opened, one of which it took none is refused, and so is one of whose
outputs any is further than the tolerance from what the runtime gives by itself.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from splitbed.errors import UsageError, did_you_mean
from splitbed.tensors import Tensors

TOLERANCE = 1e-3
"""How far outputs may be from the runtime's own, of the largest value; clause 10.2.8 has 1e-3."""
_WORDS = re.compile(r"(?P<name>[^:=,]+)(:(?P<options>[^=,]+=[^,]*(,[^=,]+=[^,]*)*))?")
_SHOWN = 6  # operators in a sentence
_KEYS = ("name", "options", "tolerance")


@dataclass(frozen=True)
class Provider:
    """One by its runtime's name for it, with options that it knows; no name: the runtime's own."""

    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        told = {**self.options}
        if self.tolerance != TOLERANCE:
            told["tolerance"] = f"{self.tolerance:g}"
        options = ",".join(f"{key}={value}" for key, value in told.items())
        return f"{self.name}:{options}" if options else self.name


OWN = Provider()
"""Whichever a runtime takes by itself."""


@dataclass(frozen=True)
class Share:
    """How many nodes of a graph a provider took, and the operators of them, in order of names."""

    provider: str
    nodes: int
    ops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Computed:
    """Who took the nodes of what a node runs, of which ``provider`` was asked; none: whoever would.

    ``off`` is how far the outputs of its parts are from the runtime's own, the most of any; None of
    none, and where what parts were tried on means nothing to them.
    """

    provider: str
    shares: tuple[Share, ...]
    off: float | None = None
    types: Mapping[str, int] = field(default_factory=dict)
    """How many nodes of versions of parts compute in which type; of none nothing."""

    @property
    def types_words(self) -> str:
        """As rows have it: ``int8 21, fp32 3, casts 4``."""
        return ", ".join(f"{name} {count}" for name, count in self.types.items())

    @property
    def words(self) -> str:
        """As rows have it: ``openvino 41, cpu 3``."""
        return ", ".join(f"{share.provider} {share.nodes}" for share in self.shares)

    @property
    def left(self) -> str:
        """What the provider that was asked for left to others, in words; empty: nothing."""
        wanted = self.provider.partition(":")[0]
        left = [share for share in self.shares if share.provider != short(wanted)]
        if not self.provider or not left:
            return ""
        ops = sorted({op for share in left for op in share.ops})
        shown = ", ".join(ops[:_SHOWN]) + (", …" if len(ops) > _SHOWN else "")
        nodes = sum(share.nodes for share in left)
        return f"{nodes} of {sum(share.nodes for share in self.shares)} nodes ({shown})"


def together(provider: str, parts: Iterable[Computed]) -> Computed:
    """What a node computed of several parts, of each of which that is told."""
    nodes, ops, offs = Counter[str](), defaultdict[str, set[str]](set), list[float]()
    types = Counter[str]()
    for part in parts:
        shares, off = part.shares, part.off
        types.update(part.types)
        offs += [] if off is None else [off]
        for share in shares:
            nodes[share.provider] += share.nodes
            ops[share.provider] |= {*share.ops}
    shares = tuple(Share(who, count, tuple(sorted(ops[who]))) for who, count in nodes.items())
    return Computed(provider, shares, max(offs, default=None), dict(types.most_common()))


def provider_of(value: object) -> Provider:
    """What YAML or a command line says of one; ValueError for what says none."""
    if isinstance(value, Provider):
        return value
    if isinstance(value, str):
        if (said := _WORDS.fullmatch(value)) is None:
            raise ValueError("should be NAME or NAME:KEY=VALUE,KEY=VALUE")
        pairs = [word.partition("=") for word in (said["options"] or "").split(",") if word]
        options = {key: text for key, _, text in pairs}
        value = {"name": said["name"], "options": options}
        if (tolerance := options.pop("tolerance", None)) is not None:
            value["tolerance"] = _number(tolerance)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise ValueError("should be a name, or a mapping with one")
    if unknown := [key for key in value if key not in _KEYS]:
        raise ValueError(f"has no key {unknown[0]!r}: there are {', '.join(_KEYS)}")
    options, tolerance = value.get("options") or {}, value.get("tolerance", TOLERANCE)
    if not isinstance(options, dict) or not all(
        isinstance(text, str | int | float) and not isinstance(text, bool)
        for text in options.values()
    ):
        raise ValueError("has options that are no words and numbers: quote true and false")
    if not isinstance(tolerance, int | float) or not 0 < tolerance < math.inf:
        raise ValueError("has a tolerance that is not above 0")
    told = {str(key): str(text) for key, text in options.items()}
    return Provider(value["name"], told, float(tolerance))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"has the tolerance {text!r}, which is no number") from None


def chosen(provider: Provider, there: Sequence[str], runtime: str) -> str:
    """Which of those that are ``there`` it is; UsageError where it is none of them."""
    wanted = short(provider.name)
    for name in there:
        if short(name) == wanted:
            return name
    names = [short(name) for name in there]
    meant = did_you_mean(wanted, names, otherwise=":")
    raise UsageError(
        f"{runtime} has no provider {provider.name!r} here{meant} there are {', '.join(names)}"
    )


def short(name: str) -> str:
    """As rows and command lines have it: openvino, of OpenVINOExecutionProvider."""
    return name.lower().removesuffix("executionprovider")


def furthest(made: Tensors, own: Tensors) -> tuple[str, float]:
    """The output that is furthest from the runtime's own, and by how much of its largest value."""
    worst, off = "", 0.0
    for name, value in own.items():
        one, other = made[name].astype(np.float64), value.astype(np.float64)
        if one.shape != other.shape:
            return name, np.inf
        differ = ~((one == other) | (np.isnan(one) & np.isnan(other)))  # infinite ones may be equal
        if not differ.any():
            continue
        largest = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        far = float(np.abs(one[differ] - other[differ]).max() / largest) if largest else np.inf
        if math.isnan(far):
            return name, far
        if far > off:
            worst, off = name, far
    return worst, off


def check_agrees(provider: Provider, made: Tensors, own: Tensors) -> float:
    """How far outputs are from the runtime's own; UsageError where that is too far."""
    name, off = furthest(made, own)
    if not off <= provider.tolerance:
        raise UsageError(
            f"on {provider} its output {name!r} is off by {off:.2g} of the largest value from what "
            f"the runtime gives by itself, and the tolerance is {provider.tolerance:g}: give the "
            "provider options that compute as precisely, or `tolerance` in the node's file"
        )
    return off
