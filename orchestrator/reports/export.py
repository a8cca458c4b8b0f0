"""Rows in the formats that others read: tables for a paper, and files for their programs.

Markdown and LaTeX have the columns that a table in a paper has; CSV, JSON and Parquet have all.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestrator.ask.flow import FLOWS, UPLINK, at_node
from orchestrator.ask.split_point import NOTHING
from orchestrator.reports.sheet import PACKAGES, Sheet, latex_text, markdown_text
from orchestrator.results.columns import Kind
from orchestrator.results.columns.flow import flow_columns, stages_of
from orchestrator.results.records import RunRecord
from orchestrator.results.rows import COLUMNS, EVERY_COLUMN, Row
from orchestrator.results.tables import summary_csv
from splitbed.errors import MachineError, UsageError

Facts = Mapping[str, str]
"""What a table that is pasted elsewhere must not lose: see :func:`run_facts`."""

UNKNOWN = "–"

_DUCKDB: dict[Kind, str] = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE"}


def export(rows: Sequence[Row], format_name: str, facts: Facts | None = None) -> bytes:
    """The rows as a file of this format, with the facts where it has a place for them.

    Raises UsageError for a format that is not in :data:`FORMATS`, MachineError for `parquet`
    without DuckDB.
    """
    if format_name not in FORMATS:
        raise UsageError(f"no format is called {format_name!r}: choose {', '.join(FORMATS)}")
    return FORMATS[format_name](rows, facts or {})


def run_facts(run: RunRecord) -> dict[str, str]:
    """Model and hash, commit, date and machine of run.json, as far as it has them."""
    model, conditions = run.model, run.conditions
    found = {
        "model": model.name,
        "weights": model.weights,
        "model sha256": model.sha256,
        "measured": conditions.started,
        "git commit": conditions.git_commit,
        "UE": conditions.ue.cpu,
        "edge": conditions.edge.cpu,
        "link shaped by": conditions.link_backend,
        "verdict": run.verdict,
    }
    return {name: value for name, value in found.items() if value}


def _json(rows: Sequence[Row], facts: Facts) -> bytes:
    answer = {"facts": dict(facts), "rows": [*map(with_all_columns, rows)]}
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
    columns = [*COLUMNS.values(), *flow_columns(_flow_of(rows)).values()]
    kinds = ", ".join(f"{_quoted(one.name)}: {_quoted(_DUCKDB[one.kind])}" for one in columns)
    metadata = ", ".join(f"{_quoted(name)}: {_quoted(value)}" for name, value in facts.items())
    with TemporaryDirectory(prefix="splitbed-") as folder, duckdb.connect() as database:
        lines, table = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        lines.write_text("".join(json.dumps(with_all_columns(row)) + "\n" for row in rows))
        # COPY takes no parameters; all that stands in it is quoted
        database.execute(
            f"COPY (SELECT * FROM read_json({_quoted(str(lines))}, columns={{{kinds}}}, "  # noqa: S608
            f"format='newline_delimited')) TO {_quoted(str(table))} "
            f"(FORMAT parquet{f', KV_METADATA {{{metadata}}}' if facts else ''})"
        )
        return table.read_bytes()


FORMATS: dict[str, Callable[[Sequence[Row], Facts], bytes]] = {
    "md": _markdown,
    "csv": lambda rows, _: summary_csv(rows, _flow_of(rows)).encode(),
    "json": _json,
    "latex": _latex,
    "parquet": _parquet,
}


def _flow_of(rows: Sequence[Row]) -> str:
    """That of a run's rows, which have one."""
    return rows[0].flow if rows else UPLINK


def with_all_columns(row: Row) -> dict[str, object]:
    """All columns of a row; None for what is empty or no number that JSON has."""
    return {name: _value(value) for name, value in row.plain().items()}


def _value(value: object) -> object:
    if value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _told(facts: Facts) -> str:
    return "; ".join(f"{name}: {value}" for name, value in facts.items()) + "."


def paper_table(rows: Sequence[Row]) -> Sheet:
    """The columns of a table in a paper; those that no row fills are left out."""
    columns = _BEFORE | _stages(_flow_of(rows)) | _AFTER
    filled = {
        EVERY_COLUMN[name].heading if name in EVERY_COLUMN else name: texts
        for name, text in columns.items()
        if any(texts := [text(row) for row in rows]) or name not in _OPTIONAL
    }
    return Sheet("", tuple(filled), [*zip(*filled.values(), strict=True)], _NOTES)


