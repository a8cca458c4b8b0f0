"""What a split costs where it computes: CPU time of its parts, and the set-up of a cut."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from orchestrator.config import SweepConfig
from orchestrator.model import load_model
from splitbed.graphs.onnx_graph import load_graph
from splitbed.graphs.parts import Part, StoredModel, extract, store
from splitbed.runtime.session import PartSession
from splitbed.tensors import NUMPY_TYPES, Tensors
from tests.bench.figure import Bar, Figure, median
from tests.bench.models import mobile_chain

_SSD_CUTS = (3, 25, 54, 69)  # after a Relu or a pooling: one tensor crosses, no fusion is cut
_SSD_ROUNDS = 15
_SMALL_CUTS = (8, 20, 32)  # after a Relu
_SMALL_ROUNDS = 50
_SET_UP_CUTS = range(3, 140, 14)


def figures(folder: Path) -> Iterator[Figure]:
    """SSD300, and a chain like MobileNet's; one thread."""
    (ssd_folder := folder / "ssd300").mkdir()
    ssd300 = StoredModel(ssd_folder, load_model(SweepConfig(model="ssd300"), ssd_folder).graph)
    for k in _SSD_CUTS:
        yield _share(ssd300, k)
    yield _set_up(ssd300)
    small = store(load_graph(mobile_chain(folder / "chain.onnx")), folder / "chain")
    for k in _SMALL_CUTS:
        yield _added(small, k)


def _share(stored: StoredModel, k: int) -> Figure:
    whole_s, parts_s = _cpu_s(stored, k, _SSD_ROUNDS)
    return Figure(
        f"SSD300 cut {stored.graph.cuts[k].name}: CPU time of parts / whole, minima",
        min(parts_s) / min(whole_s),
        bar=Bar(most=1.015),
        samples=[parts / whole for parts, whole in zip(parts_s, whole_s, strict=True)],
    )


def _added(stored: StoredModel, k: int) -> Figure:
    whole_s, parts_s = _cpu_s(stored, k, _SMALL_ROUNDS)
    return Figure(
        f"chain of {min(whole_s) * 1e3:.0f} ms cut {stored.graph.cuts[k].name}: "
        "CPU time of parts - whole, minima",
        (min(parts_s) - min(whole_s)) * 1e3,
        "ms",
        Bar(most=0.5),
        [(parts - whole) * 1e3 for parts, whole in zip(parts_s, whole_s, strict=True)],
    )


def _cpu_s(stored: StoredModel, k: int, rounds: int) -> tuple[list[float], list[float]]:
    """CPU seconds of the whole model, and of both parts of the cut at ``k``, taken in turns."""
    inputs = _inputs(stored)
    files = (extract(stored, 0)[1], *extract(stored, k))
    with ExitStack() as stack:
        whole, part1, part2 = (stack.enter_context(_session(part)) for part in files)

        def of_whole() -> float:
            start = time.process_time()
            whole.run(inputs)
            return time.process_time() - start

        def of_parts() -> float:
            start = time.process_time()
            part2.run(part1.run(inputs))
            return time.process_time() - start

        of_whole(), of_parts()  # maps the weights in
        pairs = [(of_whole(), of_parts()) for _ in range(rounds)]
    return [whole_s for whole_s, _ in pairs], [parts_s for _, parts_s in pairs]


def _set_up(stored: StoredModel) -> Figure:
    """Wall time from a stored model to sessions on both parts, dropped before the next cut."""
    cuts = [k for k in _SET_UP_CUTS if stored.graph.cuts[k].crossable]
    milliseconds = []
    for k in cuts:
        start = time.perf_counter()
        sessions = [_session(part) for part in extract(stored, k)]
        milliseconds.append((time.perf_counter() - start) * 1e3)
        for session in sessions:
            session.close()
    what = "SSD300: set-up of a cut (both parts extracted, both sessions open)"
    return median(what, "ms", milliseconds, Bar(most=150))


def _session(part: Part) -> PartSession:
    return PartSession(part.path, part.inputs, part.outputs, part.passthrough, threads=1)


def _inputs(stored: StoredModel) -> Tensors:
    rng = np.random.default_rng(0)
    return {
        info.name: rng.standard_normal(info.shape).astype(NUMPY_TYPES[info.datatype])
        for info in stored.graph.inputs
    }
