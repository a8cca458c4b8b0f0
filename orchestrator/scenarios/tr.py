"""A run as a contribution to the 3GPP document shows it: `orchestrate report RUN --tr`.

    clause 3       the template, filled in from the scenario that the folder holds
    clause 2       who measured what, on which machines, with which versions and hashes
    clause 10.x    the tables of the clause that fits the model, with its headings

A folder of a scenario has all three, that of a plain sweep the last two; so have runs of models in
transit.
"""

import base64
import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from orchestrator.ask.scenario_file import HEADINGS, Scenario, load_scenario
from orchestrator.checks.verify import read_csv
from orchestrator.reports.sheet import PACKAGES, Sheet, latex_text, markdown_text
from orchestrator.results.kinds import IN_TRANSIT, kind_in
from orchestrator.results.reading import read, sweep_folder
from orchestrator.results.records import RunRecord
from orchestrator.results.run_folder import SCENARIO_FILE, RunFolder
from orchestrator.scenarios.clause_10_2 import ANY_MODEL, POSENET
from orchestrator.scenarios.clause_10_3 import RETINANET, SSD300
from orchestrator.scenarios.clause_10_5 import SUPER_RESOLUTION, is_call
from orchestrator.scenarios.conditions import conditions
from orchestrator.scenarios.federated import clause_9_3
from orchestrator.scenarios.quantisation.tables import sheets
from orchestrator.scenarios.sheets import (
    model_sheet,
    node_sheet,
    part_sheet,
    verification_sheet,
    written_sheets,
)
from orchestrator.scenarios.tables import finds
from orchestrator.scenarios.transit.document import results
from splitbed.command import printable
from splitbed.errors import UsageError
from splitbed.zoo import ZOO

VERIFICATION_FILE, MODEL_FILE, SWEEP_FOLDER = "verification.csv", "table-model.csv", "sweep"


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's."""

    level: int
    text: str


