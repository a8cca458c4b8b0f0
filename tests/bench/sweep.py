"""What the instrument itself adds: to a frame over its bound, and to a sweep over its frames."""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.bound import bound_ms
from orchestrator.run_folder import Record, RunFolder
from splitbed.errors import RunError
from splitbed.timeline import NS_PER_MS, Stage, Timeline
from tests.bench.figure import Bar, Figure, median

_SPLIT = "split_node_3"
_OPTIONS = ("--model", "ssd300", "--split", _SPLIT, "--bw", "5,20,100", "--delay-ms", "0,10")


def figures(folder: Path) -> Iterator[Figure]:
    """A real sweep of SSD300 at split_node_3 over six links, its anchors included."""
    run = RunFolder(folder / "run")
    argv = [sys.executable, "-m", "orchestrator", "sweep", *_OPTIONS, "--out", str(run.path)]
    asked_ns = time.monotonic_ns()
    done = subprocess.run([*argv, "--json"], stdout=subprocess.PIPE, check=False)
    ended_ns = time.monotonic_ns()
    if done.returncode:
        raise RunError(f"the benchmark's sweep ended with exit {done.returncode}: {done.stdout!r}")
    for cell in run.cells():
        if cell["split_name"] == _SPLIT:
            yield _over_bound(run, cell)
    yield from _overhead(run, asked_ns, ended_ns)


def _over_bound(run: RunFolder, cell: Record) -> Figure:
    """As in the column e2e_over_bound, of which this shows the frames' spread as well."""
    link = LinkSpec.model_validate(cell["link"])
    ratios = []
    for sample in run.samples():
        if sample["attempt"] == cell["attempt"]:
            timeline = Timeline([Stage(*stage) for stage in sample["stages"]])
            floor = bound_ms(timeline, sample["encoded_bytes"], sample["result_bytes"], link)
            ratios.append(timeline.e2e_ms / floor)
    what = f"e2e / bound at {link.uplink.rate_mbit:g} Mbit/s, {link.uplink.delay_ms:g} ms"
    return median(what, "", ratios, Bar(most=1.02))


def _overhead(run: RunFolder, asked_ns: int, ended_ns: int) -> Iterator[Figure]:
    """From the first cell's start to the last one's end, over its frames and link proofs.

    A frame is from the start of its first stage, preprocessing included, to the end of its last.
    """
    cells = list(run.cells())
    frames_ms: dict[str, float] = defaultdict(float)
    for sample in run.samples():
        _, starts_ns, ends_ns = zip(*sample["stages"], strict=True)
        frames_ms[sample["attempt"]] += (max(ends_ns) - min(starts_ns)) / NS_PER_MS
    measured_ms = sum(
        frames_ms[cell["attempt"]] + sum(proof["wall_ms"] for proof in cell["proofs"])
        for cell in cells
    )
    begun_ns, last_ns = (int(cells[i]["attempt"].rpartition("#")[2]) for i in (0, -1))
    measured_until_ns = last_ns + cells[-1]["wall_ms"] * NS_PER_MS
    wall_ms = (measured_until_ns - begun_ns) / NS_PER_MS
    yield Figure(
        "sweep: wall time of cells / frames and proofs", wall_ms / measured_ms, bar=Bar(most=1.1)
    )
    yield Figure("sweep: start until the first cell", (begun_ns - asked_ns) / 1e9, "s")
    yield Figure("sweep: its cells", wall_ms / 1e3, "s")
    yield Figure("sweep: its end after the last cell", (ended_ns - measured_until_ns) / 1e9, "s")
