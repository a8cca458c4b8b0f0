"""A table for a document: caption, headings, lines, notes; as Markdown, as LaTeX or as HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

LINES_OF_A_PAGE = 40
"""A longer table is a LaTeX longtable, which goes on over the next page."""
PACKAGES = "% \\usepackage{booktabs,longtable}\n"
"""The comment with which a LaTeX file says what it needs."""

_NUMERIC = re.compile(r"[-+–]?(\d|$)")
_MARKDOWN = re.compile(r"([\\`*|<&#~$]|\b_|_\b|(?<=\])\()")
_LATEX = {
    **{char: f"\\{char}" for char in "%_&#${}"},
    # after a line's end, LaTeX takes these for an option of it
    **{char: f"{{{char}}}" for char in "[]*"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "×": r"$\times$",
    "µ": r"$\mu$",
    "’": "'",
    "…": r"\ldots{}",
}  # fmt: skip


@dataclass(frozen=True)
class Sheet:
    """Lines of as many texts as there are headings; the notes stand below them."""

    caption: str
    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """A pipe table under its caption in bold; numbers stand to the right."""
        rules = ["---:" if right else "---" for right in self._right()]
        texts = [[markdown_text(text) for text in line] for line in (self.heads, *self.lines)]
        table = "".join(f"| {' | '.join(line)} |\n" for line in (texts[0], rules, *texts[1:]))
        caption = f"**{markdown_text(self.caption)}**\n\n" if self.caption else ""
        return caption + table + "".join(f"\n{markdown_text(note)}\n" for note in self.notes)

    def latex(self) -> str:
        """A booktabs table; one of more than a page goes on over the next."""
        long = len(self.lines) > LINES_OF_A_PAGE
        environment = "longtable" if long else "tabular"
        columns = "".join("r" if right else "l" for right in self._right())
        head, *body = [
            " & ".join(map(latex_text, line)) + r" \\" for line in (self.heads, *self.lines)
        ]
        return "\n".join(
            [
                *([rf"\noindent\textbf{{{latex_text(self.caption)}}}\par"] if self.caption else []),
                r"{\footnotesize\setlength{\tabcolsep}{3pt}",  # many columns on one page
                rf"\begin{{{environment}}}{{{columns}}}",
                r"\toprule",
                head,
                r"\midrule" + (r" \endhead" if long else ""),
                *body,
                r"\bottomrule",
                rf"\end{{{environment}}}\par}}",
                *(rf"\noindent {latex_text(note)}\par" for note in self.notes),
                "",
            ]
        )

    def html(self) -> str:
        """A table; numbers stand to the right."""
        of = [' class="number"' if right else "" for right in self._right()]
        head, *body = [
            "".join(
                f"<{tag}{kind}>{escape(text)}</{tag}>" for kind, text in zip(of, line, strict=True)
            )
            for tag, line in (("th", self.heads), *(("td", line) for line in self.lines))
        ]
        lines = "".join(f"<tr>{line}</tr>\n" for line in body)
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        notes = "".join(f"<p>{escape(note)}</p>\n" for note in self.notes)
        return f"<table>{caption}<thead><tr>{head}</tr></thead>\n{lines}</table>\n{notes}"

    def _right(self) -> list[bool]:
        """Of each column, whether it holds numbers."""
        return [
            any(line[at] for line in self.lines)
            and all(_NUMERIC.match(line[at]) and ":" not in line[at] for line in self.lines)
            for at in range(len(self.heads))
        ]


def markdown_text(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def latex_text(text: str) -> str:
    """`text` so that LaTeX shows it as it is; `?` for what its usual fonts lack."""
    return "".join(
        _LATEX.get(char, char if char <= "ÿ" and char.isprintable() else "?")
        for char in " ".join(text.split())
    )
