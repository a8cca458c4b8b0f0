"""How slow a UE makes a split pay: SSD300 at split_node_3 as int8+zstd, against both anchors.

In one run at 20 Mbit/s, the UE at its own pace and slowed. By the document's own times (clause
10.3.9.2) no uncompressed split ever pays.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrator.results.reading import read_folder
from orchestrator.results.rows import Row, known
from splitbed.errors import RunError
from tests.bench.figure import Figure

_SLOWDOWNS = "1,2,4"


def figures(folder: Path) -> Iterator[Figure]:
    """The ratios to both anchors at each pace, and the slow-down where the split begins to pay."""
    run = folder / "crossover"
    words = ["--model", "ssd300", "--split", "split_node_3", "--codec", "int8+zstd", "--bw", "20"]
    words += ["--ue-slowdown", _SLOWDOWNS, "--no-profile", "--no-delivery", "--runs", "9"]
    argv = [sys.executable, "-m", "orchestrator", "sweep", *words, "--out", str(run)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        told = done.stdout.decode(errors="replace")
        raise RunError(f"the sweep ended with exit {done.returncode}: {told}")
    table = read_folder(run).rows
    for pace in dict.fromkeys(row.ue for row in table):
        network, split, device = (_row(table, name, pace) for name in _NAMES)
        slowdown = device.ue_slowdown
        where = "UE at its own pace" if slowdown is None else f"UE {slowdown:.2f}x slower"
        for name, anchor in (("raw network anchor", network), ("device anchor", device)):
            ratio = known(anchor.e2e_ms) / known(split.e2e_ms)
            yield Figure(f"split_node_3 int8+zstd, {where}: {name} / split", ratio)
    yield Figure("slow-down from which the split beats the device anchor", _crossover(table))


_NAMES = ("network anchor", "split_node_3", "device anchor")


def _row(table: list[Row], name: str, pace: str) -> Row:
    (found,) = [row for row in table if (row.split_name, row.ue) == (name, pace)]
    return found


def _crossover(table: list[Row]) -> float:
    """Where the UE's extra work in the device anchor outweighs all that the split adds.

    device(s) = s * device, split(s) = s * (part 1 + encode) + the rest, from the UE's own pace.
    """
    split, device = _row(table, "split_node_3", ""), _row(table, "device anchor", "")
    on_ue = known(split.part1_ms) + known(split.encode_ms)
    return (known(split.e2e_ms) - on_ue) / (known(device.e2e_ms) - on_ue)
