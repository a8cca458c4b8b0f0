"""Asks TFLite's interpreter for the shapes of a model, in a process of its own.

A damaged file can crash the interpreter, which checks little of what its kernels read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from splitbed.errors import NodeError, UsageError
from splitbed.runtime.tflite import Interpreter, interpreter_class, resolver_without_delegates
from splitbed.workers.allowance import Allowance
from splitbed.workers.task import Answer, Ready
from splitbed.workers.worker import Died, Worker

Shape = tuple[int, ...]

NEVER_SET = (0,)
"""The shape, in a model to ask about, of whatever its operators write: it stays where they set
none before they run."""


@dataclass(frozen=True)
class Shapes:
    """Shapes by the tensors' places: as ``allocated``, and after each of the ``runs``.

    Tensors of a type that numpy lacks are left out.  There are runs, on zeros, ones and noise, only
    if a shape was never set when memory was allocated.  One that fails is left out, as made-up
    input need not make sense to the model.
    """

    allocated: Mapping[int, Shape]
    runs: Sequence[Mapping[int, Shape]]


def ask(content: bytes | memoryview, inputs: Mapping[int, Shape], written: Sequence[int]) -> Shapes:
    """The shapes in the model of file ``content``, its ``inputs`` resized.

    ``written`` are the places of what operators write.  Raises UsageError where the interpreter
    refuses the model, crashes or does not end, MachineError where there is none.
    """
    question = {"inputs": [[*one] for one in inputs.items()], "written": [*written]}
    allowance = Allowance.of_files(len(content))
    with Worker(f"{__name__}:tell", question, allowance) as worker:
        worker.feed(content)
        try:
            answer = msgspec.convert(worker.answer(), _Told, str_keys=True)
        except Died as died:
            raise UsageError(
                f"TFLite crashes on it ({died}): it is damaged; get the file again"
            ) from None
        except NodeError as error:
            raise UsageError(f"TFLite cannot run it: {error}") from None
    return Shapes(_tuples(answer.allocated), [_tuples(run) for run in answer.runs])


@dataclass(frozen=True)
class _Told:
    allocated: dict[int, list[int]]
    runs: list[dict[int, list[int]]]


def tell(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """The shapes in the model that it is fed, in a worker."""
    interpreter_class()
    content = fed.read()
    ready()
    inputs = msgspec.convert(asked["inputs"], list[tuple[int, list[int]]])
    written = msgspec.convert(asked["written"], list[int])
    try:
        return _answer(content, inputs, written)
    except (ValueError, RuntimeError) as error:
        raise NodeError(" ".join(str(error).split())) from None


def _answer(
    content: bytes, inputs: Sequence[tuple[int, Sequence[int]]], written: Sequence[int]
) -> dict[str, Any]:
    interpreter = interpreter_class()(
        model_content=content,
        experimental_op_resolver_type=resolver_without_delegates(),
        num_threads=1,
    )
    for place, shape in inputs:
        interpreter.resize_tensor_input(place, shape)
    interpreter.allocate_tensors()
    allocated = _shapes(interpreter)
    runs = []
    if any(tuple(allocated.get(place, ())) == NEVER_SET for place in written):
        noise = np.random.default_rng(0)
        for fill in (0, 1, None):
            for detail in interpreter.get_input_details():
                made_up = _made_up(detail["shape"], detail["dtype"], fill, noise)
                interpreter.set_tensor(detail["index"], made_up)
            try:
                interpreter.invoke()
            except (ValueError, RuntimeError):
                continue
            runs.append(_shapes(interpreter))
    return {"allocated": allocated, "runs": runs}


def _shapes(interpreter: Interpreter) -> dict[int, list[int]]:
    return {d["index"]: d["shape"].tolist() for d in interpreter.get_tensor_details()}


def _made_up(
    shape: npt.NDArray[np.int32], dtype: npt.DTypeLike, fill: int | None, noise: np.random.Generator
) -> npt.NDArray[np.generic]:
    if fill is None and np.dtype(dtype).kind == "f":
        return noise.standard_normal(shape).astype(dtype)
    return np.full(shape, 1 if fill is None else fill, dtype)


def _tuples(shapes: Mapping[int, Sequence[int]]) -> dict[int, Shape]:
    return {place: tuple(shape) for place, shape in shapes.items()}
