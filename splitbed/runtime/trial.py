"""A model file is opened and run where that may end a process, before it is opened here.

    the file ──> worker: checked, opened, run on made-up inputs ──> here: opened, run on frames
                    └─ what is wrong with it, or how the worker died of it, is why it is refused

Whatever opens a file passes here, by :class:`splitbed.runtime.session.PartSession`.
"""

import re
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path

import msgspec

from splitbed.errors import NodeError
from splitbed.graphs.formats import files_of, format_named
from splitbed.runtime import RUNTIMES
from splitbed.runtime.known import Known
from splitbed.tensors import TensorInfo
from splitbed.workers.allowance import Allowance
from splitbed.workers.fork_server import prepare
from splitbed.workers.task import Answer, Ready, is_expendable
from splitbed.workers.worker import Worker

SESSION_BYTES = 2 << 30
"""What a part may take to be opened and run, beside its weights."""
OF_FILE = 4
"""So many times its file it may take for weights: as they came, and as they are laid out to run."""
SECONDS = 120.0
"""Of the processor."""
_NEEDS = {
    "onnx": ("splitbed.graphs.onnx.parts", "splitbed.runtime.onnx"),
    "tflite": ("splitbed.graphs.tflite.parts", "splitbed.runtime.tflite:interpreter_class"),
}
"""What it takes to check and run a file, imported once for all."""
_NO_MEMORY = re.compile(r"alloc|memory", re.IGNORECASE)
"""What runtimes say where they get none."""


@dataclass(frozen=True)
class Asked:
    """A file, and how it is to be run: ``computed`` are the outputs that it makes."""

    path: str
    inputs: tuple[TensorInfo, ...]
    computed: tuple[TensorInfo, ...]
    threads: int
    runtime: str

    @property
    def files(self) -> list[Path]:
        """The file, and what it may refer to."""
        return files_of(Path(self.path), RUNTIMES[self.runtime].format)


class Trial:
    """One that is under way.  Raises MachineError where it cannot be."""

    def __init__(self, asked: Asked, memory_bytes: int = SESSION_BYTES) -> None:
        self._asked = asked
        prepare(__name__, *_NEEDS[RUNTIMES[asked.runtime].format])
        size = sum(path.stat().st_size for path in asked.files)
        allowance = Allowance(memory_bytes + OF_FILE * size, SECONDS)
        self._worker = Worker(f"{__name__}:attempt", asdict(asked), allowance)

    def finish(self) -> None:
        """Wait for its end.

        Raises UsageError for a file that is refused, MachineError where its runtime is not here.
        """
        with self._worker as worker:
            worker.accepted(f"run {Path(self._asked.path).name}")


KNOWN = Known()
"""What passed."""


def tried(asked: Asked) -> None:
    """Return once a file has passed; raises as :meth:`Trial.finish`, where it was not known."""
    if is_expendable() or not asked.files[0].is_file():  # for whoever opens it to say
        return
    key = f"{asked.inputs} {asked.computed} {asked.runtime}"
    if not KNOWN.holds(asked.files, key):
        Trial(asked).finish()
        KNOWN.add(asked.files, key)


def attempt(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Check a file, open it and run it, in a worker."""
    from splitbed.runtime.session import PartSession

    del fed
    ours = msgspec.convert(asked, Asked)
    path, runtime = Path(ours.path), RUNTIMES[ours.runtime]
    runtime.load()
    ready()
    format_named(runtime.format).check(path)
    ends = ours.inputs, ours.computed
    with PartSession(path, *ends, threads=ours.threads, runtime=ours.runtime) as session:
        try:
            session.run(session.made_up())
        except NodeError as error:
            if _NO_MEMORY.search(str(error)):
                raise
            # else what is made up need not make sense to it
    return {}
