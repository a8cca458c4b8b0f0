"""The weighted mean of updates, made of any of them in any order.

    update of ue-1 ─┐
    update of ue-2 ─┼─ plus ─┐
    update of ue-3 ──────────┴─ plus ──> sum of samples × update, samples ──> mean

:meth:`Gathered.plus` is associative, and commutes but for rounding in FP64, so that any reduce can
use it.  An update stays coded until it meets another, since it is as a bitstream that it crosses
links.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from splitbed.errors import NodeError
from splitbed.federated.classifier import State
from splitbed.federated.travel import unpacked

Sum = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Answer:
    """What a UE answers in a round: how many ``samples`` it trained on, and how long it took.

    ``missing`` says why it has no part in the mean; empty where it has.  Times are nanoseconds
    since 1970 by the UE's clock: when it had the model, and when its update was coded.
    """

    ue: str
    samples: int = 0
    missing: str = ""
    began_ns: int = 0
    ended_ns: int = 0
    decode_ms: float = 0.0
    train_ms: float = 0.0
    encode_ms: float = 0.0
    update_bytes: int = 0


@dataclass(frozen=True)
class Gathered:
    """Answers, and what the updates among them sum up to; ``coded`` is one that is still coded."""

    answers: tuple[Answer, ...] = ()
    coded: bytes = b""
    total: Sum | None = None

    def plus(self, other: "Gathered") -> "Gathered":
        """Both.  An update that cannot be decoded makes its UE one that is missing."""
        one, two = self.summed, other.summed
        total = one.total if two.total is None else two.total
        if one.total is not None and two.total is not None:
            if one.total.keys() != two.total.keys():
                raise NodeError("updates of two models cannot be averaged")
            total = {name: values + two.total[name] for name, values in one.total.items()}
        return Gathered(one.answers + two.answers, b"", total)

    @property
    def summed(self) -> "Gathered":
        """The same with its update decoded, and weighted by its samples."""
        if not self.coded:
            return self
        (answer,) = self.answers
        try:
            update = unpacked(self.coded)
        except NodeError as error:
            return Gathered((replace(answer, missing=f"its update is damaged: {error}"),))
        return Gathered(
            self.answers, b"", {k: v * np.float64(answer.samples) for k, v in update.items()}
        )

    @property
    def there(self) -> tuple[Answer, ...]:
        """The answers that have a part in the mean."""
        return tuple(answer for answer in self.summed.answers if not answer.missing)

    def onto(self, state: State) -> State:
        """The model with the mean of the updates added; as it is where there is none."""
        total = self.summed.total
        if total is None:
            return state
        samples = sum(answer.samples for answer in self.there)
        if total.keys() != state.keys():
            raise NodeError("updates are of another model than the one that they are added to")
        return {
            name: (values + total[name] / samples).astype(np.float32)
            for name, values in state.items()
        }
