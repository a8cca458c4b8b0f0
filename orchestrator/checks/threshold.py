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
from difflib import get_close_matches

from orchestrator.reports.export import TEXTS
from orchestrator.results.rows import Row, cut_name
from orchestrator.results.summary import COLUMNS
from splitbed.errors import UsageError

UNITS: dict[str, dict[str, float]] = {
    "_ms": {"ms": 1, "s": 1e3, "us": 1e-3, "µs": 1e-3},
    "_bytes": {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20},
    "_mbit": {"Mbit/s": 1, "kbit/s": 1e-3, "Gbit/s": 1e3},
    "_kbit": {"kbit": 1, "Mbit": 1e3},
    "_pct": {"%": 1},
    "_ppm": {"ppm": 1},
    "": {"%": 1e-2},
}
"""How a column's name ends -> units that can be given, and how many of its own each is."""

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
_HAVE_NONE: dict[str, Callable[[str], bool]] = {
    "max_abs_diff": lambda split: split.endswith(":0"),  # nothing was cut
    "ue_slowdown": lambda split: split.startswith("0:"),  # no part runs on the UE
}
"""Column -> whether a split is the anchor that cannot have it."""


@dataclass(frozen=True)
class Threshold:
    """`limit` is in the column's own unit; `where` has columns and what its rows have in them."""

    text: str
    column: str
    sign: str
    limit: float
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def is_for(self, row: Row) -> bool:
        """Whether this row must keep it."""
        if self.column in _HAVE_NONE and _HAVE_NONE[self.column](str(row.get("split"))):
            return False
        return all(any(_is(row, column, one) for one in wanted) for column, wanted in self.where)

    def fault(self, row: Row) -> str | None:
        """What is wrong with the row, in words; None where it keeps the threshold."""
        value = row.get(self.column)
        if not isinstance(value, int | float):
            return f"it has no {self.column}{_because(row)}"
        if not _SIGNS[self.sign](value, self.limit):
            return f"{self.column} is {value:.6g}"
        # what was measured over another link than asked proves nothing
        return f"the row is INVALID{_because(row)}" if row.get("valid") is False else None


def parse(text: str) -> Threshold:
    """A threshold of a command line. Raises UsageError, which says what could be meant."""
    match = _GRAMMAR.fullmatch(text)
    if not match:
        raise UsageError(
            f"--threshold {text!r} is none: give COLUMN, one of {' '.join(_SIGNS)}, and a number "
            "with or without a unit, such as e2e_p95<250ms or e2e<0.1s@split_node_3,bw=20"
        )
    column, factor = _column(text, match["column"], match["unit"])
    if column in TEXTS:
        raise UsageError(f"--threshold {text!r}: {column} is text: give a column of numbers")
    where: dict[str, tuple[str, ...]] = {}
    for part in match["where"].split(",") if match["where"] else ():
        name, value = _condition(text, part)
        where[name] = (*where.get(name, ()), value)
    limit = float(match["number"]) * factor
    return Threshold(text, column, match["sign"], limit, tuple(where.items()))


def broken(thresholds: Iterable[Threshold], rows: Sequence[Row]) -> list[str]:
    """For each row that breaks a threshold: the row, what was asked, what it has.

    A row without the value, or an INVALID one, breaks it. Raises UsageError for a threshold that
    no row has to keep.
    """
    found = []
    for threshold in thresholds:
        judged = [row for row in rows if threshold.is_for(row)]
        if (why := _nobody(threshold, rows)) or not judged:
            why = why or f"none of the {len(rows)} rows has to keep it"
            raise UsageError(f"--threshold {threshold.text!r} judges nothing: {why}")
        faults = ((row, threshold.fault(row)) for row in judged)
        found += [
            f"{_name(row)}: {threshold.text} is broken: {fault}" for row, fault in faults if fault
        ]
    return found


def _column(text: str, name: str, unit: str) -> tuple[str, float]:
    """The column that is meant, and how many of its own unit the given one is."""
    meant = [name] if name in COLUMNS else [one for one in COLUMNS if _bare(one) == name]
    if not meant:  # the beginning of one alone will do: speedup
        meant = [one for one in COLUMNS if one.startswith(f"{name}_")]
        if len(meant) != 1:
            near = meant or get_close_matches(name, [*COLUMNS, *map(_bare, COLUMNS)], n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"choose {', '.join(COLUMNS)}"
            raise UsageError(f"--threshold {text!r}: no column is called {name!r}; {hint}")
    fitting = [column for column in meant if not unit or unit in UNITS[_unit(column)]]
    if not fitting:
        units = ", ".join(unit for column in meant for unit in UNITS[_unit(column)])
        raise UsageError(f"--threshold {text!r}: {name} is not in {unit!r} but in {units}")
    if len(fitting) > 1:
        raise UsageError(f"--threshold {text!r}: say which, {' or '.join(fitting)}")
    return fitting[0], UNITS[_unit(fitting[0])][unit] if unit else 1.0


def _unit(column: str) -> str:
    return next(ending for ending in UNITS if column.endswith(ending))


def _bare(column: str) -> str:
    return column.removesuffix(_unit(column))


def _condition(text: str, part: str) -> tuple[str, str]:
    name, equals, value = (word.strip() for word in part.partition("="))
    if not name or (equals and not value):
        raise UsageError(f"--threshold {text!r}: {part!r} names no rows: give a split, or bw=20")
    return (_column(text, name, "")[0], value) if equals else ("split", name)


def _is(row: Row, column: str, wanted: str) -> bool:
    value = row.get(column)
    if column == "split":
        return wanted in (value, row.get("split_name"))
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
                values = dict.fromkeys(str(row.get(name)) for row in rows)
                return (
                    f"{one!r} is no {column} of the rows: {', '.join(values) or 'there are none'}"
                )
    return None


def _because(row: Row) -> str:
    return f" ({row['reason']})" if row.get("reason") else ""


def _name(row: Row) -> str:
    pace = f", UE {row['ue']}" if row.get("ue") else ""
    cut = cut_name(str(row.get("split_name")), str(row.get("split")))
    return f"{cut} {row.get('codec')} over {row.get('link')}{pace}"