def _stages(flow: str) -> dict[str, Callable[[Row], str]]:
    """Parts, and hops between them; of several users, what goes to each and when it has ended."""
    way, asked = stages_of(flow), FLOWS[flow]
    names = [name for name in way[: way.index("result")] if name not in _CODING]
    names += [hop for hop in asked.hops if hop not in way]
    names += [at_node(user, "e2e") for user in asked.users] if asked.besides else []
    return {f"{name}_ms": _of_stage(f"{name}_ms") for name in names}


def _of_stage(column: str) -> Callable[[Row], str]:
    def told(row: Row) -> str:
        ms = row.value(column)
        return figure(ms if isinstance(ms, float) else None, 1)

    return told


def figure(value: float | None, places: int) -> str:
    """A number with so many decimal places; a dash for one that is not known."""
    return UNKNOWN if value is None else f"{value:.{places}f}"


def with_interval(row: Row, places: int) -> str:
    """Median end-to-end time with its interval and what that covers, where the row has one."""
    if row.sustained is False:
        return UNKNOWN  # how long one watched would be in it
    if (interval := row.e2e_interval) is None:
        return figure(row.e2e_ms, places)
    low, high = figure(interval.low, places), figure(interval.high, places)
    return f"{figure(row.e2e_ms, places)} [{low}–{high}, {row.interval_words}]"


def sent_bytes(row: Row) -> int:
    """What crosses the links but results; of a cell without a frame, its data as they would raw."""
    if row.codec == NOTHING:
        return 0
    if row.encoded_bytes is None:
        return row.intermediate_bytes
    every = [row.value(f"{hop}_bytes") for hop in row.data_hops]
    return sum(n for n in every if isinstance(n, int)) if row.of_flow else row.encoded_bytes


def sent_mb(row: Row) -> str:
    """What crosses the link, in 10^6 bytes; nothing at the device anchor."""
    return f"{sent_bytes(row) / 1e6:.4g}"


def valid_word(row: Row) -> str:
    """VALID or INVALID."""
    return "VALID" if row.valid else "INVALID"


def _responds(row: Row) -> str:
    """The median from when a frame was due, and how far out its frames tell."""
    if row.sustained is None:
        return ""
    if not row.sustained:
        return "not sustained"
    tails = {"95": row.response_p95_ms, "99": row.response_p99_ms}
    told = [f" [{name} %: {figure(ms, 1)}]" for name, ms in tails.items() if ms is not None]
    return "".join([figure(row.response_ms, 1), *told[-1:]])


def _share(value: float | None) -> str:
    return "" if value is None else figure(value, 3)


_SENT = "sent (MB)"
_CODING = ("encode", "decode")
_BEFORE: dict[str, Callable[[Row], str]] = {
    "split_name": lambda row: row.split_name,
    "split": lambda row: row.split,
    "codec": lambda row: row.codec,
    "precision": lambda row: row.precision,
    "link": lambda row: row.link,
    "ue": lambda row: row.ue,
    "load": lambda row: row.load,
    "intermediate_tensors": lambda row: str(row.intermediate_tensors),
    _SENT: sent_mb,
}
"""Column, or what is made of several, -> its text; those of parts and hops are behind them."""
_AFTER: dict[str, Callable[[Row], str]] = {
    "response_ms": _responds,
    "e2e_ms": lambda row: with_interval(row, 1),
    "e2e_over_bound": lambda row: figure(row.e2e_over_bound, 3),
    "speedup_vs_best_anchor": lambda row: figure(row.speedup_vs_best_anchor, 2),
    "accuracy": lambda row: _share(row.accuracy),
    "accuracy_drop": lambda row: _share(row.accuracy_drop),
    "valid": valid_word,
}
_OPTIONAL = ("precision", "ue", "load", "response_ms", "accuracy", "accuracy_drop")
_NOTES = (
    "Times are medians of the counted frames [exact interval, and in how many cases such a one "
    "holds the median; of fewer frames than 6, their range]; MB is 10^6 bytes; over bound is "
    "the time over the physical floor of link and nodes; speed-up is against the fastest anchor "
    "under the same conditions that is as accurate.",
)
