"""Parts: a stored model, and the two halves that a cut makes of it.

folder/graph.onnx           the structure, every shape in it
folder/weights.bin          the weights, once
folder/12-131.part1.onnx    a part: a few layers that refer into weights.bin
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx.utils import Extractor

from splitbed.errors import UsageError
from splitbed.graphs import weights as weights_file
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx_graph import build_graph, parse
from splitbed.tensors import TensorInfo

GRAPH_FILE = "graph.onnx"


@dataclass(frozen=True)
class Part:
    """One half of a model cut at ``k``.

    ``path`` is its model file, None for a half that computes nothing.  ``outputs`` of part 1 are
    ``inputs`` of part 2.  ``passthrough`` names the outputs that are inputs as well and need no
    session.  ``nbytes`` is the size of the half as a model file of its own.
    """

    path: Path | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    passthrough: tuple[str, ...]
    nbytes: int


@dataclass(frozen=True)
class StoredModel:
    """A graph and the folder that holds it."""

    folder: Path
    graph: Graph


def store(graph: Graph, folder: Path) -> StoredModel:
    """Write ``graph`` as graph.onnx and weights.bin into ``folder``, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / GRAPH_FILE).write_bytes(_serialised(graph.model))
    weights_file.write(graph.weights, folder / weights_file.FILE)
    return StoredModel(folder, graph)


def open_stored(folder: Path) -> StoredModel:
    """The model that ``store`` wrote into ``folder``, here or on another machine.

    Its graph equals the stored one.  Raises UsageError unless the structure is valid, static and
    refers to nothing but weights.bin, within its size.
    """
    model = parse(folder / GRAPH_FILE)
    weights_file.check(model, folder / weights_file.FILE)
    return StoredModel(folder, build_graph(model, {}))


def extract(stored: StoredModel, k: int) -> tuple[Part, Part]:
    """Cut ``stored`` at ``k``; the parts' files are written beside weights.bin.

    The same stored model gives the same parts on every machine.  ``k`` = 0 and ``k`` = n are
    always possible.  Raises UsageError where the cut is not crossable.
    """
    graph = stored.graph
    if not 0 <= k <= graph.n:
        raise UsageError(f"Cannot cut at {k}: the model has {graph.n} layers.")
    cut = graph.cuts[k]
    if 0 < k < graph.n and not cut.crossable:
        raise UsageError(f"Cannot cut at {cut.name}: {cut.obstacle}.")
    crossing = graph.outputs if k == graph.n else cut.tensors
    stem = f"{k}-{graph.n - k}"
    return (
        _part(stored, f"{stem}.part1.onnx", graph.inputs, crossing),
        _part(stored, f"{stem}.part2.onnx", crossing, graph.outputs),
    )


def write_portable(part: Part, path: Path) -> None:
    """Write ``part`` as one model file of ``part.nbytes`` bytes that holds its own weights."""
    if part.path is None:
        raise UsageError(f"Cannot write {path}: this half of the model has no layers.")
    if part.nbytes > weights_file.MODEL_LIMIT_BYTES:
        raise UsageError(f"Cannot write {path}: {part.nbytes} bytes are over ONNX's limit of 2 GB.")
    model = parse(part.path)
    weights_file.embed(model, part.path.with_name(weights_file.FILE))
    path.write_bytes(_serialised(model))


def _part(
    stored: StoredModel, name: str, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
) -> Part:
    fed = [tensor.name for tensor in inputs]
    passthrough = tuple(tensor.name for tensor in outputs if tensor.name in fed)
    computed = [tensor.name for tensor in outputs if tensor.name not in fed]
    if not computed:
        return Part(None, tuple(inputs), tuple(outputs), passthrough, 0)
    model = Extractor(stored.graph.model).extract_model(fed, computed)
    read = {name for node in model.graph.node for name in node.input}
    unread = [index for index, info in enumerate(model.graph.input) if info.name not in read]
    for index in reversed(unread):
        del model.graph.input[index]
    path = stored.folder / name
    path.write_bytes(_serialised(model))
    return Part(
        path, tuple(inputs), tuple(outputs), passthrough, weights_file.embedded_bytes(model)
    )


def _serialised(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)
