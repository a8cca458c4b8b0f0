"""Rows in the formats that others read: tables for a paper, and files for their programs.

Markdown and LaTeX have the columns that a table in a paper has; CSV, JSON and Parquet have all.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.reports.sheet import PACKAGES, Sheet, latex_text, markdown_text
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import Record
from orchestrator.results.summary import COLUMNS, to_csv
from splitbed.errors import MachineError, UsageError

Facts = Mapping[str, str]
"""What a table that is pasted elsewhere must not lose: see :func:`run_facts`."""

UNKNOWN = "–"

TEXTS = frozenset({
    "model", "weights", "runtime", "split", "split_name", "codec", "link", "link_backend", "ue",
    "tcp", "best_anchor", "accuracy_metric", "reason",
})  # fmt: skip
"""Columns of text, whether or not a run fills them."""


def export(rows: Sequence[Row], format_name: str, facts: Facts | None = None) -> bytes:
    """The rows as a file of this format, with the facts where it has a place for them.

    Raises UsageError for a format that is not in :data:`FORMATS`, MachineError for `parquet`
    without DuckDB.
    """
    if format_name not in FORMATS:
        raise UsageError(f"no format is called {format_name!r}: choose {', '.join(FORMATS)}")
    return FORMATS[format_name](rows, facts or {})


def run_facts(run: Record) -> dict[str, str]:
    """Model and hash, commit, date and machine of run.json, as far as it has them."""
    model, conditions = run.get("model", {}), run.get("conditions", {})
    found = {
        "model": model.get("name"),
        "weights": model.get("weights"),
        "model sha256": model.get("sha256"),
        "measured": conditions.get("started"),
        "git commit": conditions.get("git_commit"),
        "UE": conditions.get("ue", {}).get("cpu"),
        "edge": conditions.get("edge", {}).get("cpu"),
        "link shaped by": conditions.get("link_backend"),
        "verdict": run.get("verdict"),
    }
    return {name: str(value) for name, value in found.items() if value}


def _json(rows: Sequence[Row], facts: Facts) -> bytes:
    answer = {"facts": dict(facts), "rows": [*map(known, rows)]}
    return (json.dumps(answer, indent=2) + "\n").encode()


def _markdown(rows: Sequence[Row], facts: Facts) -> bytes:
    told = f"\n{markdown_text(_told(facts))}\n" if facts else ""
    return (paper_table(rows).markdown() + told).encode()


def _latex(rows: Sequence[Row], facts: Facts) -> bytes:
    told = f"% {latex_text(_told(facts))}\n" if facts else ""
    return (PACKAGES + told + paper_table(rows).latex()).encode()


def _parquet(rows: Sequence[Row], facts: Facts) -> bytes:
    try:
        import duckdb
    except ImportError:
        raise MachineError(
            "cannot write Parquet: DuckDB is not installed; "
            "repair: pip install 'splitbed[parquet]', or take the format csv"
        ) from None
    kinds = ", ".join(f"{_quoted(name)}: {_quoted(_kind(name, rows))}" for name in COLUMNS)
    metadata = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in facts.items())
    with TemporaryDirectory(prefix="splitbed-") as folder, duckdb.connect() as database:
        lines, table = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        lines.write_text("".join(json.dumps(known(row)) + "\n" for row in rows))
        # COPY takes no parameters; all that stands in it is quoted
        database.execute(
            f"COPY (SELECT * FROM read_json({_quoted(str(lines))}, columns={{{kinds}}}, "  # noqa: S608
            f"format='newline_delimited')) TO {_quoted(str(table))} "
            f"(FORMAT parquet{f', KV_METADATA {{{metadata}}}' if facts else ''})"
        )
        return table.read_bytes()


FORMATS: dict[str, Callable[[Sequence[Row], Facts], bytes]] = {
    "md": _markdown,
    "csv": lambda rows, _: to_csv(rows).encode(),
    "json": _json,
    "latex": _latex,
    "parquet": _parquet,
}


def known(row: Row) -> Row:
    """All columns of a row; None for what is empty or no number that JSON has."""
    return {name: _value(row.get(name)) for name in COLUMNS}


def _value(value: object) -> object:
    if value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def _kind(name: str, rows: Sequence[Row]) -> str:
    """DuckDB's type of a column."""
    values = [row[name] for row in rows if row.get(name) is not None]
    if name in TEXTS or any(isinstance(value, str) for value in values):
        return "VARCHAR"
    if values and all(isinstance(value, bool) for value in values):
        return "BOOLEAN"
    if values and all(isinstance(value, int) for value in values):
        return "BIGINT"
    return "DOUBLE"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _told(facts: Facts) -> str:
    return "; ".join(f"{name}: {value}" for name, value in facts.items()) + "."


