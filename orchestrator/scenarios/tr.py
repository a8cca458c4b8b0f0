"""A run as a contribution to the 3GPP document shows it: `orchestrate report RUN --tr`.

    clause 3       the template, filled in from the scenario that the folder holds
    clause 2       who measured what, on which machines, with which versions and hashes
    clause 10.x    the tables of the clause that fits the model, with its headings

A folder of a scenario has all three, that of a plain sweep the last two.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.scenario_file import HEADINGS, Scenario, load_scenario
from orchestrator.reports.sheet import PACKAGES, Sheet, latex_text, markdown_text
from orchestrator.results.profile import read_profile
from orchestrator.results.reading import read, sweep_folder
from orchestrator.results.run_folder import SCENARIO_FILE, Record, RunFolder
from orchestrator.scenarios.layouts import layout_of
from orchestrator.scenarios.sheets import model_sheet, node_sheet, part_sheet, verification_sheet
from orchestrator.scenarios.tables import Cells
from splitbed.errors import UsageError
from splitbed.zoo import ZOO

VERIFICATION_FILE, MODEL_FILE, SWEEP_FOLDER = "verification.csv", "table-model.csv", "sweep"
NAMED_INPUTS = 4  # those beyond stand in run.json


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the document's."""

    level: int
    text: str


@dataclass(frozen=True)
class Prose:
    """A paragraph that its author wrote as Markdown."""

    text: str


Block = Heading | Prose | Sheet | str
"""A `str` is a paragraph of plain text."""


def tr_tables(folder: Path, format_name: str = "md") -> str:
    """The document of a run folder or of a scenario's, as `md` or `latex`.

    Raises UsageError for another format, and for a folder that is no run or holds no rows.
    """
    if format_name not in _FORMATS:
        raise UsageError(f"--tr is laid out as {' or '.join(_FORMATS)}, not as {format_name!r}")
    first, render = _FORMATS[format_name]
    return first + "\n".join(map(render, _document(folder)))


def _document(folder: Path) -> list[Block]:
    if not (folder / SCENARIO_FILE).is_file():
        return _results(folder, None)
    scenario = load_scenario(str(folder / SCENARIO_FILE))
    found = _template(scenario) + _results(folder / SWEEP_FOLDER, folder)
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


def _results(path: Path, scenario: Path | None) -> list[Block]:
    """Conditions and tables of one run folder; `scenario` is the folder around it, if any."""
    path = sweep_folder(path)
    reading = read(path)
    folder, run, table = RunFolder(path), reading.run, [*reading.rows.values()]
    measured = [row for row in table if "e2e_ms" in row]
    if not measured:
        raise UsageError(f"{path} has no measured cell to lay out: let its sweep go on first")
    layout = layout_of(str(run["model"]["name"]))
    found: list[Block] = [Heading(2 if scenario else 1, f"Results ({layout.place})")]
    if scenario is None:
        found.append(f"This run was no scenario's. {layout.reason}")
    found += [*_conditions(run), *reading.notes]
    clause_mb, precision = layout.clause_mb, _precision(scenario)
    found.append(model_sheet(run["model"], layout.model_caption, precision, clause_mb=clause_mb))
    found += _verification(scenario) if scenario else []
    if profile := read_profile(folder):
        found.append(node_sheet(profile))
    found.append(part_sheet(measured, clause_mb=clause_mb))
    found += layout.sheets(folder, measured)
    failed = [row for row in table if "e2e_ms" not in row]
    if failed:
        names = (
            f"{row['split_name']} {row['codec']} over {row['link']} ({row['reason']})"
            for row in failed
        )
        found.append(f"Failed, and so in no table: {'; '.join(names)}.")
    return found


def _conditions(run: Record) -> list[Block]:
    """What clause 2 asks of results, as sentences."""
    facts, model = run.get("conditions", {}), run["model"]
    ue, edge = facts.get("ue", {}), facts.get("edge", {})
    verdict = run.get("verdict") or "none, since the run has not ended"
    versions = [f"{name} {number}" for name, number in edge.get("packages", {}).items()]
    found = [
        f"Measured {facts.get('started', 'at a time that was not kept')} with Splitbed, commit "
        f"{facts.get('git_commit') or 'not known'}. Verdict of its own checks: {verdict}.",
        *run.get("reasons", ()),
        f"UE: {_node(ue)}; edge: {_node(edge)}; {facts.get('os', 'system not kept')}, Python "
        f"{facts.get('python', 'not kept')}. Versions: {', '.join(versions) or 'not kept'}.",
        f"Anchor model: {_title(model)}, weights: {model['weights']}, sha256 "
        f"{model.get('sha256', 'not kept')}, md5 {model.get('md5', 'not kept')}.",
        _inputs(model),
        f"Link: shaped by {facts.get('link_backend', 'what was not kept')} in each direction, "
        "its rate and round trip proved before and after each cell. Times are medians of the "
        "counted frames, with the 95 % interval of the median in brackets where there is one; "
        "pre-processing is left out of them (clause 10.2.6).",
        *facts.get("warnings", ()),
    ]
    if str(model["weights"]).startswith("seeded"):
        found.append(
            "The weights are seeded, not trained: times and sizes hold, accuracies and what codecs "
            "cost of them do not."
        )
    return [*found, "Note: these results have not yet been cross-checked."]


def _node(facts: Record) -> str:
    return f"{facts.get('cpu', 'processor not kept')}, {facts.get('cpus', '?')} CPUs"


def _title(model: Record) -> str:
    name = str(model["name"])
    return f"{name} ({ZOO[name].title})" if name in ZOO else name


def _inputs(model: Record) -> str:
    inputs = model.get("inputs", [])
    named = [
        f"{one.get('name')} (sha256 {one.get('sha256', 'not kept')})"
        for one in inputs[:NAMED_INPUTS]
    ]
    more = [f"and {left} more, in run.json"] if (left := len(inputs) - len(named)) > 0 else []
    return f"Inputs: {', '.join(named + more) or 'not kept'}."


def _verification(scenario: Path) -> list[Block]:
    file = scenario / VERIFICATION_FILE
    try:
        checks = _table(file)
        return [verification_sheet(checks)] if checks else []
    except (LookupError, TypeError, ValueError, csv.Error):
        return [f"The verification is left out: {file} is damaged."]


def _precision(scenario: Path | None) -> str:
    """Average precision in per cent, as the scenario's own table has it."""
    found = _table(scenario / MODEL_FILE) if scenario else []
    return str(found[0].get("mAP", "not measured")) if found else "not measured"


def _table(file: Path) -> Cells:
    """A CSV that a scenario wrote; nothing where it wrote none."""
    if not file.is_file():
        return []
    with file.open(newline="") as stream:
        return [dict(row) for row in csv.DictReader(stream)]


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


_FORMATS: dict[str, tuple[str, Callable[[Block], str]]] = {
    "md": ("", _markdown),
    "latex": (PACKAGES, _latex),
}
"""Format -> what stands first, and how a block is written."""
