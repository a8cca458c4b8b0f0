"""The tables of clause 9.4: precision by class and sequence, sizes, times, splits; side by side."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from orchestrator.reports.sheet import Sheet
from orchestrator.results.archive import sha256_of
from orchestrator.results.reading import Reading
from orchestrator.results.records import Accuracy
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder
from orchestrator.scenarios.quantisation.versions import Version
from orchestrator.scenarios.sheets import written_sheets
from orchestrator.scenarios.tables import Line, Table, profile_tables

TABLES_FILE, MEAN = "tables.md", "mean"
Precision = Mapping[str, Mapping[str, Accuracy]]
"""Sequence -> version -> what it reaches there."""
_TITLES = {
    "precision": "mAP of each class and sequence, per cent (clause 9.4)",
    "versions": "Original and quantised: sizes, and mAP over the sequences",
    "version-nodes": "Original and quantised on each node (clause 10.2.7), ms and bytes",
    "version-splits": "Split points of the original and of the quantised, as measured",
}
_AP_NOTE = (
    "Average precision over overlaps 0.50:0.95, as COCO has it. Nothing stands where no object of "
    "the class is annotated; the clause has 0 there."
)


def leave(
    folder: Path, every: Sequence[Version], found: Precision, runs: Mapping[str, Reading]
) -> None:
    """Write each table as CSV, and all of them behind those that tables.md has of the original.

    ``runs`` are the sweeps of two versions, by their names.
    """
    files = RunFolder(folder)
    lines = (_precision(found), _versions(every, found), _nodes(runs), _splits(runs))
    tables = [Table(*name, own) for name, own in zip(_TITLES.items(), lines, strict=True) if own]
    for table in tables:
        files.replace(f"table-{table.name}.csv", table.csv())
    verdicts = [
        f"The sweep of the {name} model: {' '.join([str(one.run.verdict), *one.run.reasons])}\n"
        for name, one in runs.items()
    ]
    before = (folder / TABLES_FILE).read_text()
    texts = [before, *verdicts, *(table.markdown() for table in tables)]
    files.replace(TABLES_FILE, "\n".join(texts))


def sheets(folder: Path) -> list[Sheet]:
    """The tables that :func:`leave` wrote, as a document prints them; none where it has not yet."""
    return written_sheets(folder, _TITLES, {"precision": _AP_NOTE})


def _precision(found: Precision) -> list[Line]:
    """A line for each sequence, and their mean; of every class, a column for each version."""
    every = [one.classes for of in found.values() for one in of.values()]
    classes = sorted({label for one in every for label, ap in one.items() if ap is not None})
    columns = [(label, version) for label in classes for version in next(iter(found.values()))]

    def line(sequence: str, of: Mapping[tuple[str, str], float | None]) -> Line:
        named = {f"{label} {version}": _percent(ap) for (label, version), ap in of.items()}
        return {"sequence": sequence, **named}

    reached = {
        sequence: {(label, version): of[version].classes.get(label) for label, version in columns}
        for sequence, of in found.items()
    }
    means = {column: _mean([of[column] for of in reached.values()]) for column in columns}
    lines = [line(sequence, of) for sequence, of in reached.items()]
    return [*lines, line(MEAN, means)] if len(lines) > 1 else lines


def _versions(every: Sequence[Version], found: Precision) -> list[Line]:
    sizes = [one.file.stat().st_size for one in every]
    reached = [_mean([of[one.name].value for of in found.values()]) for one in every]
    metric = next(iter(next(iter(found.values())).values())).metric
    return [
        {
            "version": one.name,
            "file": one.file.name,
            "size_MB": round(size / 1e6, 3),
            "of_original": round(size / sizes[0], 3),
            "coded_MB": round(one.coded_bytes / 1e6, 3),
            "metric": metric,
            "mAP": _percent(ap),
            "sha256": sha256_of(one.file),
        }
        for one, size, ap in zip(every, sizes, reached, strict=True)
    ]


_ON_A_NODE = (
    "node", "init_ms", "warmup_ms", "steady_ms", "init_memory_bytes", "overall_memory_bytes",
)  # fmt: skip


def _nodes(runs: Mapping[str, Reading]) -> list[Line]:
    return [
        {"version": name, **{column: line[column] for column in _ON_A_NODE}}
        for name, reading in runs.items()
        if reading.profile
        for line in profile_tables(reading.profile)[0].lines
    ]


def _splits(runs: Mapping[str, Reading]) -> list[Line]:
    """A line for each split, codec and link, with what either version takes there."""
    of = {
        name: {
            (row.link, row.ue, row.split_name, row.codec): row
            for row in reading.rows
            if row.e2e_ms is not None
        }
        for name, reading in runs.items()
    }
    points = dict.fromkeys(point for rows in of.values() for point in rows)
    return [
        dict(zip(("link", "ue", "split", "codec"), point, strict=True))
        | {
            f"{name} {column}": value
            for name, rows in of.items()
            for column, value in _at_split(rows.get(point)).items()
        }
        for point in points
    ]


def _at_split(row: Row | None) -> Line:
    """What is told of a row; nothing of one that is not there."""
    if row is None:
        return dict.fromkeys(_AT_SPLIT)
    bytes_, times = row.of_parts("bytes"), row.of_parts("ms")
    values = (
        bytes_[0] and bytes_[0] / 1e6, row.intermediate_bytes / 1e6, *times[:2], row.e2e_ms,
        row.accuracy, "VALID" if row.valid else "INVALID",
    )  # fmt: skip
    return dict(zip(_AT_SPLIT, map(_rounded, values), strict=True))


_AT_SPLIT = (
    "part1_MB", "intermediate_MB", "part1_ms", "part2_ms", "e2e_ms", "accuracy", "verdict",
)  # fmt: skip


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 2)


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that there are."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
