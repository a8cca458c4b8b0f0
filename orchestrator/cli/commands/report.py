"""The command of `orchestrate` that makes a run's report or tables, and holds it to limits."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import option
from splitbed.command import Commands, printable, say

if TYPE_CHECKING:
    from orchestrator.checks.threshold import Threshold
    from orchestrator.results.reading import Reading

report_app = Commands()


@report_app.command()
def report(
    run: Annotated[Path, typer.Argument(help="FOLDER of a run, or of a scenario.")],
    format: Annotated[  # noqa: A002  named as the option is
        str | None, option("A table instead: md, csv, json, latex or parquet.")
    ] = None,
    tr: Annotated[
        bool, typer.Option("--tr", help="The tables of its clause, as md or latex.")
    ] = False,
    threshold: Annotated[
        list[str] | None, option("Exit 1 when broken: 'e2e_p95<250ms@stage2,bw=20'; repeatable.")
    ] = None,
    out: Annotated[Path | None, option("FILE. [report.html in the run; tables: stdout]")] = None,
) -> None:
    """Make the report.html of a run, or tables of it; hold it to limits."""
    from orchestrator.checks.threshold import parse
    from orchestrator.results.kinds import transit_folders
    from splitbed.media.files import check_new

    limits = [parse(text) for text in threshold or ()]
    if not (tr or format or limits) and transit_folders(run):
        check_new(out)
        say(f"Report: {_page(run, out)}")
        return
    runs = runs_in(run) if limits or not tr else []  # of models in transit there are tables alone
    check_new(out)
    if tr:
        _put(_tr(run, format or "md"), out)
    elif format is not None:
        _put(_table(_only(runs), format), out)
    elif out is not None:
        _write_reports([_only(runs)], out)
    else:
        _write_reports(runs, None)
    broken = _broken(runs, limits)
    for line in broken:
        say(line, stderr=True)
    if broken:
        raise typer.Exit(1)


def _page(folder: Path, out: Path | None) -> Path:
    from orchestrator.reports.html import put_report
    from orchestrator.scenarios.tr import tr_page

    return put_report(tr_page(folder), folder, out)


def runs_in(folder: Path) -> list[Path]:
    """The run that the folder is, or the runs of the scenario that it holds; else UsageError."""
    from orchestrator.results.kinds import RUN_FILE, check_sweep
    from splitbed.errors import UsageError

    if (folder / RUN_FILE).exists():
        return [folder]
    # a scenario's own sweep, and those of the scenarios that belong to it
    found = [*folder.glob(f"*/{RUN_FILE}"), *folder.glob(f"*/*/{RUN_FILE}")]
    if not found:
        check_sweep(folder, folder)
        raise UsageError(
            f"{folder} is no run: neither it nor a folder in it has a {RUN_FILE}; "
            "give the folder that `orchestrate sweep` or `orchestrate scenario run` wrote"
        )
    return sorted(file.parent for file in found)


def _only(runs: Sequence[Path]) -> Path:
    from splitbed.errors import UsageError

    if len(runs) > 1:
        names = ", ".join(map(str, runs))
        raise UsageError(f"several runs are there, and this is for one: give one of {names}")
    return runs[0]


def _write_reports(runs: Sequence[Path], out: Path | None) -> None:
    from orchestrator.reports.html import write_report
    from splitbed.errors import SplitbedError

    refused: list[SplitbedError] = []
    for one in runs:
        try:
            say(f"Report: {write_report(one, out)}")
        except SplitbedError as error:  # the others are still to be had
            refused.append(error)
    for told in refused[:-1]:
        say(f"error: {told}", stderr=True)
    if refused:
        raise refused[-1]


def _table(run: Path, format_name: str) -> bytes:
    from orchestrator.reports.export import export, run_facts

    reading = _read(run)
    return export(reading.rows, format_name, run_facts(reading.run))


def _tr(folder: Path, format_name: str) -> bytes:
    from orchestrator.scenarios.tr import tr_tables

    return tr_tables(folder, format_name).encode()


def _read(run: Path) -> "Reading":
    """What can be read of it; what cannot is told on stderr."""
    from orchestrator.results.reading import read_folder

    reading = read_folder(run)
    for line in reading.damage:
        say(f"warning: {line}", stderr=True)
    return reading


def _put(made: bytes, out: Path | None) -> None:
    """To the file that was named, else to stdout, where a binary file would harm a terminal."""
    from splitbed.errors import UsageError

    if out is None:
        if b"\0" in made and sys.stdout.isatty():
            raise UsageError("this format is not for a terminal: give --out FILE")
        if sys.stdout.isatty():
            made = printable(made.decode()).encode()
        sys.stdout.buffer.write(made)
        sys.stdout.flush()
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(made)
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    say(f"Table: {out}")


def _broken(runs: Sequence[Path], limits: "Sequence[Threshold]") -> list[str]:
    """The rows of all runs together: a limit may be for those of one of them."""
    from orchestrator.checks.threshold import broken

    if not limits:
        return []
    readings = {run: _read(run) for run in runs}
    lines = broken(limits, [row for reading in readings.values() for row in reading.every])
    for run, reading in readings.items():
        if (lost := reading.run.cells_asked - len(reading.rows)) > 0:
            lines.append(f"{run}: {lost} cells were not measured, so that no limit is kept")
    return lines
