"""The runtimes, by name: each runs model files of one format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from splitbed.errors import UsageError
from splitbed.extensions import Extensible
from splitbed.runtime.provider import OWN, Provider, chosen
from splitbed.tensors import Tensors


class Runner(Protocol):
    """What runs one model file.

    It may have ``used``, a sequence of :class:`splitbed.runtime.provider.Share`: who took how many
    nodes of the file's graph.
    """

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
    ``providers`` are those that can be chosen, ``on`` gives the same on one of them; both None
    where a runtime has no choice.
    """

    format: str
    load: Callable[[], Opens]
    load_batch: Callable[[], Opens] | None = None
    providers: Callable[[], Sequence[str]] | None = None
    on: "Callable[[Provider], Runtime] | None" = None


def _onnx(provider: Provider = OWN) -> Opens:
    from splitbed.runtime.onnx import OnnxRunner

    return partial(OnnxRunner, provider=provider)


def _onnx_batch(provider: Provider = OWN) -> Opens:
    from splitbed.runtime.onnx import batch_runner

    return partial(batch_runner, provider=provider)


def _onnx_providers() -> Sequence[str]:
    from splitbed.runtime.onnx import providers

    return providers()


def _onnx_on(provider: Provider) -> Runtime:
    return Runtime("onnx", partial(_onnx, provider), partial(_onnx_batch, provider))


def _tflite(provider: Provider = OWN) -> Opens:
    from splitbed.runtime.tflite import TfliteRunner, interpreter_class

    interpreter_class()
    return partial(TfliteRunner, provider=provider)


def _tflite_batch(provider: Provider = OWN) -> Opens:
    from splitbed.runtime.tflite import batch_runner, interpreter_class

    interpreter_class()
    return partial(batch_runner, provider=provider)


def _tflite_providers() -> Sequence[str]:
    from splitbed.runtime.tflite import PROVIDERS

    return PROVIDERS


def _tflite_on(provider: Provider) -> Runtime:
    return Runtime("tflite", partial(_tflite, provider), partial(_tflite_batch, provider))


RUNTIMES: Extensible[Runtime] = Extensible(
    "splitbed.runtimes",
    "runtime",
    {
        "onnx": Runtime("onnx", _onnx, _onnx_batch, _onnx_providers, _onnx_on),
        "tflite": Runtime("tflite", _tflite, _tflite_batch, _tflite_providers, _tflite_on),
    },
    kind="Runtime of splitbed.runtime",
    needs=("format", "load"),
)
"""Of installed packages, too; a node must have the one that it is told to use."""


def runtime_on(name: str, provider: Provider) -> Runtime:
    """The runtime of that name, on a provider; UsageError where it has no such provider here."""
    runtime = RUNTIMES.named(name)
    if not provider.name:
        return runtime
    if runtime.on is None or runtime.providers is None:
        raise UsageError(f"the runtime {name} has no providers to choose: leave {provider.name!r}")
    chosen(provider, runtime.providers(), name)
    return runtime.on(provider)


def check_provider(provider: Provider) -> None:
    """Raise UsageError for a provider that no runtime here has, with those that there are."""
    there = [runtime.providers() for runtime in RUNTIMES.own.values() if runtime.providers]
    if provider.name:
        chosen(provider, [name for names in there for name in names], "no runtime")
