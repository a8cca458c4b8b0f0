"""Tables that any results begin with: the model, its parts, both nodes, the verification."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.ask.split_point import cut_name
from orchestrator.checks.verify import Verification
from orchestrator.reports.sheet import Sheet
from orchestrator.results.facts import ModelFacts
from orchestrator.results.profile import Profile
from orchestrator.results.rows import Row
from orchestrator.scenarios.tables import Table, profile_tables, verification_table

CLAUSE_MB = 1_024_000
"""Bytes of the "MB" in which clause 10.3 prints sizes of model files (10.3.4, 10.3.8.1)."""

MB_NOTE = "MB is 10^6 bytes."
_CLAUSE_MB_NOTE = (
    f"{MB_NOTE} The sizes of model files that clause 10.3 prints (89 MB in 10.3.4; 149.433, "
    "120.731 and 28.840 MB in 10.3.8.1) fit units of 1,024,000 bytes, so sizes are given in "
    "those, too."
)


def written_sheets(
    folder: Path, titles: Mapping[str, str], notes: Mapping[str, str] | None = None
) -> list[Sheet]:
    """The tables of these names that a scenario wrote; none of those that it has not yet."""
    return [
        _written(file, title, (notes or {}).get(name, ""))
        for name, title in titles.items()
        if (file := folder / f"table-{name}.csv").is_file()
    ]


def _written(file: Path, title: str, note: str) -> Sheet:
    with file.open(newline="") as stream:
        heads, *lines = csv.reader(stream)
    return Sheet(title, heads, lines, (note,) if note else ())


def model_sheet(model: ModelFacts, caption: str, precision: str, *, clause_mb: bool) -> Sheet:
    """The anchor model; `clause_mb` as :class:`Layout` has. One that finds nothing has no mAP."""
    columns = {
        "Model": model.name,
        "Size (MB)": _size(model.bytes, 1e6),
        **({"mAP": precision} if precision else {}),
        "No. of layers": "" if model.layers is None else str(model.layers),
        "No. of parameters": f"{model.parameters:,}" if model.parameters else "",
    }
    if clause_mb:
        columns["Size (units of 1,024,000 bytes)"] = _size(model.bytes, CLAUSE_MB)
    return Sheet(caption, tuple(columns), [tuple(columns.values())], (_mb_note(clause_mb),))


def part_sheet(rows: Sequence[Row], *, clause_mb: bool) -> Sheet:
    """Sizes of the parts of each split as model files of their own; without splits, of anchors."""
    units = {"MB": 1e6} | ({"units of 1,024,000 bytes": CLAUSE_MB} if clause_mb else {})
    splits = {row.split: row for row in by_cut(rows) if not row.is_anchor}
    own = splits or {row.split: row for row in by_cut(rows)}
    lines = [
        [
            cut_name(row.split_name, row.split),
            *(_size(size, n) for n in units.values() for size in row.of_parts("bytes")),
        ]
        for row in own.values()
    ]
    numbers = range(1, len(rows[0].layers) + 1)
    heads = ["Split", *(f"Part {n} ({name})" for name in units for n in numbers)]
    caption = "Test split model file sizes (clause 10.2.7)"
    return Sheet(caption, heads, lines, (_mb_note(clause_mb),))


def verification_sheet(checks: Sequence[Verification]) -> Sheet:
    """A line per picture."""
    return headed(
        verification_table(checks),
        "Lossless model split inference verification (clause 10.2.8)",
        {
            "picture": "Input",
            "verdict": "Verdict",
            "splits_passed": "Splits that match",
            "splits_failed": "Splits that do not",
            "max_abs_diff": "Largest absolute difference",
            "sha256": "sha256",
        },
        ("Results match when their absolute difference is below 0.001 (clause 10.2.8).",),
    )


def node_sheet(profile: Profile, flow: str) -> Sheet:
    """What the whole model takes on each node that runs a part."""
    nodes, *_ = profile_tables(profile, flow)
    return headed(
        nodes,
        "Performance measurements at each device (clause 10.2.7)",
        {
            "node": "Device",
            "init_ms": "Initialization time (ms)",
            "warmup_ms": "Inference time of warmup state (ms)",
            "steady_ms": "Inference time of steady state (ms)",
            "init_memory_bytes": "Memory usage during initialization (bytes)",
            "overall_memory_bytes": "Overall memory usage (bytes)",
        },
    )


def headed(
    table: Table, caption: str, heads: Mapping[str, str], notes: Sequence[str] = ()
) -> Sheet:
    """Columns of a scenario's table under the document's headings."""
    lines = [[_plain(row[name]) for name in heads] for row in table.lines]
    return Sheet(caption, tuple(heads.values()), lines, notes)


def by_cut(rows: Sequence[Row]) -> list[Row]:
    """From the network anchor to the device anchor."""
    return sorted(rows, key=lambda row: row.layers)


def _plain(value: object) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _size(nbytes: float | None, unit: float) -> str:
    return "" if nbytes is None else f"{nbytes / unit:.3f}"


def _mb_note(clause_mb: bool) -> str:
    return _CLAUSE_MB_NOTE if clause_mb else MB_NOTE
