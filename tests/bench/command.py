"""What a user waits for before a command says anything, and for a list of the cuts of a model."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import onnx

from tests.bench.figure import Bar, Figure, median
from tests.graphs import models

_REPEATS = 5
_LAYERS = 20_000


def figures(folder: Path) -> Iterator[Figure]:
    """``orchestrate`` as installed beside this Python, each time a new process.

    In CPU time, which is what a user waits for where no other work takes the cores. The first call
    is not counted: it leaves the bytecode that every later one finds.
    """
    orchestrate = str(Path(sys.executable).with_name("orchestrate"))
    kept = {name: value for name, value in os.environ.items() if name not in _NO_BYTECODE}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    row, wired = (
        str(models.save(proto, folder / f"{name}.onnx"))
        for name, proto in (("row", _in_a_row()), ("wired", _wired_at_random()))
    )
    for what, words, most_s in (
        ("orchestrate --help", ["--help"], 0.3),
        ("orchestrate splits ssd300", ["splits", "ssd300"], 1.5),
        (f"splits of {_LAYERS:,} layers in a row", ["splits", row], 5),
        (f"splits of {_LAYERS:,} layers wired at random", ["splits", wired], 5),
        (f"splits of {_LAYERS:,} layers wired at random, --json", ["splits", wired, "--json"], 5),
    ):
        seconds = _seconds([orchestrate, *words], environment)
        yield median(what, "s", seconds, Bar(most=most_s))
    yield median("Python itself", "s", _seconds([sys.executable, "-c", "pass"], environment))


_NO_BYTECODE = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


def _seconds(command: Sequence[str], environment: Mapping[str, str]) -> list[float]:
    seconds = []
    for _ in range(1 + _REPEATS):
        before = _children_s()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
        seconds.append(_children_s() - before)
    return seconds[1:]


def _children_s() -> float:
    """CPU time of all processes that were started and have ended."""
    times = os.times()
    return times.children_user + times.children_system


def _in_a_row() -> onnx.ModelProto:
    nodes = [models.node("Relu", f"t{i}", f"t{i + 1}") for i in range(_LAYERS)]
    return models.model(nodes, {"t0": [1, 8]}, {f"t{_LAYERS}": [1, 8]})


def _wired_at_random() -> onnx.ModelProto:
    """Sums of any two tensors before them: thousands cross in the middle."""
    dice = random.Random(0)
    read = [(dice.randrange(i + 1), dice.randrange(i + 1)) for i in range(_LAYERS - 1)]
    nodes = [models.node("Add", f"t{a} t{b}", f"t{i + 1}") for i, (a, b) in enumerate(read)]
    unread = sorted(set(range(_LAYERS)) - {place for pair in read for place in pair})
    nodes.append(models.node("Sum", " ".join(f"t{i}" for i in unread), "y"))
    return models.model(nodes, {"t0": [1, 8]}, {"y": [1, 8]})
