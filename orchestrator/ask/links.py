"""The links that options ask for: a grid of rates, delays, jitters and losses, or profiles.

This is the door: what is made here goes unchanged to the qdisc.

    --bw --delay-ms …  ──> LinkSpec ──> cell ──> ShapedLink.shape ──> tc's arguments, and read back
    --link-of          ──┘  of each link of the flow
"""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from netem.profiles import PROFILES
from netem.spec import FRAME_BYTES, LinkSpec, Shape, symmetric
from orchestrator.ask.numbers import Numbers, Words, comma_words
from splitbed.checked import Frozen, one_line
from splitbed.errors import UsageError

USUAL_QUEUE = 1000
MAX_QUEUE_PACKETS = 1_000_000
_OF_GRID = ("bw", "delay_ms", "jitter_ms", "loss_pct", "queue_packets", "ul", "dl")


def _key_values(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [word.partition("=") for word in comma_words(value)]
    return {key.strip().replace("-", "_"): number.strip() for key, _, number in pairs}


class Override(Frozen):
    """What one direction has of its own; the rest it takes from the swept values."""

    rate_mbit: float | None = None
    delay_ms: float | None = None
    jitter_ms: float | None = None
    loss_pct: float | None = None
    queue_packets: int | None = None


OverrideOption = Annotated[Override, BeforeValidator(_key_values)]


class OwnShape(Override):
    """What one link of a flow has of its own, both ways; the rest it takes from the swept values.

    Or it is as a ``profile``, with these in place of what that says.
    """

    profile: str | None = None

    def but(self, other: "OwnShape") -> "OwnShape":
        """The same with what the other says instead."""
        return OwnShape(**{**self.model_dump(), **other.model_dump(exclude_none=True)})

    def told(self, way: Literal["uplink", "downlink"]) -> Override:
        """What it has of its own that way, of its profile what the link is as."""
        of_profile = dict(getattr(_profile(self.profile), way)) if self.profile else {}
        own = self.model_dump(exclude_none=True, exclude={"profile"})
        return Override(**{**of_profile, **own})

    def over(self, swept: LinkSpec, name: str) -> LinkSpec:
        """The link called `name`, where others are as `swept`. Raises UsageError."""
        link = _profile(self.profile) if self.profile else swept
        own = self.model_dump(exclude_none=True, exclude={"profile"})
        try:
            uplink, downlink = (
                Shape.model_validate({**dict(shape), **own})
                for shape in (link.uplink, link.downlink)
            )
        except ValidationError as error:
            raise UsageError(f"the link {name} cannot be: {one_line(error)}") from None
        return LinkSpec(uplink=uplink, downlink=downlink)


def _profile_or_values(value: object) -> object:
    return {"profile": value} if isinstance(value, str) and "=" not in value else _key_values(value)


def _by_link(value: object) -> object:
    """``NAME:rate_mbit=1000,delay_ms=20``, the next link after a comma; or a mapping."""
    if not isinstance(value, str):
        return value
    found: dict[str, list[str]] = {}
    name = ""
    for word in comma_words(value):
        before, names_link, behind = word.partition(":")
        name = before.strip() if names_link else name
        if not name:
            raise ValueError("should name a link, as in backhaul:rate_mbit=1000,delay_ms=20")
        found.setdefault(name, []).append(behind if names_link else word)
    return {name: ",".join(words) for name, words in found.items()}


OwnShapeWords = Annotated[OwnShape, BeforeValidator(_profile_or_values)]


class LinkOptions(Frozen):
    """Swept values in Mbit/s, ms and per cent, and what a direction has instead; or profiles."""

    bw: Numbers = (5.0, 20.0, 100.0)
    delay_ms: Numbers = (0.0,)
    jitter_ms: Numbers = (0.0,)
    loss_pct: Numbers = (0.0,)
    link: Words | None = None
    queue_packets: int = Field(USUAL_QUEUE, ge=1, le=MAX_QUEUE_PACKETS)
    ul: OverrideOption = Override()
    dl: OverrideOption = Override()
    link_of: Annotated[dict[str, OwnShapeWords], BeforeValidator(_by_link)] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        _ = self.links
        return self

    @cached_property
    def links(self) -> tuple[LinkSpec, ...]:
        """Every link that is asked for, once, made with the options; UsageError there."""
        return tuple(dict.fromkeys(self._profiles() if self.link else self._grid()))

    def _profiles(self) -> Iterator[LinkSpec]:
        fields = LinkOptions.model_fields
        if clash := [name for name in _OF_GRID if getattr(self, name) != fields[name].default]:
            options = ", ".join(clash)
            raise UsageError(f"link profiles are whole links: give --link, or {options}, not both")
        yield from map(_profile, self.link or ())

    def _grid(self) -> Iterator[LinkSpec]:
        grid = product(self.bw, self.delay_ms, self.jitter_ms, self.loss_pct)
        for rate_mbit, delay_ms, jitter_ms, loss_pct in grid:
            swept = {
                "rate_mbit": rate_mbit,
                "delay_ms": delay_ms,
                "jitter_ms": jitter_ms,
                "loss_pct": loss_pct,
                "queue_packets": self.queue_packets,
            }
            yield LinkSpec(
                uplink=_shape("ul", swept, self.ul), downlink=_shape("dl", swept, self.dl)
            )


def _profile(name: str) -> LinkSpec:
    if name not in PROFILES:
        raise UsageError(f"no link profile is called {name!r}: choose {', '.join(PROFILES)}")
    return PROFILES[name]


def _shape(direction: str, swept: dict[str, float], own: Override) -> Shape:
    other = own.model_dump(exclude_none=True)
    typed = {name: f"{_option(name)} {value:g}" for name, value in swept.items()}
    typed |= {name: f"--{direction} {name}={value:g}" for name, value in other.items()}
    try:
        return Shape.model_validate({**swept, **other})
    except ValidationError as error:
        raise UsageError(one_line(error, typed)) from None


def _option(name: str) -> str:
    return "--bw" if name == "rate_mbit" else f"--{name.replace('_', '-')}"


def queue_for(rate_mbit: float, held_ms: float) -> int:
    """Full packets that a rate carries in so many ms."""
    return math.ceil(rate_mbit * 1e3 * held_ms / (FRAME_BYTES * 8))


def link_at(rate_mbit: float, delay_ms: float) -> LinkSpec:
    """Both directions alike, with a queue that holds what is in flight. Raises UsageError."""
    queue = max(USUAL_QUEUE, queue_for(rate_mbit, delay_ms))
    return symmetric(rate_mbit=rate_mbit, delay_ms=delay_ms, queue_packets=queue)


def links_words(links: Sequence[LinkSpec]) -> str:
    """The links of a flow in words: one where all are alike."""
    return " and ".join(link.words for link in (links if len({*links}) > 1 else links[:1]))


def shared_words(ues: int) -> str:
    """Behind the words of a link, that so many UEs share it; nothing where one has it."""
    return f", shared by {ues} UEs" if ues > 1 else ""
