"""What the instrument itself adds: to a frame over its bound, and to a sweep over its frames."""

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from netem.spec import LinkSpec
from orchestrator.results.bound import bound_ms
from orchestrator.results.rows import Row, number
from orchestrator.results.run_folder import Record, RunFolder
from orchestrator.results.summary import rows
from splitbed.errors import RunError
from splitbed.timeline import NS_PER_MS, Stage, Timeline
from tests.bench.figure import Bar, Figure, median

_BW = "5,20,100"
_SWEEPS = {
    # 91 MB of part 1 at 5 Mbit/s would tell nothing that PoseNet's 13 MB do not
    "ssd300": ("--split", "split_node_3", "--delay-ms", "0,10", "--no-delivery", "--no-profile"),
    "posenet": ("--split", "1:30,13:18,27:4"),
}


def figures(folder: Path) -> Iterator[Figure]:
    """Real sweeps: SSD300 at one split over six links, PoseNet with delivery at three over three.

    Of either, the anchors are measured too.
    """
    for model, options in _SWEEPS.items():
        run = RunFolder(folder / model)
        words = ["--model", model, "--bw", _BW, *options, "--out", str(run.path), "--json"]
        argv = [sys.executable, "-m", "orchestrator", "sweep", *words]
        asked_ns = time.monotonic_ns()
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
        ended_ns = time.monotonic_ns()
        if done.returncode:
            told = done.stdout.decode(errors="replace")
            raise RunError(f"the sweep of {model} ended with exit {done.returncode}: {told}")
        for cell in run.cells():
            if not cell["split"].endswith(":0"):
                yield _over_bound(model, run, cell)
        yield from _overhead(model, run, asked_ns, ended_ns)
        yield from _prediction(model, rows(run))


def _prediction(model: str, table: Sequence[Row]) -> Iterator[Figure]:
    """How well the profiles told part 1 and part 2 of each cell."""
    errors = []
    for row in table:
        if "part1_predicted_ms" in row:
            names = ("part1_predicted_ms", "part2_predicted_ms", "part1_ms", "part2_ms")
            told1, told2, part1, part2 = (number(row, name) for name in names)
            errors.append(100 * abs((told1 + told2) / (part1 + part2) - 1))
    if errors:
        yield median(f"{model}: profile's error of part 1 + part 2", "%", errors)


def _over_bound(model: str, run: RunFolder, cell: Record) -> Figure:
    """As in the column e2e_over_bound, of which this shows the frames' spread as well."""
    link = LinkSpec.model_validate(cell["link"])
    ratios = []
    for sample in run.samples():
        if sample["attempt"] == cell["attempt"]:
            timeline = Timeline([Stage(*stage) for stage in sample["stages"]])
            floor = bound_ms(timeline, sample["encoded_bytes"], sample["result_bytes"], link)
            ratios.append(timeline.e2e_ms / floor)
    shape = f"{link.uplink.rate_mbit:g} Mbit/s, {link.uplink.delay_ms:g} ms"
    what = f"{model} {cell['split']}: e2e / bound at {shape}"
    return median(what, "", ratios, Bar(most=1.02))


def _overhead(model: str, run: RunFolder, asked_ns: int, ended_ns: int) -> Iterator[Figure]:
    """From the first cell's start to the last one's end, over its frames, deliveries and proofs.

    A frame is from the start of its first stage, preprocessing included, to the end of its last.
    """
    cells = list(run.cells())
    frames_ms: dict[str, float] = defaultdict(float)
    for sample in run.samples():
        _, starts_ns, ends_ns = zip(*sample["stages"], strict=True)
        frames_ms[sample["attempt"]] += (max(ends_ns) - min(starts_ns)) / NS_PER_MS
    measured_ms = sum(
        frames_ms[cell["attempt"]]
        + cell.get("part1_delivery_ms", 0)
        + sum(proof["wall_ms"] for proof in cell["proofs"])
        for cell in cells
    )
    begun_ns, last_ns = (int(cells[i]["attempt"].rpartition("#")[2]) for i in (0, -1))
    measured_until_ns = last_ns + cells[-1]["wall_ms"] * NS_PER_MS
    wall_ms = (measured_until_ns - begun_ns) / NS_PER_MS
    what = f"sweep of {model}"
    yield Figure(f"{what}: cells / what they measured", wall_ms / measured_ms, bar=Bar(most=1.1))
    yield Figure(f"{what}: start until the first cell", (begun_ns - asked_ns) / 1e9, "s")
    yield Figure(f"{what}: its cells", wall_ms / 1e3, "s")
    yield Figure(f"{what}: its end after the last cell", (ended_ns - measured_until_ns) / 1e9, "s")
