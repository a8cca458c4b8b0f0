"""Memory of each process while eight UEs send for minutes: what a frame leaves behind is nothing.

Run by name alone: `make bench ARGS=soak`.
"""

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
from scipy.stats import theilslopes

from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.reports.terminal import Plain
from tests.bench.figure import Bar, Figure, median
from tests.bench.looking import looking
from tests.bench.offered import drops_none, nodes

_UES, _FPS = 8, 30
_NAMES = [f"ue-{one}" for one in range(1, _UES + 1)]
_SECONDS = float(os.environ.get("SOAK_S", "140"))
_ALONE_S = 10.0
_LOOK_S, _TOGETHER = 0.5, 8
"""How often memory is read; of so many readings one after another the median counts."""
_WARM = 1 / 3
"""Of the time: by then every process has met what it meets, as many frames at once at most."""
_MB = 1e6
_MOST_MB = 0.05
"""Growth per 1,000 frames that is nil: 50 bytes a frame, less than a record of one has."""


def figures(folder: Path) -> Iterator[Figure]:
    """Growth per 1,000 frames of the edge, of this process, and of UEs; the edge's memory a UE.

    Its ends are those of a 95 % interval.
    """
    alone = _sampled(folder / "alone", 1, _ALONE_S)
    crowd = _sampled(folder / "crowd", _UES, _SECONDS)
    what = f"growth in 1,000 frames, of {_UES * _FPS * _SECONDS:.0f}"
    for name in ("edge", "orchestrator"):
        grown, *ends = _growth_mb(crowd[name], _UES * _FPS)
        yield Figure(f"{name}: {what}", grown, "MB", Bar(most=_MOST_MB), ends)
    # a heap grows by steps; what leaks does so in all
    of_ues = [_growth_mb(crowd[name], _FPS) for name in _NAMES]
    grown, *ends = (statistics.median(ones) for ones in zip(*of_ues, strict=True))
    what = f"growth in 1,000 frames, of {_FPS * _SECONDS:.0f}"
    yield Figure(f"UE, the middle one: {what}", grown, "MB", Bar(most=_MOST_MB), ends)
    for name in ("edge", "orchestrator", _NAMES[0]):
        yield median(f"{name}: memory of its own", "MB", [mb for _, mb in crowd[name]])
    more_mb = statistics.median(mb for _, mb in crowd["edge"]) - alone["edge"][-1][1]
    yield Figure("edge: memory a UE", more_mb / (_UES - 1), "MB", Bar(most=2))


def _sampled(folder: Path, ues: int, seconds: float) -> Mapping[str, Sequence[tuple[float, float]]]:
    """When, and what each process had for itself then, in s and MB, while frames came."""
    with nodes(folder, ues) as brought, SweepProgress(Plain(stderr=True)) as progress:
        processes = brought.processes | {"orchestrator": psutil.Process()}
        with _sampling(processes) as samples:
            load = drops_none(f"fps:{_FPS}")
            brought.offer(load, round(_FPS * seconds), progress, "zstd")
    # what is made of them when they have ended is not of them
    ended_s = samples["edge"][0][0] + seconds
    return {name: [one for one in own if one[0] < ended_s] for name, own in samples.items()}


@contextmanager
def _sampling(
    processes: Mapping[str, psutil.Process],
) -> Iterator[Mapping[str, list[tuple[float, float]]]]:
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}

    def sample() -> None:
        for name, process in processes.items():
            samples[name].append((time.monotonic(), _own_mb(process)))

    with looking(sample, _LOOK_S):
        yield samples


def _own_mb(process: psutil.Process) -> float:
    """What no file backs: pages of libraries come and go with others that have them open."""
    memory = process.memory_info()
    return float(memory.rss - memory.shared) / _MB


def _growth_mb(samples: Sequence[tuple[float, float]], fps: float) -> tuple[float, float, float]:
    """In 1,000 frames, of which so many came in a second; and the ends of its interval.

    The median slope between readings after warm-up (Theil and Sen), of some together, since those
    that follow one another are alike.
    """
    steady = samples[round(len(samples) * _WARM) :]
    some = [steady[first : first + _TOGETHER] for first in range(0, len(steady), _TOGETHER)]
    medians = [[statistics.median(one) for one in zip(*pairs, strict=True)] for pairs in some]
    at_s, mb = zip(*medians, strict=True)
    slope, _, low, high = theilslopes(mb, at_s, alpha=0.95)
    return slope / fps * 1000, low / fps * 1000, high / fps * 1000
