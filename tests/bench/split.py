"""What a split costs where it computes: CPU time of its parts, and the set-up of a cut."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from orchestrator.ask.sweep.config import SweepConfig, sweep_config
from orchestrator.testbed.model import load_model
from splitbed.graphs.parts import Part, StoredModel, extract
from splitbed.runtime.memory import keep_freed_memory
from splitbed.runtime.session import PartSession
from splitbed.tensors import NUMPY_TYPES, Tensors
from tests.bench.figure import Bar, Figure, median

_SSD_CUTS = (3, 25, 54, 69)  # after a Relu or a pooling: one tensor crosses, no fusion is cut
_SSD_ROUNDS = 15
_POSENET_ROUNDS = 30
_SET_UP_CUTS = range(3, 140, 14)


def figures(folder: Path) -> Iterator[Figure]:
    """SSD300, and PoseNet on either runtime; one thread, and memory kept as nodes keep it."""
    keep_freed_memory()
    (ssd_folder := folder / "ssd300").mkdir()
    ssd300 = load_model(SweepConfig(model="ssd300"), ssd_folder).stored
    for k in _SSD_CUTS:
        yield _share(ssd300, k)
    yield _set_up(ssd300)
    for runtime in ("tflite", "onnx"):
        (posenet_folder := folder / runtime).mkdir()
        config = sweep_config({"model": "posenet", "runtime": runtime})
        posenet = load_model(config, posenet_folder).stored
        yield _cutting(posenet)
        yield _added(posenet)


def _share(stored: StoredModel, k: int) -> Figure:
    whole_s, parts_s = _cpu_s(stored, k, _SSD_ROUNDS)
    return Figure(
        f"SSD300 cut {stored.graph.cuts[k].name}: CPU time of parts / whole, minima",
        min(parts_s) / min(whole_s),
        bar=Bar(most=1.015),
        samples=[parts / whole for parts, whole in zip(parts_s, whole_s, strict=True)],
    )


def _cutting(stored: StoredModel) -> Figure:
    """Wall time of making both parts' files."""
    milliseconds = []
    for k in range(1, stored.graph.n):
        start = time.perf_counter()
        extract(stored, k)
        milliseconds.append((time.perf_counter() - start) * 1e3)
    what = f"PoseNet, {stored.graph.format}: cutting it in two, every cut"
    return median(what, "ms", milliseconds, Bar(most=100))


def _added(stored: StoredModel) -> Figure:
    """The worst of all cuts, so that one lucky cut cannot speak for the others."""
    added_ms = []
    for k in range(1, stored.graph.n):
        whole_s, parts_s = _cpu_s(stored, k, _POSENET_ROUNDS)
        added_ms.append((min(parts_s) - min(whole_s)) * 1e3)
    worst = 1 + added_ms.index(max(added_ms))
    return Figure(
        f"PoseNet, {stored.graph.format}: CPU time of parts - whole, minima, worst of all cuts "
        f"({stored.graph.cuts[worst].name})",
        max(added_ms),
        "ms",
        Bar(most=0.5),
        added_ms,
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
