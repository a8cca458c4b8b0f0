"""What a link is asked to be: a shape for each direction."""

import math
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from splitbed.checked import Frozen, one_line
from splitbed.errors import UsageError

FRAME_BYTES = 1514
"""A full Ethernet frame at MTU 1500 without its checksum: what sch_netem counts for a packet."""

MOST_MBIT, LEAST_MBIT = 1e6, 1e-3
MOST_DELAY_MS = 3.6e6
"""No link that can be proved is near these; beyond, times and counts overflow."""
MOST_QUEUE_PACKETS = (1 << 32) - 1
"""What the kernel counts to."""

_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Model = TypeVar("_Model", bound=BaseModel)


class Shape(Frozen):
    """One direction of a link.

    ``rate_mbit`` counts Ethernet frames, as sch_netem does. ``delay_ms`` is one-way. ``jitter_ms``
    spreads the delay evenly over ``delay_ms`` ± ``jitter_ms``. ``queue_packets`` is netem's limit,
    which holds the delayed packets as well as the waiting ones.
    """

    rate_mbit: _Finite = Field(gt=0, le=MOST_MBIT)
    delay_ms: _Finite = Field(default=0, ge=0, le=MOST_DELAY_MS)
    jitter_ms: _Finite = Field(default=0, ge=0, le=MOST_DELAY_MS)
    loss_pct: _Finite = Field(default=0, ge=0, le=100)
    queue_packets: int = Field(default=1000, ge=1, le=MOST_QUEUE_PACKETS)

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        if self.rate_mbit < LEAST_MBIT:
            raise ValueError(f"rate_mbit {self.rate_mbit:g} is below {LEAST_MBIT:g}")
        if self.jitter_ms > self.delay_ms:
            raise ValueError(
                f"jitter_ms {self.jitter_ms:g} exceeds delay_ms {self.delay_ms:g}: "
                "a packet cannot arrive before it was sent"
            )
        if self.queue_packets < self.packets_in_flight:
            raise ValueError(
                f"queue_packets {self.queue_packets} cannot hold the {self.packets_in_flight} "
                f"packets that {self.rate_mbit:g} Mbit/s keeps in flight over "
                f"{self.delay_ms + self.jitter_ms:g} ms, so the rate is out of reach: raise it"
            )
        return self

    @property
    def words(self) -> str:
        """The shape in words; what is at its default goes without saying."""
        said = [f"{self.rate_mbit:.12g} Mbit/s"]
        said += [f"{self.delay_ms:.12g} ms"] if self.delay_ms else []
        said += [f"±{self.jitter_ms:.12g} ms"] if self.jitter_ms else []
        said += [f"{self.loss_pct:.12g} % loss"] if self.loss_pct else []
        default = type(self).model_fields["queue_packets"].default
        said += [f"queue {self.queue_packets}"] if self.queue_packets != default else []
        return ", ".join(said)

    @property
    def packets_in_flight(self) -> int:
        """Full frames inside the delay line when the link is busy."""
        return self._packets(self.delay_ms + self.jitter_ms)

    def _packets(self, ms: float) -> int:
        return math.ceil(self.rate_mbit * 1e3 * ms / (FRAME_BYTES * 8))

    def held(self, ms: float) -> Self:
        """As it is when nothing gets through for so long: what is sent waits, then goes as here."""
        ms = min(ms, MOST_DELAY_MS - self.delay_ms)
        # room for what waits, or the rate would be out of reach
        waiting = self._packets(self.delay_ms + ms + self.jitter_ms)
        queue_packets = min(max(self.queue_packets, waiting), MOST_QUEUE_PACKETS)
        longer = {"delay_ms": self.delay_ms + ms, "queue_packets": queue_packets}
        return type(self)(**{**dict(self), **longer})

    def before(self, other: Self) -> Self:
        """This direction and then the other, as one: the lesser rate, and what both do besides."""
        both = {
            "rate_mbit": min(self.rate_mbit, other.rate_mbit),
            "delay_ms": self.delay_ms + other.delay_ms,
            "jitter_ms": self.jitter_ms + other.jitter_ms,
            "loss_pct": 100 - (100 - self.loss_pct) * (100 - other.loss_pct) / 100,
        }
        # each holds what is in flight in it: together they hold that of both
        return type(self)(**both, queue_packets=self.queue_packets + other.queue_packets)

    def serialisation_ms(self, frame_bytes: int) -> float:
        """Time that a frame of ``frame_bytes`` occupies the link."""
        return frame_bytes * 8 / (self.rate_mbit * 1e3)


class LinkSpec(Frozen):
    """Both directions: ``uplink`` from the UE to the edge, ``downlink`` back."""

    uplink: Shape
    downlink: Shape

    @property
    def rtt_ms(self) -> float:
        """The longest that the link alone makes of a round trip."""
        return sum(one.delay_ms + one.jitter_ms for one in (self.uplink, self.downlink))

    def held(self, ms: float) -> Self:
        """Both directions :meth:`Shape.held`."""
        return type(self)(uplink=self.uplink.held(ms), downlink=self.downlink.held(ms))

    def behind(self, access: Self) -> Self:
        """As the way is to whoever reaches this link over another one, its ``access``."""
        return type(self)(
            uplink=access.uplink.before(self.uplink), downlink=self.downlink.before(access.downlink)
        )

    @property
    def words(self) -> str:
        """The link in words, such as ``20 Mbit/s, 10 ms``; different links have different words."""
        if self.uplink == self.downlink:
            return self.uplink.words
        return f"{self.uplink.words}, down {self.downlink.words}"


def checked(model: type[_Model], **values: Any) -> _Model:
    """``model(**values)``, with a refusal told as one line of a :class:`UsageError`."""
    try:
        return model(**values)
    except ValidationError as error:
        raise UsageError(one_line(error)) from None


def symmetric(**values: Any) -> LinkSpec:
    """The same shape both ways; ``values`` are those of :class:`Shape`. Raises UsageError."""
    shape = checked(Shape, **values)
    return LinkSpec(uplink=shape, downlink=shape)
