"""TFLite files: a stored model, and parts that hold their own weights.

folder/graph.tflite            the model: its shapes found, its tensors' names unique
folder/0-12.part.tflite      a part: a few layers, and the constants that they read
"""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ai_edge_litert import schema_py_generated as schema

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.tflite.file import parse, serialised
from splitbed.graphs.tflite.graph import build_graph
from splitbed.graphs.tflite.outline import settled
from splitbed.graphs.tflite.shapes import fix_inputs, with_shapes
from splitbed.graphs.tflite.tables import Model, changed, has_data

__all__ = [
    "FILES",
    "check",
    "check_received",
    "load_graph",
    "open_stored",
    "settled",
    "store",
    "write_part",
    "write_portable",
]

GRAPH_FILE = "graph.tflite"
FILES: tuple[str, ...] = (GRAPH_FILE,)

_KEPT_METADATA = (b"min_runtime_version", b"reduced_precision_support")  # as true of a part


def load_graph(path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The graph of the TFLite file ``path``, with dynamic inputs fixed to ``shapes``.

    Operators that no output depends on are dropped.  Raises UsageError for a file that
    :func:`splitbed.graphs.tflite_file.parse` or the interpreter refuses, and inputs left dynamic.
    """
    whole = parse(path)
    graph = whole.subgraphs[0]
    model = _subset(whole, graph.inputs, graph.outputs)
    try:
        return build_graph(with_shapes(model, fix_inputs(model, shapes or {})))
    except UsageError as error:
        raise UsageError(f"cannot split {path}: {error}") from error


def store(graph: Graph, folder: Path) -> None:
    """Write ``graph`` as graph.tflite into ``folder``."""
    (folder / GRAPH_FILE).write_bytes(serialised(cast(Model, graph.model)))


def open_stored(folder: Path) -> Graph:
    """The graph that ``store`` wrote into ``folder``; no interpreter looks at it.

    Raises UsageError as ``load_graph``.
    """
    return build_graph(parse(folder / GRAPH_FILE))


def write_part(
    graph: Graph, folder: Path, stem: str, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[Path, int]:
    """Write the layers between ``inputs`` and ``outputs`` as folder/stem.tflite.

    The file, which has no input that nothing reads, and its size in bytes.
    """
    model = cast(Model, graph.model)
    places = {tensor.name.decode(): i for i, tensor in enumerate(model.subgraphs[0].tensors)}
    part = _subset(model, [places[name] for name in inputs], [places[name] for name in outputs])
    subgraph = part.subgraphs[0]
    read = {place for operator in subgraph.operators for place in operator.inputs}
    subgraph.inputs = [place for place in subgraph.inputs if place in read]
    path = folder / f"{stem}.tflite"
    path.write_bytes(serialised(part))
    return path, path.stat().st_size


def write_portable(part: Path, path: Path) -> None:
    """Copy the file ``part``, as it holds its own weights."""
    shutil.copyfile(part, path)


def _subset(model: Model, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
    """The operators that make the tensors at ``outputs`` of those at ``inputs``, renumbered.

    Signatures, and metadata that describe the whole, are left out.
    """
    graph = model.subgraphs[0]
    operators = _needed(graph, set(inputs), outputs)
    tensors = _Kept([*inputs, *outputs, *(i for o in operators for i in _places(o) if i >= 0)])
    codes = _Kept(operator.opcodeIndex for operator in operators)
    metadata = [entry for entry in model.metadata if entry.name in _KEPT_METADATA]
    holders = [*(graph.tensors[place] for place in tensors.old), *metadata]
    buffers = _Kept(h.buffer for h in holders if has_data(model.buffers[h.buffer]))
    subgraph = changed(
        graph,
        inputs=[tensors.new[i] for i in inputs],
        outputs=[tensors.new[i] for i in outputs],
        # the first buffer is empty, by convention, and serves whatever is no constant
        tensors=[
            changed(tensor, buffer=1 + buffers.new.get(tensor.buffer, -1))
            for tensor in (graph.tensors[place] for place in tensors.old)
        ],
        operators=[_renumbered(operator, codes, tensors) for operator in operators],
        debugMetadataIndex=-1,
    )
    return changed(
        model,
        subgraphs=[subgraph],
        operatorCodes=[model.operatorCodes[i] for i in codes.old],
        buffers=[schema.BufferT(), *(model.buffers[i] for i in buffers.old)],
        metadata=[changed(m, buffer=1 + buffers.new.get(m.buffer, -1)) for m in metadata],
        metadataBuffer=None,
        signatureDefs=None,
    )


class _Kept:
    """Places that are kept, in their ``old`` order, and their ``new`` numbers."""

    def __init__(self, places: Iterable[int]) -> None:
        self.old = sorted(set(places))
        self.new = {old: new for new, old in enumerate(self.old)}


def _needed(graph: Any, inputs: set[int], outputs: Sequence[int]) -> list[Any]:
    """The operators that the tensors at ``outputs`` depend on, given those at ``inputs``."""
    needed = set(outputs) - inputs
    operators = []
    for operator in reversed(graph.operators):
        if not needed.isdisjoint(operator.outputs):
            operators.append(operator)
            needed.update(set(operator.inputs) - inputs)
    return operators[::-1]


def _places(operator: Any) -> list[int]:
    return [*operator.inputs, *operator.outputs, *operator.intermediates]


def _renumbered(operator: Any, codes: _Kept, tensors: _Kept) -> Any:
    renumbered = {
        field: [tensors.new.get(place, -1) for place in getattr(operator, field)]
        for field in ("inputs", "outputs", "intermediates")
    }
    index = codes.new[operator.opcodeIndex]
    return changed(operator, opcodeIndex=index, debugMetadataIndex=-1, **renumbered)


def check(path: Path) -> None:
    """Raise UsageError as :func:`splitbed.graphs.tflite.file.parse`."""
    parse(path)


def check_received(path: Path) -> None:
    """Nothing: a TFLite file is read alone."""
    del path
