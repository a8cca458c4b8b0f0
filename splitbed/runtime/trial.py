"""A model file is opened and run where that may end a process, before it is opened here.

    the file ──> worker: checked, opened, run on made-up inputs ──> here: opened, run on frames
                    └─ what is wrong with it, or how the worker died of it, is why it is refused

It is opened on the provider that it will be run on, and held against the runtime by itself.

Whatever opens a file passes here, by :class:`splitbed.runtime.session.PartSession`.
"""

import math
import re
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from splitbed.errors import NodeError
from splitbed.graphs.formats import files_of, format_named
from splitbed.runtime import RUNTIMES, runtime_on
from splitbed.runtime.known import Known
from splitbed.runtime.provider import OWN, Provider, check_agrees
from splitbed.tensors import TensorInfo
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import prepare
from splitbed.workers.task import Answer, Ready, is_expendable
from splitbed.workers.worker import Worker

if TYPE_CHECKING:
    from splitbed.runtime.session import PartSession

_SESSION = "splitbed.runtime.session"
_NEEDS = {
    "onnx": (_SESSION, "splitbed.graphs.onnx.parts", "splitbed.runtime.onnx"),
    "tflite": (
        _SESSION, "splitbed.graphs.tflite.parts", "splitbed.runtime.tflite:interpreter_class"
    ),
}  # fmt: skip
"""What it takes to check and run a file, imported once for all."""
_NO_MEMORY = re.compile(r"alloc|memory", re.IGNORECASE)
"""What runtimes say where they get none."""


@dataclass(frozen=True)
class Asked:
    """A file, and how it is to be run: ``computed`` are the outputs that it makes.

    ``early`` says that its weights are still to come, ``together`` on how many frames at once it is
    to be run, too.
    """

    path: str
    inputs: tuple[TensorInfo, ...]
    computed: tuple[TensorInfo, ...]
    threads: int
    runtime: str
    early: bool = False
    together: int = 1
    provider: Provider = OWN

    @property
    def files(self) -> list[Path]:
        """The file, and what it may refer to."""
        return files_of(Path(self.path), RUNTIMES[self.runtime].format)

    @property
    def run(self) -> str:
        """How it is run, for whoever asks whether it was tried so."""
        return f"{self.inputs} {self.computed} {self.runtime} {self.together} {self.provider!r}"


class Trial:
    """One that is under way; leaving it ends it.  Raises MachineError where it cannot be."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        expect(asked.runtime)
        size = sum(path.stat().st_size for path in asked.files)
        allowance = Allowance.of_files(size, threads=asked.threads)
        self._worker = Worker(f"{__name__}:attempt", asdict(asked), allowance)

    def finish(self) -> list[tuple[int, int]] | None:
        """Wait for its end; of an early one what its format's module says of what is settled.

        Raises UsageError for a file that is refused, MachineError where its runtime is not here.
        """
        return msgspec.convert(self._answer["settled"], list[tuple[int, int]] | None)

    def off(self) -> float | None:
        """Wait for its end; how far frames together were off, or one on a provider.

        None of neither, or where what was made up means nothing. Raises as :meth:`finish`.
        """
        return msgspec.convert(self._answer["off"], float | None)

    @property
    def _answer(self) -> Answer:
        return self._worker.accepted(f"run {Path(self._asked.path).name}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._worker.close()


KNOWN = Known()
"""What passed."""


def expect(runtime: str) -> None:
    """Have what a trial needs imported before it is needed; nobody waits for that."""
    prepare(__name__, *_NEEDS[RUNTIMES[runtime].format])


def tried(asked: Asked) -> float | None:
    """Return once a file has passed; raises as :meth:`Trial.off`, where it was not known.

    How far it is off on its provider, or of so many frames together as BatchSession.prove says.
    """
    if is_expendable() or not asked.files[0].is_file():  # for whoever opens it to say
        return None
    if (off := KNOWN.off(asked.files, asked.run)) is None:
        with Trial(asked) as trial:
            off = math.nan if (told := trial.off()) is None else told
        KNOWN.add(asked.files, asked.run, off)
    return None if math.isnan(off) else off


def tried_together(asked: Asked) -> float:
    """How far it is off on so many frames together, as BatchSession.prove; raises as that."""
    return tried(asked) or 0.0


def attempt(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Check a file, open it and run it, in a worker."""
    from splitbed.runtime.session import PartSession

    del fed
    ours = msgspec.convert(asked, Asked)
    path, runtime = Path(ours.path), runtime_on(ours.runtime, ours.provider)
    runtime.load()
    ready()
    form = format_named(runtime.format)
    form.check(path)
    settled = form.settled(path) if ours.early else None
    if ours.early and settled is None:
        return {"settled": None, "off": None}
    ends = ours.inputs, ours.computed
    session = PartSession(path, *ends, (), ours.threads, ours.runtime, ours.provider)
    if ours.together > 1:
        from splitbed.runtime.batch import BatchSession

        off = BatchSession(session, path, ours.runtime).prove(ours.together)
        return {"settled": settled, "off": off}
    return {"settled": settled, "off": _run(ours, session)}


def _run(asked: Asked, session: "PartSession") -> float | None:
    """How far it is off on its provider; None of none, and where what is made up means nothing."""
    from splitbed.runtime.session import PartSession

    try:
        made = session.run(fed := session.made_up())
        if not asked.provider.name:
            return None
        session.close()  # or memory would have both
        ends = asked.inputs, asked.computed
        with PartSession(Path(asked.path), *ends, (), asked.threads, asked.runtime) as own:
            return check_agrees(asked.provider, made, own.run(fed))
    except NodeError as error:
        if _NO_MEMORY.search(str(error)):
            raise
        return None  # what is made up need not make sense to it
