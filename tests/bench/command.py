"""What a user waits for before a command says anything."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.figure import Bar, Figure, median

_REPEATS = 7


def figures(folder: Path) -> Iterator[Figure]:
    """``orchestrate --help`` as installed beside this Python, and what Python itself takes."""
    command = Path(sys.executable).with_name("orchestrate")
    yield median("orchestrate --help", "s", _seconds([str(command), "--help"]), Bar(most=0.2))
    yield median("of that, Python itself", "s", _seconds([sys.executable, "-c", "pass"]))


def _seconds(command: Sequence[str]) -> list[float]:
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds.append(time.perf_counter() - start)
    return seconds
