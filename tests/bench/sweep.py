"""What the instrument itself adds: to a frame over its bound, and to a sweep over its frames."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.results.reading import Reading, read_folder
from orchestrator.results.records import CellRecord
from orchestrator.results.rows import Row, known
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import RunError
from splitbed.timeline import NS_PER_MS
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
        reading = read_folder(run.path)
        for cell in reading.cells:
            if cell.layers[1]:
                yield _over_bound(model, reading, cell)
        yield from _overhead(model, reading, asked_ns, ended_ns)
        yield from _prediction(model, reading.rows)


def _prediction(model: str, table: Sequence[Row]) -> Iterator[Figure]:
    """How well the profiles told part 1 and part 2 of each cell."""
    errors = []
    for row in table:
        if row.part1_predicted_ms is not None:
            told_ms = row.part1_predicted_ms + known(row.part2_predicted_ms)
            errors.append(100 * abs(told_ms / (known(row.part1_ms) + known(row.part2_ms)) - 1))
    if errors:
        yield median(f"{model}: profile's error of part 1 + part 2", "%", errors)


def _over_bound(model: str, reading: Reading, cell: CellRecord) -> Figure:
    """As in the column e2e_over_bound, of which this shows the frames' spread as well."""
    times = reading.times_of(cell)
    assert times
    ratios = (times.e2e_ms / times.bound_ms(reading.frames_of(cell), cell.link)).tolist()
    shape = f"{cell.link.uplink.rate_mbit:g} Mbit/s, {cell.link.uplink.delay_ms:g} ms"
    what = f"{model} {cell.split}: e2e / bound at {shape}"
    return median(what, "", ratios, Bar(most=1.02))


def _overhead(model: str, reading: Reading, asked_ns: int, ended_ns: int) -> Iterator[Figure]:
    """From the first cell's start to the last one's end, over its frames, deliveries and proofs.

    A frame is from the start of its first stage, preprocessing included, to the end of its last.
    """
    cells = sorted(reading.cells, key=_begun_ns)
    measured_ms = 0.0
    for cell in cells:
        for frame in reading.frames_of(cell):
            first_ns = min(stage.start_ns for stage in frame.stages)
            measured_ms += (max(stage.end_ns for stage in frame.stages) - first_ns) / NS_PER_MS
        measured_ms += cell.part1_delivery_ms or 0.0
        measured_ms += sum(known(proof.wall_ms) for proof in cell.proofs)
    begun_ns = _begun_ns(cells[0])
    measured_until_ns = _begun_ns(cells[-1]) + known(cells[-1].wall_ms) * NS_PER_MS
    wall_ms = (measured_until_ns - begun_ns) / NS_PER_MS
    what = f"sweep of {model}"
    yield Figure(f"{what}: cells / what they measured", wall_ms / measured_ms, bar=Bar(most=1.1))
    yield Figure(f"{what}: start until the first cell", (begun_ns - asked_ns) / 1e9, "s")
    yield Figure(f"{what}: its cells", wall_ms / 1e3, "s")
    yield Figure(f"{what}: its end after the last cell", (ended_ns - measured_until_ns) / 1e9, "s")


def _begun_ns(cell: CellRecord) -> int:
    return int(cell.attempt.rpartition("#")[2])
