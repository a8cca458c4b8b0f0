"""Numbers as options give them: a list; for a plan also a range; a time with its unit.

5,20,100     a list; of codecs, avc:27,444 is one
1:1000       a range of as many points as is usual: by equal factors, or by equal steps
1:1000:50    50 points of it
90s, 3.5m    a time, or 1h; without a unit in seconds
"""

import math
import re
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from netem.spec import LEAST_MBIT, MOST_DELAY_MS, MOST_MBIT
from splitbed.checked import one_line
from splitbed.codecs import joined
from splitbed.errors import UsageError

Spacing = Literal["factors", "steps"]
MOST_POINTS = 10_000


def comma_words(text: str) -> list[str]:
    """What stands between commas, none of it empty, else ValueError; nothing at all is no word."""
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(words):
        raise ValueError("has a comma with nothing before or behind it")
    return words


def comma_list(value: object) -> object:
    """Words between commas as a list, a lone number as one; ValueError for what is no number."""
    if isinstance(value, str):
        return comma_words(value)
    numbers = value if isinstance(value, list) else [value]
    if any(isinstance(number, bool) for number in numbers):
        raise ValueError("should be numbers")
    return numbers if isinstance(value, int | float) else value


def _codecs(value: object) -> object:
    return joined(comma_words(value)) if isinstance(value, str) else value


Numbers = Annotated[tuple[float, ...], BeforeValidator(comma_list), Field(min_length=1)]
Words = Annotated[tuple[str, ...], BeforeValidator(comma_list), Field(min_length=1)]
Codecs = Annotated[tuple[str, ...], BeforeValidator(_codecs), Field(min_length=1)]
_NUMBERS = TypeAdapter[tuple[float, ...]](Numbers)


_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_TIME = re.compile(r"(\d+\.?\d*|\.\d+)\s*([smh]?)")


def _seconds(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not (read := _TIME.fullmatch(value.strip())):
        raise ValueError("should be a time, as 90s, 3m or 1h")
    return float(read[1]) * _UNITS_S[read[2]]


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=604_800)]
"""Given as text with a unit, or as a number."""


@dataclass(frozen=True)
class Axis:
    """An option whose values may be a range: their spacing, and how many points are usual."""

    option: str
    spacing: Spacing
    usual: int
    least: float
    most: float

    def read(self, text: str) -> tuple[float, ...]:
        """The rising values, each once; UsageError for what is neither a list nor a range."""
        try:
            values = self._range(text) if ":" in text else _NUMBERS.validate_python(text)
            self._check(values)
        except ValueError as error:
            why = one_line(error) if isinstance(error, ValidationError) else error
            raise UsageError(
                f"{self.option} {text}: {why}; give a range FROM:TO, one with the number of points "
                "FROM:TO:COUNT, or a list like 5,20,100"
            ) from None
        return tuple(sorted(set(values)))

    def _check(self, values: tuple[float, ...]) -> None:
        if not all(math.isfinite(value) and value >= 0 for value in values):
            raise ValueError("a number is below 0 or not finite")
        if self.spacing == "factors" and 0 in values:
            raise ValueError("0 cannot be")
        if not all(self.least <= value <= self.most for value in values):
            raise ValueError(f"a number is not within {self.least:g} to {self.most:g}")

    def _range(self, text: str) -> tuple[float, ...]:
        first, last, count = (*text.split(":"), str(self.usual))[:3]
        low, high, points = float(first), float(last), int(count)
        if len(text.split(":")) > 3 or not low < high < math.inf:
            raise ValueError("a range rises from one number to another")
        if low < 0 or (self.spacing == "factors" and low == 0):
            raise ValueError(f"a range begins {'above' if self.spacing == 'factors' else 'at'} 0")
        if not 2 <= points <= MOST_POINTS:
            raise ValueError(f"a range has 2 to {MOST_POINTS} points")
        make = np.geomspace if self.spacing == "factors" else np.linspace
        # four digits: a rate that can be read, said again and measured
        return tuple(float(f"{value:.4g}") for value in make(low, high, points))


RATES = Axis("--bw", "factors", 30, LEAST_MBIT, MOST_MBIT)
DELAYS = Axis("--delay", "steps", 11, 0, MOST_DELAY_MS)
PACES = Axis("--ue-slowdown", "factors", 5, 0, math.inf)
