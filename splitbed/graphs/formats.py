"""The formats of model files: each has a module that reads, stores and cuts its files.

onnx      :mod:`splitbed.graphs.onnx.parts`, run by ONNX Runtime
tflite    :mod:`splitbed.graphs.tflite.parts`, run by LiteRT or tflite-runtime
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from splitbed.errors import UsageError
from splitbed.graphs.graph import Graph
from splitbed.media.files import opened

FORMATS = ("onnx", "tflite")
"""Names of the formats, which are those of the runtimes and of the files' suffixes, too."""

WEIGHTS_FILE = "weights.bin"
"""Beside the structure of a stored ONNX model, and the parts that are cut of it."""

_TFLITE_MARK = slice(4, 8), b"TFL3"


class Format(Protocol):
    """What the module of a format offers."""

    FILES: tuple[str, ...]
    """What :meth:`store` writes, the structure first."""

    def load_graph(self, path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
        """The graph of a file, dynamic inputs fixed to ``shapes``; UsageError for a bad file."""

    def store(self, graph: Graph, folder: Path) -> None:
        """Write ``graph`` into ``folder``."""

    def open_stored(self, folder: Path) -> Graph:
        """The graph that :meth:`store` wrote, checked as one from outside; UsageError."""

    def write_part(
        self, graph: Graph, folder: Path, stem: str, inputs: Sequence[str], outputs: Sequence[str]
    ) -> tuple[Path, int]:
        """Write the layers between two sets of tensors beside the stored ``graph``.

        The file and its size in bytes as a model file of its own.
        """

    def write_portable(self, part: Path, path: Path) -> None:
        """Write ``part`` as a model file of its own."""

    def check(self, path: Path) -> None:
        """Raise UsageError for a file that its runtime should not be given.

        It may end a process, where code of others reads the file, too.
        """

    def settled(self, path: Path) -> list[tuple[int, int]] | None:
        """Where the values of weights are in a file, from and to, if these decide no size.

        None where they may.
        """

    def check_received(self, path: Path) -> None:
        """Raise UsageError for a file from outside that would have the runtime read others."""


def format_named(name: str) -> Format:
    """The module of the format called ``name``; UsageError for a name that is none."""
    # late, because each reads its files with a package that takes long to import
    match name:
        case "onnx":
            from splitbed.graphs.onnx import parts as onnx_parts

            return onnx_parts
        case "tflite":
            from splitbed.graphs.tflite import parts as tflite_parts

            return tflite_parts
    raise UsageError(f"no format of models is called {name!r}: choose {', '.join(FORMATS)}")


def format_of(path: Path) -> str:
    """Name of the format of the file ``path``: by its mark, else by its suffix, else ONNX."""
    place, mark = _TFLITE_MARK
    try:
        with opened(path) as file:
            if file.read(place.stop)[place] == mark:
                return "tflite"
    except OSError as error:
        raise UsageError(f"cannot read the model {path}: {error.strerror}") from error
    return "tflite" if path.suffix.lower() == ".tflite" else "onnx"


def files_of(path: Path, model_format: str) -> list[Path]:
    """A model file, and what it may refer to."""
    beside = path.with_name(WEIGHTS_FILE)
    return [path, beside] if model_format == "onnx" and beside.is_file() else [path]


def load_graph(path: Path, shapes: Mapping[str, Sequence[int]] | None = None) -> Graph:
    """The graph of the file ``path``, of either format; raises as :meth:`Format.load_graph`."""
    return format_named(format_of(path)).load_graph(path, shapes)
