"""`python -m tests.bench`: the figures of this machine against the bars of the README."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from splitbed.command import run_command_line
from tests.bench import (
    batching,
    cells,
    codecs,
    command,
    crossover,
    fleet,
    link,
    loads,
    model_coders,
    parts,
    plan,
    race,
    results,
    soak,
    split,
    sweep,
    transport,
)
from tests.bench.figure import Figure, table

BENCHMARKS: dict[str, Callable[[Path], Iterator[Figure]]] = {
    "command": command.figures,
    "results": results.figures,
    "split": split.figures,
    "codecs": codecs.figures,
    "model-coders": model_coders.figures,
    "crossover": crossover.figures,
    "parts": parts.figures,
    "plan": plan.figures,
    "race": race.figures,
    "link": link.figures,
    "transport": transport.figures,
    "loads": loads.figures,
    "sweep": sweep.figures,
    "cells": cells.figures,
    "batching": batching.figures,
    "soak": soak.figures,
    "fleet": fleet.kills,
    "fleet-client": fleet.client,
    "fleet-head": fleet.head,
    "fleet-slurm": fleet.slurm,
    "fleet-time": fleet.times,
}
LONG = {"batching", "soak", "fleet", "fleet-client", "fleet-head", "fleet-slurm", "fleet-time"}
"""Of minutes: run where they are named."""


def main() -> None:
    """Run the benchmarks named on the command line, or all; exit 1 only when one breaks.

    A bar that is not reached is told and fails nothing: the cores are shared.
    """
    asked = _arguments()
    names = asked.benchmarks or [name for name in BENCHMARKS if name not in LONG]
    figures: list[Figure] = []
    try:
        for name in names:
            figures += _run(name)
    finally:
        Console(width=None if sys.stdout.isatty() else 150).print(table(figures))
        if asked.json:
            asked.json.write_text(json.dumps([figure.record() for figure in figures], indent=2))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "benchmarks", nargs="*", help=f"some of {', '.join(BENCHMARKS)} [all but {', '.join(LONG)}]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    asked = parser.parse_args()
    if unknown := set(asked.benchmarks) - BENCHMARKS.keys():
        parser.error(f"no benchmark {', '.join(sorted(unknown))}: choose {', '.join(BENCHMARKS)}")
    return asked


def _run(name: str) -> Sequence[Figure]:
    figures = []
    with tempfile.TemporaryDirectory(prefix="splitbed-bench-") as folder:
        for figure in BENCHMARKS[name](Path(folder)):
            figures.append(figure)
            sys.stderr.write(f"{name}: {figure.what}: {figure.measured:.4g} {figure.unit}\n")
    return figures


run_command_line(main)