@dataclass(frozen=True)
class Prose:
    """A paragraph that its author wrote as Markdown."""

    text: str


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
caption {{ text-align: left; font-weight: 600; }}
th, td {{ border: 1px solid #aaa; padding: .2rem .5rem; text-align: left; }}
.number {{ text-align: right; }}
img {{ max-width: 100%; background: white; }}
</style></head><body>
{blocks}</body></html>
"""

_CODE, _AS_CODE = re.compile(r"`([^`]+)`"), r"<code>\1</code>"

Block = Heading | Prose | Sheet | str
"""A `str` is a paragraph of plain text."""


LAYOUTS = {"posenet": POSENET, "ssd300": SSD300, "retinanet": RETINANET}
"""Anchor model -> the clause that it is of; any other has the form of clause 10.2.13."""


def tr_tables(folder: Path, format_name: str = "md") -> str:
    """The document of a run folder or of a scenario's, as `md` or `latex`.

    Raises UsageError for another format, and for a folder that is no run or holds no rows.
    """
    if format_name not in _FORMATS:
        raise UsageError(f"--tr is laid out as {' or '.join(_FORMATS)}, not as {format_name!r}")
    first, render = _FORMATS[format_name]
    return printable(first + "\n".join(map(render, _document(folder))))


def tr_page(folder: Path) -> str:
    """The same as a page that needs no network, with the pictures that a run of models left.

    Raises UsageError as :func:`tr_tables`.
    """
    blocks = "".join(map(_html, _document(folder)))
    for picture in sorted([*folder.glob("*.png"), *folder.glob("*/*.png")]):
        data = base64.b64encode(picture.read_bytes()).decode()
        shown = escape(picture.stem.replace("-", " "))
        blocks += f'<h2>{shown}</h2>\n<img alt="{shown}" src="data:image/png;base64,{data}">\n'
    return PAGE.format(title=escape(folder.resolve().name), blocks=blocks)


def _document(folder: Path) -> list[Block]:
    if not (folder / SCENARIO_FILE).is_file():
        return _in_transit(folder, 1) if _is_in_transit(folder) else _results(folder, None)
    scenario = load_scenario(str(folder / SCENARIO_FILE))
    if scenario.federated:
        sheets_ = written_sheets(folder, clause_9_3.TITLES, clause_9_3.NOTES)
        return [*_template(scenario), Heading(2, "Results (clause 9.3)"), *sheets_]
    if not scenario.sweep:
        return _template(scenario) + _in_transit(folder, 2)
    found = _template(scenario) + _results(folder / SWEEP_FOLDER, folder)
    found += sheets(folder)
    for other in scenario.also:  # in a folder of its name, where it has begun
        inner = folder / Path(other).name.removesuffix(".yaml")
        if (inner / SWEEP_FOLDER).is_dir():
            found += _document(inner)
    return found


def _template(scenario: Scenario) -> list[Block]:
    found: list[Block] = [Heading(1, f"{scenario.clause} {scenario.name}")]
    for field, heading in HEADINGS.items():
        if text := getattr(scenario, field).strip():
            found += [Heading(2, heading), *map(Prose, text.split("\n\n"))]
    return found


def _is_in_transit(folder: Path) -> bool:
    return kind_in(folder) in IN_TRANSIT


def _in_transit(folder: Path, level: int) -> list[Block]:
    place, blocks = results(folder)
    return [Heading(level, f"Results ({place})"), *blocks]


def _results(path: Path, scenario: Path | None) -> list[Block]:
    """Conditions and tables of one run folder; `scenario` is the folder around it, if any."""
    path = sweep_folder(path)
    reading = read(path)
    run, measured = reading.run, [row for row in reading.rows if row.e2e_ms is not None]
    if not measured:
        raise UsageError(f"{path} has no measured cell to lay out: let its sweep go on first")
    task = _task(run)
    layout = LAYOUTS.get(run.model.name, ANY_MODEL)
    layout = SUPER_RESOLUTION if is_call(run.flow, task) else layout
    found: list[Block] = [Heading(2 if scenario else 1, f"Results ({layout.place})")]
    if scenario is None:
        found.append(f"This run was no scenario's. {layout.reason}")
    found += [*_conditions(run), *reading.notes]
    clause_mb = layout.clause_mb
    precision = _precision(scenario) if finds(task) else ""
    found.append(model_sheet(run.model, layout.model_caption, precision, clause_mb=clause_mb))
    found += _verification(scenario) if scenario else []
    if reading.profile:
        found.append(node_sheet(reading.profile, run.flow))
    found.append(part_sheet(measured, clause_mb=clause_mb))
    found += layout.sheets(RunFolder(path), reading, measured)
    failed = [
        f"{row.split_name} {row.codec} over {row.link} ({row.reason})"
        for row in reading.rows
        if row.e2e_ms is None
    ]
    return [*found, f"Failed, and so in no table: {'; '.join(failed)}."] if failed else found


def _task(run: RunRecord) -> str:
    """That of its model; nothing where that is not told."""
    name = run.model.name
    return ZOO[name].task if name in ZOO else str(run.asked.get("task") or "")


def _conditions(run: RunRecord) -> list[str]:
    backend = run.conditions.link_backend or "what was not kept"
    verdict = f"Verdict of its own checks: {run.verdict or 'none, since the run has not ended'}."
    times = (
        f"Link: shaped by {backend} in each direction, "
        "its rate and round trip proved before and after each cell. Times are medians of the "
        "counted frames, with the interval of the median in brackets, and what it covers; "
        "pre-processing is left out of them (clause 10.2.6)."
    )
    return conditions(run.conditions, run.model, [verdict, *run.reasons], times)


def _verification(scenario: Path) -> list[Block]:
    file = scenario / VERIFICATION_FILE
    if not file.is_file():
        return []
    try:
        checks = read_csv(file)
    except UsageError as error:
        return [f"The verification is left out: {error}."]
    return [verification_sheet(checks)] if checks else []


def _precision(scenario: Path | None) -> str:
    """Average precision in per cent, as the scenario's own table has it."""
    file = scenario / MODEL_FILE if scenario else None
    if file is None or not file.is_file():
        return "not measured"
    with file.open(newline="") as stream:
        return next((line.get("mAP", "") for line in csv.DictReader(stream)), "") or "not measured"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {markdown_text(text)}\n"
        case Prose(text):
            return f"{text}\n"
        case Sheet():
            return block.markdown()
        case str():
            return f"{markdown_text(block)}\n"


def _latex(block: Block) -> str:
    match block:
        case Heading(level, text):
            return rf"\{'sub' * (level - 1)}section*{{{latex_text(text)}}}" + "\n"
        case Prose(text):
            return latex_text(text.replace("`", "")) + "\n"
        case Sheet():
            return block.latex()
        case str():
            return latex_text(block) + "\n"


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{escape(text)}</h{level}>\n"
        case Prose(text):
            return f"<p>{_CODE.sub(_AS_CODE, escape(text))}</p>\n"
        case Sheet():
            return block.html()
        case str():
            return f"<p>{escape(block)}</p>\n"


_FORMATS: dict[str, tuple[str, Callable[[Block], str]]] = {
    "md": ("", _markdown),
    "latex": (PACKAGES, _latex),
}
"""Format -> what stands first, and how a block is written."""
