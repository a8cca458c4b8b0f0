"""Figures: what was measured, and the bar that it is held to."""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Bar:
    """Between what a figure is to lie; without either end it is only told."""

    least: float = -math.inf
    most: float = math.inf

    def __str__(self) -> str:
        if math.isfinite(self.least):
            return (
                f"{self.least:.4g} to {self.most:.4g}"
                if math.isfinite(self.most)
                else f">= {self.least:g}"
            )
        return f"<= {self.most:g}" if math.isfinite(self.most) else ""


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    ``samples`` are the repeats that ``measured`` was made of. ``load`` is the machine's load
    average of the last minute: other work spoils what is measured on shared cores.
    """

    what: str
    measured: float
    unit: str = ""
    bar: Bar = Bar()
    samples: Sequence[float] = ()
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None without one."""
        return self.bar.least <= self.measured <= self.bar.most if str(self.bar) else None

    def record(self) -> dict[str, Any]:
        """The figure as JSON, the bar as words."""
        return asdict(self) | {"bar": str(self.bar), "reached": self.reached}


def median(what: str, unit: str, samples: Sequence[float], bar: Bar = Bar()) -> Figure:
    """The median of repeats."""
    return Figure(what, statistics.median(samples), unit, bar, samples)


def table(figures: Sequence[Figure]) -> Table:
    """All figures, a row each."""
    made = Table("what", "bar", "reached", highlight=False)
    for heading in ("measured", "from", "to", "repeats", "load"):
        made.add_column(heading, justify="right")
    words = {None: "", True: "[green]yes[/]", False: "[bold red]no[/]"}
    for f in figures:
        bar, measured = (f"{text} {f.unit}".strip() for text in (str(f.bar), _number(f.measured)))
        ends = [_number(end) for end in (min(f.samples), max(f.samples))] if f.samples else ["", ""]
        repeats = str(len(f.samples) or "")
        made.add_row(
            f.what, bar if str(f.bar) else "", words[f.reached], measured, *ends, repeats,
            f"{f.load:.1f}",
        )  # fmt: skip
    return made


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.1f}"