def paper_table(rows: Sequence[Row]) -> Sheet:
    """The columns of a table in a paper; those that no row fills are left out."""
    filled = {
        head: texts
        for head, text in _PAPER.items()
        if any(texts := [text(row) for row in rows]) or head not in _OPTIONAL
    }
    return Sheet("", tuple(filled), [*zip(*filled.values(), strict=True)], _NOTES)


def figure(row: Row, name: str, places: int) -> str:
    """A number with so many decimal places; a dash for one that is not known."""
    value = row.get(name)
    return f"{value:.{places}f}" if isinstance(value, int | float) else UNKNOWN


def with_interval(row: Row, places: int) -> str:
    """Median end-to-end time with its 95 % interval, where the row has one."""
    low, high = (row.get(f"e2e_{end}_ms") for end in ("low", "high"))
    if not isinstance(low, float) or not isinstance(high, float):
        return figure(row, "e2e_ms", places)
    return f"{figure(row, 'e2e_ms', places)} [{low:.{places}f}–{high:.{places}f}]"


def sent_mb(row: Row) -> str:
    """What crosses the link, in 10^6 bytes; nothing at the device anchor."""
    if row.get("codec") == "none":
        return "0"
    sent = row.get("encoded_bytes", row.get("intermediate_bytes"))
    return f"{sent / 1e6:.4g}" if isinstance(sent, int | float) else UNKNOWN


def valid_word(row: Row) -> str:
    """VALID or INVALID."""
    return "VALID" if row.get("valid") else "INVALID"


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _share(row: Row, name: str) -> str:
    return "" if row.get(name) is None else figure(row, name, 3)


_PAPER: dict[str, Callable[[Row], str]] = {
    "split": lambda row: _text(row, "split_name"),
    "k:n-k": lambda row: _text(row, "split"),
    "codec": lambda row: _text(row, "codec"),
    "link": lambda row: _text(row, "link"),
    "UE": lambda row: _text(row, "ue"),
    "tensors": lambda row: _text(row, "intermediate_tensors"),
    "sent (MB)": sent_mb,
    "part 1 (ms)": lambda row: figure(row, "part1_ms", 1),
    "uplink (ms)": lambda row: figure(row, "uplink_ms", 1),
    "part 2 (ms)": lambda row: figure(row, "part2_ms", 1),
    "end-to-end (ms)": lambda row: with_interval(row, 1),
    "over bound": lambda row: figure(row, "e2e_over_bound", 3),
    "speed-up": lambda row: figure(row, "speedup_vs_best_anchor", 2),
    "accuracy": lambda row: _share(row, "accuracy"),
    "drop": lambda row: _share(row, "accuracy_drop"),
    "verdict": valid_word,
}
_OPTIONAL = ("UE", "accuracy", "drop")
_NOTES = (
    "Times are medians of the counted frames [95 % interval]; MB is 10^6 bytes; over bound is "
    "the time over the physical floor of link and nodes; speed-up is against the fastest anchor "
    "under the same conditions that is as accurate.",
)
