"""Graphs of strangers' files are read elsewhere first, as code of ONNX's reads them, too."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from splitbed.errors import UsageError
from splitbed.graphs.formats import format_named, format_of, load_graph
from splitbed.graphs.parts import open_stored
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import prepare
from splitbed.workers.task import Answer, Ready, is_expendable
from splitbed.workers.worker import Worker

Shapes = Mapping[str, Sequence[int]]


def check_file(path: Path, shapes: Shapes | None) -> None:
    """Raise UsageError for a file that :func:`splitbed.graphs.formats.load_graph` dies of.

    Of a TFLite file it does not: that has its interpreter asked elsewhere by itself
    (:mod:`splitbed.graphs.tflite.probe`).
    """
    if format_of(path) == "onnx":
        prepare("splitbed.graphs.onnx.parts")
        # its weights may be in files beside it
        _look("load", {"path": str(path), "shapes": shapes or {}}, path.parent)


def check_stored(folder: Path, model_format: str) -> None:
    """Raise UsageError for what :func:`splitbed.graphs.parts.open_stored` dies of."""
    _look("open_", {"path": str(folder), "model_format": model_format}, folder)


def load(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Load a graph, in a worker."""
    del fed
    path, shapes = Path(str(asked["path"])), msgspec.convert(asked["shapes"], dict[str, list[int]])
    format_named("onnx")
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


def _look(task: str, asked: Answer, folder: Path) -> None:
    if is_expendable():
        return
    allowance = Allowance.of_files(_size(folder))
    allowance = replace(allowance, file_bytes=allowance.memory_bytes)
    with (
        TemporaryDirectory(prefix="splitbed-") as own,
        Worker(f"{__name__}:{task}", {**asked, "folder": own}, allowance) as worker,
    ):
        worker.accepted(f"read {asked['path']}")


def _size(folder: Path) -> int:
    """Of all files in it."""
    size = 0
    try:
        for path in folder.iterdir():
            with suppress(OSError):  # it has gone meanwhile
                size += path.stat().st_size if path.is_file() else 0
    except OSError as error:
        raise UsageError(f"cannot list the folder {folder}: {error.strerror}") from error
    return size
