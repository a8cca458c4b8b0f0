"""Runs ``.tflite`` files with either package that holds TFLite's interpreter.

tflite-runtime    what older devices have; taken where it is installed, as whoever installed it
                  asked for it
ai-edge-litert    its successor, which a plain installation of Splitbed has

By itself either has its delegate XNNPACK take what it can on the CPU, and runs the rest.
"""

import importlib.metadata
import importlib.util
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.runtime.provider import OWN, Provider, Share, chosen
from splitbed.tensors import Tensors
from splitbed.workers.task import is_expendable

_STDERR = 2
_DELEGATE = "DELEGATE"  # what an interpreter lists in place of what one took
_greeted = threading.Event()
XNNPACK, BUILTIN = "xnnpack", "builtin"
PROVIDERS = (XNNPACK, BUILTIN)
"""Its delegate, and its own kernels without one."""
_PACKAGES = {"tflite_runtime": "tflite-runtime", "ai_edge_litert": "ai-edge-litert"}


def package() -> tuple[str, str]:
    """Name and version of the package in use; MachineError where there is none."""
    name = _PACKAGES[_module()]
    return name, importlib.metadata.version(name)


class Details(TypedDict):
    """What an interpreter says of a tensor; ``index`` is its place."""

    name: str
    index: int
    shape: npt.NDArray[np.int32]
    shape_signature: npt.NDArray[np.int32]
    dtype: type[np.generic]


class Interpreter(Protocol):
    """What is used of either package's interpreter."""

    def allocate_tensors(self) -> None:
        """Give every tensor memory, as its shape says."""

    def resize_tensor_input(self, input_index: int, tensor_size: Sequence[int]) -> None:
        """Another shape for an input."""

    def get_input_details(self) -> list[Details]:
        """Of the inputs."""

    def get_output_details(self) -> list[Details]:
        """Of the outputs."""

    def get_tensor_details(self) -> list[Details]:
        """Of all tensors."""

    def set_tensor(self, tensor_index: int, value: npt.NDArray[np.generic]) -> None:
        """Feed an input."""

    def get_tensor(self, tensor_index: int) -> npt.NDArray[Any]:
        """A copy of a tensor."""

    def invoke(self) -> None:
        """Run."""

    def _get_ops_details(self) -> list[dict[str, Any]]:
        """Of the operators, in the order of the file, and of delegates behind them."""


def interpreter_class() -> Callable[..., Interpreter]:
    """TFLite's Interpreter class; MachineError where no package has one that loads."""
    opens: Callable[..., Interpreter] = _interpreter_module().Interpreter
    return opens


def is_older() -> bool:
    """Whether the package in use is tflite-runtime, whose kernels look at less of what they get."""
    return importlib.util.find_spec("tflite_runtime") is not None


def resolver_without_delegates() -> object:
    """TFLite's own kernels in place of XNNPACK's, for ``experimental_op_resolver_type``."""
    return _interpreter_module().OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


