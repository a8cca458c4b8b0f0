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


@dataclass(frozen=True)
class Runtime:
    """Runs files of ``format``, one of :data:`splitbed.graphs.formats.FORMATS`.

    ``load`` imports what it needs, which takes long, and gives what opens a FILE to compute with
    so many threads; that raises UsageError for a file it refuses. ``load`` raises MachineError
    where something is not installed.
    """

    format: str
    load: Callable[[], Callable[[Path, int], Runner]]


def _onnx() -> Callable[[Path, int], Runner]:
    from splitbed.runtime.onnx import OnnxRunner

    return OnnxRunner


def _tflite() -> Callable[[Path, int], Runner]:
    from splitbed.runtime.tflite import TfliteRunner, interpreter_class

    interpreter_class()
    return TfliteRunner


RUNTIMES: Extensible[Runtime] = Extensible(
    "splitbed.runtimes",
    "runtime",
    {"onnx": Runtime("onnx", _onnx), "tflite": Runtime("tflite", _tflite)},
    kind="Runtime of splitbed.runtime",
    needs=("format", "load"),
)
"""Of installed packages, too; a node must have the one that it is told to use."""
