"""How well a plan tells, before a frame is sent, what a sweep then measures; and how fast it is."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row, known
from splitbed.errors import RunError
from tests.bench.figure import Bar, Figure, median

_RATES = "5,20,100"
_CODED = ("--codec", "raw,int8+zstd", "--input-codec", "raw,uint8,jpeg:75")
_SWEPT = {
    "ssd300": ("--split", "split_node_3,split_node_39,split_node_69", *_CODED),
    "posenet": ("--split", "1:30,13:18,27:4", *_CODED),
}
_MANY = ("--bw", "1:1000:100", "--delay", "0:50", "--ue-slowdown", "1:8:10")


def figures(folder: Path) -> Iterator[Figure]:
    """Of either model a plan, and a sweep of what it tells; a plan of many links."""
    for model, options in _SWEPT.items():
        made, many, run = (folder / f"{model}{what}" for what in ("-plan", "-many", ""))
        words = ["--model", model, *options]
        _run("plan", *words, "--bw", _RATES, "--delay", "0", "--out", str(made))
        swept = ["--bw", _RATES, "--no-delivery", "--no-profile", "--out", str(run)]
        _run("sweep", *words, *swept)
        errors = [*_errors(read_folder(run).rows, made / "plan.csv")]
        yield median(f"{model}: error of the prediction, median", "%", errors, Bar(most=3))
        yield Figure(f"{model}: error of the prediction, worst", max(errors), "%", Bar(most=10))
        # from the first plan's folder: nothing is measured or coded anew
        told = _run("plan", *words, *_MANY, "--profile", str(made), "--out", str(many), "--json")
        what = f"{model}: plan of {json.loads(told)['configurations']:,} configurations"
        yield Figure(what, json.loads(told)["planned_s"], "s", Bar(most=2))


def _errors(table: Sequence[Row], predictions: Path) -> Iterator[float]:
    """Of each valid row, how far the prediction is off, of the measured time in per cent."""
    with predictions.open() as file:
        told = {
            (line["split"], line["codec"], float(line["bw_mbit"]), float(line["delay_ms"])): float(
                line["e2e_ms"]
            )
            for line in csv.DictReader(file)
        }
    for row in table:
        if row.valid:
            predicted_ms = told[row.split, row.codec, row.bw_mbit, row.delay_ms]
            yield 100 * abs(predicted_ms / known(row.e2e_ms) - 1)


def _run(command: str, *words: str) -> str:
    argv = [sys.executable, "-m", "orchestrator", command, *words]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RunError(f"{command} ended with exit {done.returncode}: {done.stdout}")
    return done.stdout
