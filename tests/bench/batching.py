"""What running frames of several UEs together gains, where the edge has one worker for them.

On loopback: what is looked at is the edge, which every UE keeps busy.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.ask.load import Load
from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.measure.watcher import Watcher
from orchestrator.reports.terminal import Plain
from orchestrator.results.rows import known
from splitbed.graphs.splits import resolve
from tests.bench.figure import Figure, median
from tests.bench.offered import Nodes, nodes

_UES, _BATCH = 8, "max=8,wait=5ms"
_ROUNDS, _FRAMES = 4, 40
_CUTS = ("0:44", "stage2")
_SHARED: Mapping[str, object] = {"in_flight": 2, "ue_threads": 1, "edge_threads": 1}
_ONE_BY_ONE: Mapping[str, object] = {}
_TOGETHER: Mapping[str, object] = {"batch": _BATCH}


@dataclass(frozen=True)
class _Ran:
    """What came of it, and what the edge computed for it."""

    fps: float
    edge_ms: float
    """A frame."""
    batch: float
    """How many were run together, in the mean."""


def figures(folder: Path) -> Iterator[Figure]:
    """Frames a second, and the edge's time of a processor, with batches over those without."""
    with nodes(folder, _UES, "shapesnet") as brought, SweepProgress(Plain(stderr=True)) as progress:
        for name in _CUTS:
            both = [
                [_run(brought, name, how, progress) for how in (_ONE_BY_ONE, _TOGETHER)]
                for _ in range(_ROUNDS)
            ]
            what = f"shapesnet {name}, {_UES} UEs"
            gained = f"{_BATCH} / one by one"
            yield median(f"{what}: frames a second, one by one", "", [one.fps for one, _ in both])
            rates = [batched.fps / alone.fps for alone, batched in both]
            yield median(f"{what}: frames a second, {gained}", "", rates)
            times = [batched.edge_ms / alone.edge_ms for alone, batched in both]
            yield median(f"{what}: the edge's time of a processor, {gained}", "", times)
            yield median(f"{what}: frames together", "", [batched.batch for _, batched in both])


def _run(brought: Nodes, name: str, how: Mapping[str, object], watcher: Watcher) -> _Ran:
    """Each UE has two frames under way at any time."""
    model, edge = brought.bed.model, brought.processes["edge"]
    (split,) = resolve(model.graph, name, model.named_splits)
    before_s = sum(edge.cpu_times()[:2])
    row = brought.offer(
        Load(in_flight=2), _FRAMES, watcher, cut=split.k, options={**_SHARED, **how}
    )
    took_ms = 1e3 * (sum(edge.cpu_times()[:2]) - before_s)
    fps, batch = known(row.delivered_fps), known(row.batch_mean)
    return _Ran(fps, took_ms / _FRAMES / _UES, batch)
