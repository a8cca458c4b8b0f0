"""Graphs of strangers' files are read elsewhere first, as code of ONNX's reads them, too.

A TFLite file is read by ours, which asks its interpreter elsewhere by itself
(:mod:`splitbed.graphs.tflite.probe`).
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from splitbed.graphs.formats import format_named, format_of, load_graph
from splitbed.graphs.parts import open_stored
from splitbed.workers.allowance import Allowance
from splitbed.workers.task import Answer, Ready, is_expendable
from splitbed.workers.worker import Worker

MEMORY_BYTES = 2 << 30
OF_FILES = 4
"""So many times its files it may take besides."""
SECONDS = 120.0

Shapes = Mapping[str, Sequence[int]]


def check_file(path: Path, shapes: Shapes | None) -> None:
    """Raise UsageError for a file that :func:`splitbed.graphs.formats.load_graph` dies of."""
    if format_of(path) == "onnx":
        # its weights may be in files beside it
        _look("load", {"path": str(path), "shapes": shapes or {}}, path.parent.iterdir())


def check_stored(folder: Path, model_format: str) -> None:
    """Raise UsageError for what :func:`splitbed.graphs.parts.open_stored` dies of."""
    _look("open_", {"path": str(folder), "model_format": model_format}, folder.iterdir())


def load(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Load a graph, in a worker."""
    del fed
    path, shapes = Path(str(asked["path"])), msgspec.convert(asked["shapes"], dict[str, list[int]])
    format_named(format_of(path))
    tempfile.tempdir = str(asked["folder"])  # what it leaves goes with that
    ready()
    load_graph(path, shapes)
    return {}


def open_(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Open a stored model, in a worker."""
    del fed
    folder, model_format = Path(str(asked["path"])), str(asked["model_format"])
    format_named(model_format)
    ready()
    open_stored(folder, model_format)
    return {}


def _look(task: str, asked: Answer, files: Iterable[Path]) -> None:
    if is_expendable():
        return
    size = sum(path.stat().st_size for path in files if path.is_file())
    memory_bytes = MEMORY_BYTES + OF_FILES * size
    allowance = Allowance(memory_bytes, SECONDS, file_bytes=memory_bytes)
    with (
        TemporaryDirectory(prefix="splitbed-") as folder,
        Worker(f"{__name__}:{task}", {**asked, "folder": folder}, allowance) as worker,
    ):
        worker.accepted(f"read {asked['path']}")
