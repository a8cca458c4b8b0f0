"""Limits that a run must keep, as words of a command line: `e2e_p95<250ms@split_node_3,bw=20`.

    COLUMN  <  <=  >  >=  ==  NUMBER[unit]  [@WHERE]

COLUMN is one of summary.csv, with or without its unit. WHERE holds it to some rows: the label or
k:n-k of a split, or COLUMN=VALUE, with commas between; of one column, any of its values will do.
Without it, all rows must keep it.
"""

import math
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.ask.split_point import cut_name
from orchestrator.results.columns import Column
from orchestrator.results.columns.main import PERCENTILES
from orchestrator.results.judgement.validity import pace_words
from orchestrator.results.rows import EVERY_COLUMN, Row
from orchestrator.results.statistics.intervals import frames_for
from splitbed.codecs import joined
from splitbed.errors import UsageError, did_you_mean

UNITS: dict[str, dict[str, float]] = {
    "ms": {"ms": 1, "s": 1e3, "us": 1e-3, "µs": 1e-3},
    "bytes": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20},
    "Mbit/s": {"Mbit/s": 1, "kbit/s": 1e-3, "Gbit/s": 1e3},
    "kbit": {"kbit": 1, "Mbit": 1e3},
    "%": {"%": 1},
    "ppm": {"ppm": 1},
    "mJ": {"mJ": 1, "J": 1e3},
    "": {"%": 1e-2},
}
"""A column's unit -> units that can be given, and how many of its own each is."""

