"""ONNX files: a stored model, and parts that share its weights.

folder/graph.onnx           the structure, every shape in it
folder/weights.bin          the weights, once
folder/0-12.part.onnx    a part: a few layers that refer into weights.bin
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import onnx
from onnx.utils import Extractor

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.graphs.onnx import shapes, trial
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.graph import (
    OnnxModel,
    build_graph,
    is_valid,
    load_graph,
    parse,
    parse_outline,
)
from splitbed.graphs.onnx.normal import refuse_unsupported
from splitbed.graphs.onnx.outline import raw_data

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

GRAPH_FILE = "graph.onnx"
FILES: tuple[str, ...] = (GRAPH_FILE, weights_file.FILE)


def store(graph: Graph, folder: Path) -> None:
    """Write ``graph`` as graph.onnx and weights.bin into ``folder``."""
    model = cast(OnnxModel, graph.model)
    (folder / GRAPH_FILE).write_bytes(_serialised(model.structure))
    weights_file.write(model.weights, folder / weights_file.FILE)


def open_stored(folder: Path) -> Graph:
    """The graph that ``store`` wrote into ``folder``.

    Raises UsageError unless the structure is valid, static, without control flow and refers to
    nothing but weights.bin, within its size.
    """
    structure = parse(folder / GRAPH_FILE)
    refuse_unsupported(structure)
    weights_file.check(structure, folder / weights_file.FILE)
    if not is_valid(structure):
        trial.open_file(folder / GRAPH_FILE, structure)
    return build_graph(OnnxModel(structure, {}))


def write_part(
    graph: Graph, folder: Path, stem: str, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[Path, int]:
    """Write the layers between ``inputs`` and ``outputs`` as folder/stem.onnx beside weights.bin.

    The file, and its size in bytes with its weights in it.
    """
    model = cast(OnnxModel, graph.model)
    part = Extractor(model.structure).extract_model(list(inputs), list(outputs))
    read = {name for node in part.graph.node for name in node.input}
    unread = [index for index, info in enumerate(part.graph.input) if info.name not in read]
    for index in reversed(unread):
        del part.graph.input[index]
    path = folder / f"{stem}.onnx"
    path.write_bytes(_serialised(part))
    return path, weights_file.embedded_bytes(part)


def write_portable(part: Path, path: Path) -> None:
    """Write the file ``part`` with its weights in it; UsageError above ONNX's limit of 2 GB."""
    model = parse(part)
    nbytes = weights_file.embedded_bytes(model)
    if nbytes > weights_file.MODEL_LIMIT_BYTES:
        raise UsageError(f"cannot write {path}: {nbytes} bytes are over ONNX's limit of 2 GB")
    weights_file.embed(model, part.with_name(weights_file.FILE))
    path.write_bytes(_serialised(model))


def check(path: Path) -> None:
    """Raise UsageError for a file with damaged constants, references or shapes, or control flow."""
    model = parse_outline(path)
    refuse_unsupported(model)
    weights_file.check(model, path.with_name(weights_file.FILE))
    weights_file.check_sizes(model)
    shapes.check(model)


def settled(path: Path) -> list[tuple[int, int]] | None:
    """Where the values of weights are, integers of 64 bits and scalars not among them.

    None where one of these may decide a size, or another is too long to be read here.
    """
    model = parse_outline(path)
    weights = {t.name for t in model.graph.initializer if _is_weight(t)}
    others = (t for t in model.graph.initializer if not _is_weight(t))
    if not all(map(weights_file.is_whole, others)) or shapes.decided_by(model.graph, weights):
        return None
    try:
        every = zip(model.graph.initializer, raw_data(path), strict=True)
        return [place for tensor, places in every if _is_weight(tensor) for place in places]
    except ValueError:  # nothing that a protobuf library writes
        return None


def check_received(path: Path) -> None:
    """Raise UsageError for a file from outside that would have the runtime read others."""
    model = parse_outline(path)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise UsageError(f"weight {tensor.name!r} of a part that came lies in another file")
    weights_file.refuse_external(model)


def _is_weight(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.dims) and tensor.data_type != onnx.TensorProto.INT64


def _serialised(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)
