"""A table for eyes: on a terminal, folded where that is too narrow, or as HTML in a notebook.

Texts come from anywhere, so they stay texts: no brackets of theirs are markup, no tag is one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from splitbed.command import printable

_LONGEST = 44  # a text that is longer may be broken into lines
_AROUND = 3  # spaces and rules beside a column


@dataclass(frozen=True)
class GridColumn:
    """A heading, and the texts below it."""

    head: str
    texts: Sequence[Text]
    right: bool = False

    @property
    def width(self) -> int:
        """What it takes on a terminal."""
        lines = [line for text in (self.head, *(t.plain for t in self.texts)) for line in _of(text)]
        return min(max(map(len, lines), default=0), _LONGEST) + _AROUND


@dataclass(frozen=True)
class Grid:
    """Columns of equal length; the first `keys` of them say what a line is of."""

    columns: Sequence[GridColumn]
    keys: int = 1
    caption: str = ""

    def show(self, console: Console) -> None:
        """Print it; where it is too wide, in parts, each with the keys, and say so."""
        parts = [*self._parts(console.width)]
        for place, columns in enumerate(parts):
            console.print(_table(columns, "" if place else self.caption))
        if len(parts) > 1:
            console.print(
                f"The table is folded into {len(parts)} parts, to fit in {console.width} columns."
            )

    def _parts(self, width: int) -> Iterator[Sequence[GridColumn]]:
        keys, rest = self.columns[: self.keys], self.columns[self.keys :]
        part, taken = [*keys], (start := 1 + sum(column.width for column in keys))
        for column in rest:
            if taken + column.width > width and len(part) > len(keys):
                yield part
                part, taken = [*keys], start
            part.append(column)
            taken += column.width
        yield part

    def html(self) -> str:
        """A `<table>`."""
        heads = "".join(f"<th>{_html(column.head)}</th>" for column in self.columns)
        lines = zip(*(column.texts for column in self.columns), strict=True)
        body = "".join(f"<tr>{''.join(map(_cell, line, self.columns))}</tr>" for line in lines)
        caption = f"<caption>{_html(self.caption)}</caption>" if self.caption else ""
        return f"<table>{caption}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _table(columns: Sequence[GridColumn], caption: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=caption or None, title_justify="left")
    for column in columns:
        side = "right" if column.right else "left"
        table.add_column(Text(printable(column.head)), justify=side, overflow="fold")  # type: ignore[arg-type]
    for line in zip(*(column.texts for column in columns), strict=True):
        table.add_row(*(Text(printable(text.plain), text.style) for text in line))
    return table


def _cell(text: Text, column: GridColumn) -> str:
    styles = ["text-align: right"] if column.right else ["text-align: left"]
    if "bold" in str(text.style):
        styles.append("font-weight: bold")
    if "red" in str(text.style):
        styles.append("color: #b00020")
    return f'<td style="{"; ".join(styles)}">{_html(text.plain)}</td>'


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _of(text: str) -> list[str]:
    return text.split("\n")
