"""How fast the codecs of the table are: what rd measured beside other work, anew and alone.

    part 1 ──> encode ──> decode     for each point of the table, on a few frames

Neither part 2 nor a judge runs, so that it takes seconds where rd took minutes.
"""

import json
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.calibration import read_calibration
from orchestrator.offline.codecs_page import SPEEDS_COLUMNS, SPEEDS_FILE, told_points, whole_run
from orchestrator.offline.cutting import crossings
from orchestrator.offline.pool import pooled
from orchestrator.offline.rd import plan
from orchestrator.offline.run import RD_FILE
from orchestrator.results.columns import csv_text
from orchestrator.results.run_folder import RunFolder
from orchestrator.testbed.inputs import sources
from orchestrator.testbed.local import Ends, LocalModel
from orchestrator.testbed.model import Known
from splitbed.command import say
from splitbed.errors import SplitbedError
from splitbed.graphs.splits import Split
from splitbed.tensors import Tensors

FRAMES = 20
"""Of the first input: with the first not counted, the medians of so many."""
MOST_S = 1.0
"""That a codec is given: of one that takes long fewer frames say as much."""


def measure_speeds(runs: Sequence[Path], frames: int = FRAMES) -> None:
    """Leave ``speeds.csv`` in each of these folders of rd: the medians of its points in the table.

    Raises UsageError for a folder that is no run of rd, RunError for one that cannot be written.
    """
    for run in runs:
        say(f"measuring how fast the codecs of {run} are", stderr=True)
        RunFolder(run).replace(SPEEDS_FILE, csv_text(SPEEDS_COLUMNS, _measured(run, frames)))


def _measured(run: Path, frames: int) -> Iterator[Mapping[str, object]]:
    with whole_run(run):
        config = SweepConfig.model_validate(json.loads((run / RD_FILE).read_text())["asked"])
    told = {(row["split_name"], row["codec"]) for row in told_points(run)}
    first = sources(config.input, "--input")[0] if config.input else None
    with pooled(config.replaced(input=first, runs=frames)) as pool:
        local = pool.local
        known = read_calibration(RunFolder(run), local.model.facts.sha256).known
        setups = [one for one in plan(config, local) if (one.split_name, one.codec) in told]
        for k in dict.fromkeys(one.k for one in setups):
            here = [one for one in setups if one.k == k]
            yield from _at_cut(local, here, known)


def _at_cut(
    local: LocalModel, setups: Sequence[Configuration], known: Known
) -> Iterator[Mapping[str, object]]:
    split = Split(setups[0].split_name, setups[0].k)
    crossing = [tensors for _, tensors in crossings(local, split, local.model.inputs)]
    for one in setups:
        try:
            encode_ms, decode_ms = _medians(Ends(local.model, one.k, one.codec, known), crossing)
        except SplitbedError as error:
            say(f"{one.split_name} {one.codec}: {error}", stderr=True)
            continue
        values = one.split_name, one.codec, encode_ms, decode_ms
        yield dict(zip(SPEEDS_COLUMNS, values, strict=True))


def _medians(ends: Ends, crossing: Iterable[Tensors]) -> tuple[float, float]:
    """Of encoding and of decoding; the first frame, which finds caches cold, is not counted."""
    took: list[tuple[float, float]] = []
    began_s = time.perf_counter()
    for tensors in crossing:
        crossed = ends.cross(tensors)
        took.append((crossed.encode_ms, crossed.decode_ms))
        if len(took) > 3 and time.perf_counter() - began_s > MOST_S:
            break
    encode, decode = zip(*took[1:] or took, strict=True)
    return statistics.median(encode), statistics.median(decode)
