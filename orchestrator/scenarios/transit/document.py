"""Runs of models in transit as a document prints them: conditions, then the tables of their clause.

A model sweep has those of clause 10.1 where it is of a recogniser, increments those of 10.6.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from orchestrator.checks.verify import NOT_KEPT
from orchestrator.reports.sheet import Sheet
from orchestrator.results.facts import Conditions, NodeFacts
from orchestrator.results.kinds import (
    GROWTH,
    INCREMENTS,
    Kind,
    TransitRecord,
    kind_in,
    read_transit_record,
    transit_folders,
)
from orchestrator.scenarios.conditions import conditions
from orchestrator.scenarios.sheets import written_sheets
from orchestrator.scenarios.tables import Line, Table
from orchestrator.scenarios.transit import clause_10_1, clause_10_6
from orchestrator.transit.growth.row import GrowthRow
from orchestrator.transit.reading import TransitRow, read_transit
from orchestrator.transit.row import ModelRow
from splitbed.errors import UsageError

_OF_MODELS = {
    "coder_name": "Coder", "bw_mbit": "Mbit/s", "delay_ms": "Delay (ms)", "rec_size": "Bytes",
    "compress_ratio": "Of the anchor's", "anc_perf": "Anchor", "rec_perf": "Rebuilt",
    "ue_perf": "On the UE", "link_ms": "Link (ms)", "decode_tail_ms": "Left to decode (ms)",
    "open_ms": "Open (ms)", "first_inference_ms": "First inference (ms)",
    "startup_ms": "Start-up (ms)", "startup_pd_ms": "Start-up without link (ms)",
}  # fmt: skip
_OF_GROWTH = {
    "bw_mbit": "Mbit/s", "delay_ms": "Delay (ms)", "way": "Part 1 comes", "split_name": "Split",
    "part_coder": "Coder", "codec": "Codec", "came_bytes": "Bytes that came",
    "link_ms": "Link (ms)", "since_request_ms": "First frame (ms)", "frames": "Frames",
    "e2e_ms": "End to end (ms)", "accuracy": "Accuracy",
}  # fmt: skip
"""Columns of a row, and their headings."""


def results(folder: Path) -> tuple[str, list[Sheet | str]]:
    """The clause of what a run's folder has, or a scenario's, and its paragraphs and tables.

    Raises UsageError where nothing was measured there.
    """
    runs = {one: read_transit(one, str(one)) for one in transit_folders(folder)}
    rows = [row for run in runs.values() for row in run.points.values()]
    if not rows:
        raise UsageError(f"{folder} has no row to lay out: let its run go on first")
    kind = kind_in(next(iter(runs)))
    told = [
        paragraph
        for one, run in runs.items()
        for paragraph in (*_conditions(one, run.kind, [*run.points.values()]), *run.notes)
    ]
    place, sheets = _tables(kind, rows, folder)
    return place, [*dict.fromkeys(told), *sheets, *_invalid(rows)]


def _tables(
    kind: Kind | None, rows: Sequence[TransitRow], folder: Path
) -> tuple[str, Sequence[Sheet]]:
    if kind is INCREMENTS:
        return "clause 10.6.14", written_sheets(folder, clause_10_6.TITLES, clause_10_6.NOTES)
    if kind is GROWTH:
        return "clause 5.2", [_plain("Part 1 that grows, over each link", rows, _OF_GROWTH)]
    models = [row for row in rows if isinstance(row, ModelRow)]
    if not clause_10_1.recognises(models):
        caption = f"Models in transit (table 2.1.2.3-1), {models[0].metric_name}"
        return "clause 5.2", [_plain(caption, rows, _OF_MODELS)]
    # its scenario has the word error rates of its vocabulary, too, which took inferences
    written = written_sheets(folder, clause_10_1.TITLES)
    return "clause 10.1.9", written or [one.sheet() for one in clause_10_1.tables(models, {})]


def _plain(caption: str, rows: Sequence[TransitRow], columns: Mapping[str, str]) -> Sheet:
    """A line a row, of the columns that any row has."""
    values = [asdict(row) for row in rows]
    known = [name for name in columns if any(one[name] is not None for one in values)]
    lines: list[Line] = [
        {columns[name]: _rounded(one[name]) for name in known} | {"Verdict": _word(row)}
        for one, row in zip(values, rows, strict=True)
    ]
    return Table("", caption, lines).sheet()


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def _word(row: TransitRow) -> str:
    return "VALID" if row.valid else "INVALID"


def _invalid(rows: Sequence[TransitRow]) -> list[str]:
    """What is wrong with rows, and with which."""
    return [f"Not valid: {_name(row)}: {row.fault}." for row in rows if not row.valid]


def _name(row: TransitRow) -> str:
    own = row.split_name if isinstance(row, GrowthRow) else row.coder_name
    return own if row.bw_mbit is None else f"{own} over {row.bw_mbit:g} Mbit/s"


def _conditions(folder: Path, kind: Kind, rows: Sequence[TransitRow]) -> list[str]:
    record = read_transit_record(folder, kind)
    facts, valid = record.conditions, sum(row.valid for row in rows)
    verdict = f"Rows that are valid by its own checks: {valid} of {len(rows)}."
    if all(row.bw_mbit is None for row in rows):
        alone = "No link: coded, decoded and judged on one machine."
        return conditions(_coded(record), record.model, [verdict], alone)
    times = (
        f"Link: shaped by {facts.link_backend or NOT_KEPT} in each direction, its rate and round "
        "trip proved before each delivery. Times are of one delivery, or medians of several; what "
        "crosses is decoded as it comes, and the UE has nothing of the model before."
    )
    return conditions(facts, record.model, [verdict], times)


def _coded(record: TransitRecord) -> Conditions:
    """Those of a run without a link."""
    own = record.coded
    here = NodeFacts(cpu=own.cpu, cpus=own.cpus, packages=own.packages)
    return Conditions(git_commit=own.git_commit, python=own.python, ue=here, edge=here)
