"""Parts: a stored model, and the two halves that a cut makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.graphs.formats import format_named
from splitbed.graphs.graph import Graph
from splitbed.tensors import TensorInfo


@dataclass(frozen=True)
class Part:
    """Some layers of a model, as a rule one half of it.

    ``path`` is its model file, None for one that computes nothing.  ``outputs`` of part 1 are
    ``inputs`` of part 2.  ``passthrough`` names the outputs that are inputs as well and need no
    session.  ``nbytes`` is the size as a model file of its own.
    """

    path: Path | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    passthrough: tuple[str, ...]
    nbytes: int

    def remove(self) -> None:
        """Delete the file, which a session once opened no longer needs: each holds its weights."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class StoredModel:
    """A graph and the folder that holds it."""

    folder: Path
    graph: Graph


def store(graph: Graph, folder: Path) -> StoredModel:
    """Write ``graph`` into ``folder``, which is made if missing, as files of its format."""
    folder.mkdir(parents=True, exist_ok=True)
    format_named(graph.format).store(graph, folder)
    return StoredModel(folder, graph)


def open_stored(folder: Path, model_format: str = "onnx") -> StoredModel:
    """The model that ``store`` wrote into ``folder``, here or on another machine.

    Its graph equals the stored one.  Raises UsageError unless the structure is valid, static and
    refers to nothing outside the format's files.
    """
    return StoredModel(folder, format_named(model_format).open_stored(folder))


def extract(stored: StoredModel, k: int) -> tuple[Part, Part]:
    """Cut ``stored`` at ``k``; the parts' files are written beside it.

    The same stored model gives the same parts on every machine.  ``k`` = 0 and ``k`` = n are
    always possible.  Raises UsageError where the cut is not crossable.
    """
    return extract_part(stored, 0, k), extract_part(stored, k, stored.graph.n)


def extract_part(
    stored: StoredModel,
    first: int,
    last: int,
    outputs: Sequence[int] = (),
    own: StoredModel | None = None,
) -> Part:
    """The layers between two cuts, one of a chain of parts; what is used after it passes through.

    What crosses the first cut goes in, what crosses the last comes out.  Of a head, which ends the
    model, these `outputs` do, by their places among all, and no layer is in it that they do not
    need; what it does not read goes in all the same.  Layers with a model of their `own` are run by
    it.  Raises as `extract`.
    """
    graph = stored.graph
    if not 0 <= first <= last <= graph.n:
        raise UsageError(f"cannot cut at {first} and {last}: the model has {graph.n} layers")
    given, made = _crossing(graph, first), _crossing(graph, last)
    if not outputs:
        return _part(stored, f"{first}-{last}.part", given, made, own)
    if last < graph.n or any(place >= len(made) for place in outputs):
        raise UsageError(
            f"cannot cut a head of the outputs {[*outputs]} of the layers {first} to {last}: the "
            f"model has {graph.n} layers and {len(graph.outputs)} outputs"
        )
    stem = f"{first}-{last}-of-{'+'.join(map(str, outputs))}.part"
    return _part(stored, stem, given, [made[place] for place in outputs], own)


def _crossing(graph: Graph, k: int) -> Sequence[TensorInfo]:
    if k in (0, graph.n):
        return graph.outputs if k else graph.inputs
    if not (cut := graph.cuts[k]).crossable:
        raise UsageError(f"cannot cut at {cut.name}: {cut.obstacle}")
    return cut.tensors


def extract_span(stored: StoredModel, first: int, last: int) -> Part:
    """The layers between two crossable cuts: what they read goes in, what is used later comes out.

    ``first`` < ``last``; two neighbouring cuts give one layer alone.
    """
    graph = stored.graph
    layers = graph.layers[first:last]
    reads = {name for layer in layers for name in layer.inputs}
    writes = {name for layer in layers for name in layer.outputs}
    later = graph.outputs if last == graph.n else graph.cuts[last].tensors
    read = [tensor for tensor in graph.cuts[first].tensors if tensor.name in reads]
    written = [tensor for tensor in later if tensor.name in writes]
    return _part(stored, f"layers-{first}-{last}", read, written)


def write_portable(part: Part, path: Path) -> None:
    """Write ``part`` as one model file of ``part.nbytes`` bytes that holds its own weights."""
    if part.path is None:
        raise UsageError(f"cannot write {path}: this half of the model has no layers")
    format_named(part.path.suffix[1:]).write_portable(part.path, path)


def _part(
    stored: StoredModel,
    stem: str,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    own: StoredModel | None = None,
) -> Part:
    fed = [tensor.name for tensor in inputs]
    passthrough = tuple(tensor.name for tensor in outputs if tensor.name in fed)
    computed = [tensor.name for tensor in outputs if tensor.name not in fed]
    path, nbytes = None, 0
    if own is not None:
        whole = extract_part(own, 0, own.graph.n)
        path, nbytes = whole.path, whole.nbytes
    elif computed:
        write = format_named(stored.graph.format).write_part
        path, nbytes = write(stored.graph, stored.folder, stem, fed, computed)
    return Part(path, tuple(inputs), tuple(outputs), passthrough, nbytes)