_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": lambda has, asked: math.isclose(has, asked, rel_tol=1e-9, abs_tol=1e-12),
    "<": operator.lt,
    ">": operator.gt,
}
_GRAMMAR = re.compile(
    r"\s*(?P<column>\w+)\s*(?P<sign><=|>=|==|<|>)\s*"
    r"(?P<number>[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)\s*(?P<unit>[^\s@]*)\s*(@(?P<where>.+))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Threshold:
    """`limit` is in the column's own unit; `where` has columns and what its rows have in them."""

    text: str
    column: str
    sign: str
    limit: float
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def frames(self) -> int:
        """How many frames of a cell it takes: of a percentile as many as tell of it, else 1."""
        quantile = PERCENTILES.get(self.column)
        return 1 if quantile is None else frames_for(quantile)

    def check_frames(self, frames: int, whose: str) -> None:
        """Raise UsageError where so many frames, those of `whose`, are too few for it."""
        if frames < self.frames:
            raise UsageError(
                f"--threshold {self.text!r} takes {self.frames} frames of a cell, and {whose} has "
                f"{frames}: measure with --runs {self.frames} or --min-runs {self.frames}"
            )

    def is_for(self, row: Row) -> bool:
        """Whether this row must keep it."""
        if row.anchor is not None and row.anchor == EVERY_COLUMN[self.column].never_of:
            return False
        return all(any(_is(row, column, one) for one in wanted) for column, wanted in self.where)

    def fault(self, row: Row) -> str | None:
        """What is wrong with the row, in words; None where it keeps the threshold."""
        value = row.value(self.column)
        if not isinstance(value, int | float):
            return f"it has no {self.column}{_because(row)}"
        if not _SIGNS[self.sign](value, self.limit):
            return f"{self.column} is {value:.6g}"
        # what was measured over another link than asked proves nothing
        return f"the row is INVALID{_because(row)}" if not row.valid else None


def parse(text: str) -> Threshold:
    """A threshold of a command line. Raises UsageError, which says what could be meant."""
    match = _GRAMMAR.fullmatch(text)
    if not match:
        raise UsageError(
            f"--threshold {text!r} is none: give COLUMN, one of {' '.join(_SIGNS)}, and a number "
            "with or without a unit, such as e2e_p95<250ms or e2e<0.1s@split_node_3,bw=20"
        )
    column, factor = _column(text, match["column"], match["unit"])
    if EVERY_COLUMN[column].kind is str:
        raise UsageError(f"--threshold {text!r}: {column} is text: give a column of numbers")
    where: dict[str, tuple[str, ...]] = {}
    for part in joined(match["where"].split(",")) if match["where"] else ():
        name, value = _condition(text, part)
        where[name] = (*where.get(name, ()), value)
    limit = float(match["number"]) * factor
    return Threshold(text, column, match["sign"], limit, tuple(where.items()))


def broken(thresholds: Iterable[Threshold], rows: Sequence[Row]) -> list[str]:
    """For each row that breaks a threshold: the row, what was asked, what it has.

    A row without the value, or an INVALID one, breaks it. Raises UsageError for a threshold that
    no row has to keep, and for one on a percentile of which the frames of a row are too few.
    """
    found = []
    for threshold in thresholds:
        judged = [row for row in rows if threshold.is_for(row)]
        if (why := _nobody(threshold, rows)) or not judged:
            why = why or f"none of the {len(rows)} rows has to keep it"
            raise UsageError(f"--threshold {threshold.text!r} judges nothing: {why}")
        for row in judged:
            if row.frames:
                threshold.check_frames(row.frames, _name(row))
        faults = ((row, threshold.fault(row)) for row in judged)
        found += [
            f"{_name(row)}: {threshold.text} is broken: {fault}" for row, fault in faults if fault
        ]
    return found


def _column(text: str, name: str, unit: str) -> tuple[str, float]:
    """The column that is meant, and how many of its own unit the given one is."""
    columns = [*EVERY_COLUMN.values()]
    named = EVERY_COLUMN.get(name)
    meant = [named] if named else [one for one in columns if one.bare == name]
    if not meant:  # the beginning of one alone will do: speedup
        meant = [one for one in columns if one.name.startswith(f"{name}_")]
        if len(meant) != 1:
            if meant:
                hint = f"; did you mean {', '.join(one.name for one in meant)}?"
            else:
                names = dict.fromkeys((*EVERY_COLUMN, *(one.bare for one in columns)))
                every = ", ".join(EVERY_COLUMN)
                hint = did_you_mean(name, names, most=3, otherwise=f"; choose {every}")
            raise UsageError(f"--threshold {text!r}: no column is called {name!r}{hint}")
    return _in_unit(text, name, meant, unit)


def _in_unit(text: str, name: str, meant: Sequence[Column], unit: str) -> tuple[str, float]:
    """Of the columns that `name` may be, the one in this unit."""
    fitting = [one for one in meant if not unit or unit in UNITS[one.unit]]
    if not fitting:
        units = ", ".join(unit for one in meant for unit in UNITS[one.unit])
        raise UsageError(f"--threshold {text!r}: {name} is not in {unit!r} but in {units}")
    if len(fitting) > 1:
        names = " or ".join(one.name for one in fitting)
        raise UsageError(f"--threshold {text!r}: say which, {names}")
    return fitting[0].name, UNITS[fitting[0].unit][unit] if unit else 1.0


def _condition(text: str, part: str) -> tuple[str, str]:
    name, equals, value = (word.strip() for word in part.partition("="))
    if not name or (equals and not value):
        raise UsageError(f"--threshold {text!r}: {part!r} names no rows: give a split, or bw=20")
    return (_column(text, name, "")[0], value) if equals else ("split", name)


def _is(row: Row, column: str, wanted: str) -> bool:
    value = row.value(column)
    if column == "split":
        return wanted in (row.split, row.split_name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return wanted.lower() == str("" if value is None else value).lower()
    try:
        return math.isclose(value, float(wanted))
    except ValueError:
        return False


def _nobody(threshold: Threshold, rows: Sequence[Row]) -> str | None:
    """What the rows have in a column in which none has what the threshold names."""
    for column, wanted in threshold.where:
        for one in wanted:
            if not any(_is(row, column, one) for row in rows):
                name = "split_name" if column == "split" else column
                values = dict.fromkeys(str(row.value(name)) for row in rows)
                return (
                    f"{one!r} is no {column} of the rows: {', '.join(values) or 'there are none'}"
                )
    return None


def _because(row: Row) -> str:
    return f" ({row.reason})" if row.reason else ""


def _name(row: Row) -> str:
    pace = f", UE {pace_words([row])}" if row.ue else ""
    load = f" under {row.load}" if row.load else ""
    return f"{cut_name(row.split_name, row.split)} {row.as_sent} over {row.link}{pace}{load}"
