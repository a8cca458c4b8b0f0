"""The runtimes, by name: each runs model files of one format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from splitbed.extensions import Extensible
from splitbed.tensors import Tensors


class Runner(Protocol):
    """What runs one model file."""

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the tensors that the file is fed."""

    def run(self, fed: Tensors, wanted: Sequence[str]) -> Tensors:
        """The outputs ``wanted``, in memory of their own; NodeError where the runtime fails."""


Opens = Callable[[Path, int], Runner]
"""Opens a file, to compute with so many threads."""


@dataclass(frozen=True)
class Runtime:
    """Runs files of ``format``, one of :data:`splitbed.graphs.formats.FORMATS`.

    ``load`` imports what it needs, which takes long, and gives what opens a FILE to compute with
    so many threads; that raises UsageError for a file it refuses. ``load`` raises MachineError
    where something is not installed. ``load_batch`` gives what opens it to compute on the tensors
    of several frames, one after another on their first axes; None where the runtime cannot.
    """

    format: str
    load: Callable[[], Opens]
    load_batch: Callable[[], Opens] | None = None


def _onnx() -> Opens:
    from splitbed.runtime.onnx import OnnxRunner

    return OnnxRunner


def _onnx_batch() -> Opens:
    from splitbed.runtime.onnx import batch_runner

    return batch_runner


def _tflite() -> Opens:
    from splitbed.runtime.tflite import TfliteRunner, interpreter_class

    interpreter_class()
    return TfliteRunner


def _tflite_batch() -> Opens:
    from splitbed.runtime.tflite import batch_runner, interpreter_class

    interpreter_class()
    return batch_runner


RUNTIMES: Extensible[Runtime] = Extensible(
    "splitbed.runtimes",
    "runtime",
    {
        "onnx": Runtime("onnx", _onnx, _onnx_batch),
        "tflite": Runtime("tflite", _tflite, _tflite_batch),
    },
    kind="Runtime of splitbed.runtime",
    needs=("format", "load"),
)
"""Of installed packages, too; a node must have the one that it is told to use."""