class TfliteRunner:
    """One file, ready to run; see :class:`splitbed.runtime.session.Runner`."""

    def __init__(
        self, file: Path, threads: int, model: bytes | None = None, provider: Provider = OWN
    ) -> None:
        """``model`` is what is run in place of the file's content."""
        interpreter = interpreter_class()
        source: dict[str, object] = {"model_path": str(file)}
        if model is not None:
            source = {"model_content": model}
        name = _chosen(provider) if provider.name else ""
        if name == BUILTIN:
            source["experimental_op_resolver_type"] = resolver_without_delegates()
        try:
            with _greeting_left_out():
                self._interpreter = interpreter(**source, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UsageError(f"{package()[0]} cannot run {file}: {_one_line(error)}") from error
        self._places = _places(self._interpreter.get_input_details())
        self._outputs = _places(self._interpreter.get_output_details())
        self._lock = threading.Lock()
        self.inputs = tuple(self._places)
        self.used = _used(self._interpreter)
        if name == XNNPACK and XNNPACK not in {share.provider for share in self.used}:
            raise UsageError(
                f"the delegate {XNNPACK} took no node of {file.name}: {package()[0]} would run all "
                f"of it by its own kernels; leave the provider, or give {BUILTIN}"
            )

    def run(self, fed: Tensors, wanted: Sequence[str]) -> Tensors:
        """Copies of the tensors ``wanted``; NodeError where the interpreter fails."""
        interpreter = self._interpreter
        try:
            with self._lock:  # an interpreter holds one run's tensors at a time
                self._lay_out(fed)
                for name, place in self._places.items():
                    interpreter.set_tensor(place, fed[name])
                interpreter.invoke()
                return {name: interpreter.get_tensor(self._outputs[name]) for name in wanted}
        except (ValueError, RuntimeError) as error:
            raise NodeError(
                f"{package()[0]} failed while running the part: {_one_line(error)}"
            ) from error

    def _lay_out(self, fed: Tensors) -> None:
        """Give tensors memory for what it is fed, where that is not always of one shape."""


class _BatchRunner(TfliteRunner):
    """Laid out anew where there are not as many frames as before."""

    _frames: object = None

    def _lay_out(self, fed: Tensors) -> None:
        if self._frames == (frames := {name: fed[name].shape for name in self._places}):
            return
        self._frames = None  # of neither, where that fails
        for name, place in self._places.items():
            self._interpreter.resize_tensor_input(place, frames[name])
        self._interpreter.allocate_tensors()
        self._frames = frames


def batch_runner(file: Path, threads: int, provider: Provider = OWN) -> TfliteRunner:
    """A file that is fed several frames, one after another on the first axis."""
    from splitbed.graphs.tflite.batch import open_batch  # few nodes need it, and it takes a while

    return _BatchRunner(file, threads, open_batch(file), provider)


def _chosen(provider: Provider) -> str:
    if provider.options:
        raise UsageError(
            f"{package()[0]} takes no options with {provider}: how many threads compute is said by "
            "--ue-threads and --edge-threads"
        )
    return chosen(provider, PROVIDERS, package()[0])


def _used(interpreter: Interpreter) -> tuple[Share, ...]:
    """Which operators a delegate took, and which TFLite's own kernels.

    A delegate is listed beside the operators that it took: these are those between what goes into
    it and what comes out.
    """
    listed = {op["index"]: op for op in interpreter._get_ops_details()}
    makes = {
        int(tensor): index
        for index, op in listed.items()
        if op["op_name"] != _DELEGATE
        for tensor in op["outputs"]
    }
    taken: set[int] = set()
    for one in (op for op in listed.values() if op["op_name"] == _DELEGATE):
        fed, wanted = {*map(int, one["inputs"])}, [*map(int, one["outputs"])]
        while wanted:
            index = makes.get(tensor := wanted.pop())
            if index is not None and tensor not in fed and index not in taken:
                taken.add(index)
                wanted += map(int, listed[index]["inputs"])
    ops = {XNNPACK: list[str](), BUILTIN: list[str]()}
    for index, op in listed.items():
        if op["op_name"] != _DELEGATE:
            ops[XNNPACK if index in taken else BUILTIN].append(op["op_name"])
    return tuple(Share(who, len(of), tuple(sorted({*of}))) for who, of in ops.items() if of)


@contextmanager
def _greeting_left_out() -> Iterator[None]:
    """Keep what LiteRT says of its delegate once per process, for which it has no switch, unsaid.

    It comes from C++ on the process's stderr, so that is led aside meanwhile, once, and what else
    was said is said again.
    """
    if _greeted.is_set() or is_expendable():  # whose words nobody reads
        yield
        return
    _greeted.set()
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    try:
        with tempfile.TemporaryFile() as aside:
            os.dup2(aside.fileno(), _STDERR)
            try:
                yield
            finally:
                os.dup2(kept, _STDERR)
                aside.seek(0)
                for line in aside:
                    if not line.startswith(b"INFO: Created TensorFlow Lite"):
                        os.write(_STDERR, line)
    finally:
        os.close(kept)


def _module() -> str:
    for module in _PACKAGES:
        if importlib.util.find_spec(module):
            return module
    raise MachineError(
        "no package here runs .tflite files: run 'pip install ai-edge-litert',"
        " or 'pip install tflite-runtime==2.14.0 \"numpy<2\"' on a device that has the older one"
    )


def _interpreter_module() -> Any:
    module = _module()
    try:
        return import_module(f"{module}.interpreter")
    except ImportError as error:
        name = _PACKAGES[module]
        raise MachineError(
            f"cannot load {name}: {error}; 'pip install --force-reinstall {name}' repairs it"
        ) from error


def _places(details: Sequence[Any]) -> dict[str, int]:
    return {detail["name"]: detail["index"] for detail in details}


def _one_line(error: Exception) -> str:
    # tflite-runtime tries twice, and glues what it says the second time to the first
    told = re.split(r"\n|(?<=prepare\.)|(?=Node number)", str(error))
    return " ".join(dict.fromkeys(line.strip() for line in told if line))
