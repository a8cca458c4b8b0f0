"""Memory of each process while eight UEs send for minutes: what a frame leaves behind is nothing.

Run by name alone: `make bench ARGS=soak`.
"""

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import psutil

from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.reports.terminal import Plain
from tests.bench.figure import Bar, Figure, median
from tests.bench.offered import nodes

_UES, _FPS = 8, 10
_NAMES = [f"ue-{one}" for one in range(1, _UES + 1)]
_SECONDS = float(os.environ.get("SOAK_S", "600"))
_ALONE_S = 20.0
_LOOK_S = 2.0
_WARM = 1 / 2
"""Of the time: by then every process has met what it meets, as many frames at once at most."""
_MB = 1e6
_MOST_MB = 0.05
"""Growth per 1,000 frames that is nil: 50 bytes a frame, less than a record of one has."""


def figures(folder: Path) -> Iterator[Figure]:
    """Growth per 1,000 frames of the edge, of this process, and of UEs; the edge's memory a UE."""
    alone = _sampled(folder / "alone", 1, _ALONE_S)
    crowd = _sampled(folder / "crowd", _UES, _SECONDS)
    every = _UES * _FPS * _SECONDS
    of_ues = [_growth_mb(own, every / _UES) for name, own in crowd.items() if name in _NAMES]
    what = f"growth in 1,000 frames, of {every:.0f}"
    for name in ("edge", "orchestrator"):
        grown = _growth_mb(crowd[name], every)
        yield Figure(f"{name}: {what}", grown, "MB", Bar(most=_MOST_MB))
    # a heap grows by steps; what leaks does so in all
    yield median(f"UE: {what}", "MB", of_ues, Bar(most=_MOST_MB))
    for name in ("edge", "orchestrator", _NAMES[0]):
        yield median(f"{name}: memory of its own", "MB", [mb for _, mb in crowd[name]])
    more_mb = statistics.median(mb for _, mb in crowd["edge"]) - alone["edge"][-1][1]
    yield Figure("edge: memory a UE", more_mb / (_UES - 1), "MB", Bar(most=2))


def _sampled(folder: Path, ues: int, seconds: float) -> Mapping[str, Sequence[tuple[float, float]]]:
    """When, and what each process had for itself then, in s and MB, while frames came."""
    with nodes(folder, ues) as brought, SweepProgress(Plain(stderr=True)) as progress:
        processes = brought.processes | {"orchestrator": psutil.Process()}
        with _sampling(processes) as samples:
            brought.offer(f"fps:{_FPS}", seconds, progress, "zstd")
    # what is made of them when they have ended is not of them
    ended_s = samples["edge"][0][0] + seconds
    return {name: [one for one in own if one[0] < ended_s] for name, own in samples.items()}


@contextmanager
def _sampling(
    processes: Mapping[str, psutil.Process],
) -> Iterator[Mapping[str, list[tuple[float, float]]]]:
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    ended = Event()

    def sample() -> None:
        while not ended.wait(_LOOK_S):
            for name, process in processes.items():
                samples[name].append((time.monotonic(), _own_mb(process)))

    (sampling := Thread(target=sample)).start()
    try:
        yield samples
    finally:
        ended.set()
        sampling.join()


def _own_mb(process: psutil.Process) -> float:
    """What no file backs: pages of libraries come and go with others that have them open."""
    memory = process.memory_info()
    return float(memory.rss - memory.shared) / _MB


def _growth_mb(samples: Sequence[tuple[float, float]], frames: float) -> float:
    """In 1,000 frames of so many that came meanwhile: from one half after warm-up to the other."""
    steady = [mb for _, mb in samples[round(len(samples) * _WARM) :]]
    half = len(steady) // 2
    grown = statistics.median(steady[half:]) - statistics.median(steady[:half])
    return grown / (frames * (1 - _WARM) / 2) * 1000
