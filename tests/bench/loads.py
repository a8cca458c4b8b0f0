"""Frames that come by themselves: when they begin, how they follow one another, what telling takes.

Where nothing but nodes and orchestrator is to compute they are on loopback; what fills a link has
one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median as median_of

import numpy as np
import psutil

from netem.spec import Shape
from netem.wire import wire_ms
from orchestrator.api.sweep import sweep
from orchestrator.ask.links import link_at
from orchestrator.ask.load import load_named
from orchestrator.ask.sweep.cell import Cell
from orchestrator.cli.watch.progress import SweepProgress
from orchestrator.measure.frames import stages_of
from orchestrator.measure.loads.offering import Offering
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.reports.terminal import Plain
from orchestrator.results.reading import read_folder
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.offered import Fate
from splitbed.graphs.splits import resolve
from splitbed.timeline import NS_PER_MS, WAIT, Stage, Timeline, is_hop, sleep_until_ns
from tests.bench.figure import Bar, Figure, median
from tests.bench.looking import looking
from tests.bench.offered import Nodes, drops_none, nodes
from tests.node.loopback import FRAME_S, Splits

_FPS, _SECONDS, _UES = 30, 15, 8
_BW_MBIT, _IN_FLIGHT = (20, 150), 4
_PROCESSORS, _LOOK_S = "processors", 0.05
_LOW_FPS, _FEW, _ROUNDS = 10, 20, 3


def figures(folder: Path) -> Iterator[Figure]:
    """The schedule's own error, the orchestrator's share of a core, pipelining, few frames."""
    frames, _ = offered(folder / "alone", 1)
    late_ms = [(one.start_ns - one.due_ns) / NS_PER_MS for one in frames if one.start_ns]
    bare_ms = _bare_ms()
    for percent, bar in ((50, Bar()), (99, Bar(most=0.2))):
        what = f"begun after it was due, {percent} % of frames at {_FPS} a second"
        yield Figure(what, float(np.percentile(late_ms, percent)), "ms", bar, late_ms)
        what = f"{what}: of a loop that does nothing else on this machine"
        yield Figure(what, float(np.percentile(bare_ms, percent)), "ms", samples=bare_ms)
    _, share = offered(folder / "crowd", _UES)
    what = f"orchestrator's share of a core, {_UES} UEs at {_FPS} frames a second"
    yield Figure(what, 100 * share, "%", Bar(most=5))
    yield from _pipelined(folder / "pipelined")
    yield from _seldom(folder / "seldom")


class _Clocked(SweepProgress):
    """What a sweep without a terminal shows; and what this process computes meanwhile."""

    def __init__(self) -> None:
        super().__init__(Plain(stderr=True))
        self.at: list[tuple[float, float]] = []

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        super().frame(frame, stages)
        self.at.append((time.monotonic(), time.process_time()))

    @property
    def share(self) -> float:
        """Of a core, from the first frame to the last."""
        (first_s, first_cpu_s), (last_s, last_cpu_s) = self.at[0], self.at[-1]
        return (last_cpu_s - first_cpu_s) / (last_s - first_s)


def offered(folder: Path, ues: int) -> tuple[list[Fate], float]:
    """What became of frames of so many UEs, and what share of a core it took this process."""
    with nodes(folder, ues) as brought, _Clocked() as progress:
        brought.offer(drops_none(f"fps:{_FPS}"), _FPS * _SECONDS, progress)
        return [fate for one in brought.run.frames() if (fate := one.fate)], progress.share


def _bare_ms() -> list[float]:
    """How late one awakes at the same pace who has nothing to do: what the machine takes away."""
    due_ns, late_ms = time.monotonic_ns(), []
    for _ in range(_FPS * _SECONDS):
        due_ns += round(1e9 / _FPS)
        sleep_until_ns(due_ns)
        late_ms.append((time.monotonic_ns() - due_ns) / NS_PER_MS)
    return late_ms


@contextmanager
def _own_work() -> Iterator[Callable[[int, int], float]]:
    """Gives how long two moments would lie apart by the work that this run did between them.

    In milliseconds, of it and all that it started: nodes, links. That is spread over all
    processors, and nothing waits.
    """
    moments: list[float] = []
    worked_s: list[float] = []
    own = psutil.Process()

    def look() -> None:
        moments.append(time.monotonic_ns())
        worked_s.append(sum(map(_worked_s, [own, *own.children(recursive=True)])))

    def took_ms(begin_ns: int, end_ns: int) -> float:
        begin, end = np.interp([begin_ns, end_ns], moments, worked_s).tolist()
        return float(end - begin) * 1000 / (psutil.cpu_count() or 1)

    with looking(look, _LOOK_S):
        yield took_ms


def _worked_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return float(times.user + times.system)


def _pipelined(folder: Path) -> Iterator[Figure]:
    """How far apart frames leave, over what the slowest takes: the wire, a part, the processors.

    Of the first quarter none: the pipeline fills. Parts have a thread each; nodes, link and
    orchestrator share the processors.
    """
    with _own_work() as worked_ms:
        sweep(
            "shapesnet",
            split="stage2",
            codec="int8",
            bw=_BW_MBIT,
            load="closed",
            in_flight=_IN_FLIGHT,
            runs=60,
            ue_threads=1,
            edge_threads=1,
            delivery=False,
            profile=False,
            out=folder,
        )
    reading = read_folder(folder)
    for cell in reading.cells:
        pooled = reading.frames_of(cell)  # anchors are measured once more at the end
        visit = [one for one in pooled if one.attempt == pooled[0].attempt]
        frames = sorted(visit, key=lambda one: one.frame)
        ends = [one.stages[-1].end_ns for one in frames][len(frames) // 4 :]
        apart_ms = [(after - before) / NS_PER_MS for before, after in pairwise(ends)]
        every = [_stages_ms(one, cell.link.uplink) for one in frames]
        took_ms = {name: median_of(one[name] for one in every) for name in every[0]}
        took_ms[_PROCESSORS] = worked_ms(ends[0], ends[-1]) / len(apart_ms)
        slowest = max(took_ms, key=took_ms.__getitem__)
        what = f"shapesnet {cell.split}, {cell.link.uplink.rate_mbit:g} Mbit/s"
        what = f"{what}, {_IN_FLIGHT} in flight: apart / slowest, {slowest}"
        bar = Bar(most=1.02 if is_hop(slowest) else 1.15)
        yield median(what, "", [one / took_ms[slowest] for one in apart_ms], bar)


def _seldom(folder: Path) -> Iterator[Figure]:
    """What a frame takes that meets no other: one that is offered, over one that is asked for.

    Both come as seldom: after a pause caches are cold and processors sleep, which is told beside.
    """
    with nodes(folder, 1, "shapesnet") as brought:
        model = brought.bed.model
        splits = Splits(brought.pair, model, ue_threads=0, edge_threads=0)
        for name in ("0:44", "stage2", "44:0"):
            (split,) = resolve(model.graph, name, model.named_splits)
            every = [_seldom_ms(brought, splits, split.k) for _ in range(_ROUNDS)]
            what = f"shapesnet {name}: end-to-end time at {_LOW_FPS} a second"
            ratios = [offered / asked for _, asked, offered in every]
            yield median(f"{what}, offered / asked for", "", ratios, Bar(most=1.05))
            ratios = [asked / at_once for at_once, asked, _ in every]
            yield median(f"{what} / one after another, both asked for", "", ratios)


def _seldom_ms(brought: Nodes, splits: Splits, cut: int) -> tuple[float, float, float]:
    """Medians of frames asked for one after another, with pauses, and of those offered so."""
    splits.load(cut)
    at_once = [_asked_ms(splits, number) for number in range(_FEW)]
    due_ns, asked = time.monotonic_ns(), []
    for number in range(_FEW):
        due_ns += round(1e9 / _LOW_FPS)
        sleep_until_ns(due_ns)
        asked.append(_asked_ms(splits, number))
    load = replace(splits.last, link=link_at(1000, 0), load=load_named(f"fps:{_LOW_FPS}"))
    splits.parts.assign(load)
    offering = Offering(brought.bed, splits.parts, TimeLimits(1 << 20, FRAME_S))
    cell = Cell(load, brought.bed.model.graph.cuts[cut].nbytes, frames=_FEW)
    offered = [one.e2e_ms for one in offering.offered(cell, load, "an attempt")]
    return median_of(at_once), median_of(asked), median_of(offered)


def _asked_ms(splits: Splits, number: int) -> float:
    return Timeline(stages_of(splits.run(number))).e2e_ms


def _stages_ms(frame: FrameRecord, up: Shape) -> dict[str, float]:
    """What each stage takes; the way up as long as its bytes are on the wire."""
    own = {one.name: one.ms for one in frame.stages if one.name != WAIT and not is_hop(one.name)}
    return own | {hop.name: wire_ms(hop.bytes, up) for hop in frame.sent if hop.name == "uplink"}
