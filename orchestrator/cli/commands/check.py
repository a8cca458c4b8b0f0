"""The commands of `orchestrate` that check: runs against runs, and what it takes to repeat one."""

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import Json, Metrics, Otlp, option
from splitbed.command import Commands, say

if TYPE_CHECKING:
    from orchestrator.checks.comparison import Comparison, TimedChange
    from orchestrator.checks.crosscheck import CrossCheck

check_app = Commands()

Run = Annotated[Path, typer.Argument(help="Run folder, or archive of `pack`.")]
MAX_DIFFERENCES = 5  # of a row on a line; --json has them all


@check_app.command()
def compare(
    run_a: Run,
    others: Annotated[list[Path], typer.Argument(help="Runs held against the first.")],
    json: Json = False,
) -> None:
    """Say what became faster or slower from one run to others, and what is noise."""
    from orchestrator.checks.pairs import compared

    found = compared(run_a, others)
    if json:
        _print_json([one.record() for one in found])
        return
    for one in found:
        _show_comparison(one)


def _show_comparison(found: "Comparison[TimedChange]") -> None:
    from orchestrator.checks import comparison
    from orchestrator.reports import terminal as report

    console = report.stdout()
    console.print(f"A: {found.base}\nB: {found.other}", soft_wrap=True)
    for remark in found.remarks:
        console.print(f"- {remark}", soft_wrap=True)
    if found.changes:
        report.show_lines(comparison.lines(found), as_json=False)
    for line in (*found.only, found.overall):
        console.print(line, soft_wrap=True)


@check_app.command()
def crosscheck(
    run_a: Run,
    run_b: Run,
    tolerances: Annotated[
        Path | None, option("YAML of tolerances per metric, over the usual ones.")
    ] = None,
    scenario: Annotated[
        str | None, option("Clause whose tolerances hold, as 10.2. [the runs' own]")
    ] = None,
    json: Json = False,
) -> None:
    """Say whether B reproduces A (clause 2): what is deterministic, and times; exit 1 if not."""
    from orchestrator.checks.pairs import crosschecked
    from orchestrator.checks.tolerances import read_tolerances

    found = crosschecked(run_a, run_b, read_tolerances(tolerances), scenario)
    if json:
        _print_json(found.record())
    else:
        _show_crosscheck(found)
    raise typer.Exit(0 if found.agreed else 1)


def _show_crosscheck(found: "CrossCheck") -> None:
    from orchestrator.checks.beside import REPRODUCED
    from orchestrator.reports import terminal as report

    console = report.stdout()
    for fact in found.same:
        told = "; ".join(fact.differs) or REPRODUCED
        console.print(f"{fact.what}: {told}", soft_wrap=True)
    report.show_lines(
        [dict(zip(("", "A", "B"), v, strict=True)) for v in found.listed], as_json=False
    )
    for row in found.rows:
        console.print(f"{row.what}: {row.words(MAX_DIFFERENCES)}", soft_wrap=True)
    for note in (*found.notes, *found.remarks):
        console.print(f"- {note}", soft_wrap=True)
    for name, (_, summary) in found.verdicts.items():
        console.print(f"{name}: {summary}", soft_wrap=True)


@check_app.command()
def pack(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    out: Annotated[Path | None, option("Archive. [RUN.zip]")] = None,
    with_model: Annotated[
        bool, typer.Option("--with-model", help="Put the model's file in; else its hash.")
    ] = False,
    with_input: Annotated[
        bool, typer.Option("--with-input", help="Put its pictures in; else their hashes.")
    ] = False,
) -> None:
    """Make one archive of all that a cross-checker needs."""
    from orchestrator.checks import pack

    made = pack.pack(run, out, with_model=with_model, with_input=with_input)
    say(str(made))


@check_app.command()
def replay(
    archive: Annotated[Path, typer.Argument(help="What `orchestrate pack` made.")],
    out: Annotated[Path | None, option("Folder. [runs/replay-NAME-TIME]")] = None,
    model: Annotated[Path | None, option("The model's FILE, where it is not in there.")] = None,
    input: Annotated[  # noqa: A002
        str | None, option("The inputs, likewise.")
    ] = None,
    weights: Annotated[Path | None, option("Trained weights, likewise.")] = None,
    calibration: Annotated[str | None, option("Frames of the calibration, likewise.")] = None,
    link_backend: Annotated[str | None, option("auto, native, linkbox or mininet.")] = None,
    topology: Annotated[
        Path | None, option("YAML like those in topologies/. [that of the flow]")
    ] = None,
    metrics: Metrics = None,
    otlp: Otlp = None,
    json: Json = False,
) -> None:
    """Run the sweep of an archive again here, once model and inputs proved to be the same."""
    from orchestrator.checks import replay
    from orchestrator.cli.watch.watching import watching
    from orchestrator.reports import terminal as report

    given = {
        "model": None if model is None else str(model),
        "input": input,
        "weights": weights,
        "calibration": calibration,
        "link_backend": link_backend,
        "topology": topology,
    }
    begun = replay.begin(archive, out, {k: v for k, v in given.items() if v is not None})
    with watching(metrics, otlp) as progress:
        outcome = replay.run(begun, progress)
    report.show(outcome, as_json=json)
    say(f"cross-check it with: {begun.crosscheck}", stderr=True)
    raise typer.Exit(outcome.exit_code)


def _print_json(answer: object) -> None:
    sys.stdout.write(json_format.dumps(answer, indent=2) + "\n")
