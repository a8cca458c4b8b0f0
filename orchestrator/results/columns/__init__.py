"""What a column of a table is: declared once, beside the field of the row that fills it.

    class Row:
        e2e_ms: Annotated[float | None, Column("median end-to-end time", "ms", empty=NO_FRAME)]

CSV, the Markdown reference, tables of reports, thresholds and Parquet's types follow from that.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, get_args, get_origin, get_type_hints

from orchestrator.ask.split_point import Anchor
from splitbed.command import printable

Kind = type[str] | type[int] | type[float] | type[bool]
KINDS: dict[Kind, str] = {str: "text", int: "whole number", float: "number", bool: "true or false"}

_FORMULA = ("=", "+", "-", "@", "\t")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*(e[-+]?\d+)?|inf|nan)")

UNITS = {"ms": "_ms", "bytes": "_bytes", "Mbit/s": "_mbit", "kbit": "_kbit", "%": "_pct"}
UNITS |= {"ppm": "_ppm", "mJ": "_mj"}
"""Unit -> how the name of a column in it ends."""


@dataclass(frozen=True)
class Column:
    """What a column tells, in which unit, and why it may be empty: "" where it never is.

    ``head`` is what it is called in tables for people, ``never_of`` the anchor that cannot have it.
    Name, kind, and whether it may be empty are those of the field.
    """

    meaning: str
    unit: str = ""
    empty: str = ""
    head: str = ""
    never_of: Anchor | None = None
    name: str = ""
    kind: Kind = str

    @property
    def bare(self) -> str:
        """The name without its unit."""
        return self.name.removesuffix(UNITS.get(self.unit, ""))

    @property
    def heading(self) -> str:
        """What stands above it in a table for people, with its unit."""
        head = self.head or self.bare.replace("_", " ")
        return f"{head} ({self.unit})" if self.unit else head


def columns_of(row: type) -> dict[str, Column]:
    """The columns that the fields of a class declare, by their names, in their order.

    A field that is not Annotated is none.
    """
    found = {}
    for name, hint in get_type_hints(row, include_extras=True).items():
        if get_origin(hint) is not Annotated:
            continue
        declared, column = get_args(hint)
        kinds = get_args(declared) if get_origin(declared) is UnionType else (declared,)
        assert (type(None) in kinds) == bool(column.empty), f"{name}: why may it be empty?"
        assert name.endswith(UNITS.get(column.unit, "")), f"{name} is not in {column.unit}"
        found[name] = replace(column, name=name, kind=kinds[0])
    return found


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV under a header; what is not known is empty."""
    return csv_lines([columns, *([row.get(name) for name in columns] for row in rows)])


def csv_lines(lines: Iterable[Iterable[object]]) -> str:
    """Lines of CSV; what is not known is empty."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([*map(_harmless, line)] for line in lines)
    return text.getvalue()


def _harmless(value: object) -> object:
    """What no spreadsheet computes, and no terminal obeys.

    A text that begins as a formula does gets an apostrophe.
    """
    if not isinstance(value, str):
        return value
    text = printable(value.replace("\r", " "))  # which the csv module leaves unquoted
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
