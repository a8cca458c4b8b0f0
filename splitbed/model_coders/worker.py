"""A decoder in a process of its own, which may take so much memory and time and no more.

    the node ──bitstream──> worker ──> FILE.coming ──whole and checked──> FILE

Until the last step a model that was at FILE stays there.
"""

import shutil
import time
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from splitbed.errors import MachineError, NodeError, SplitbedError
from splitbed.workers.allowance import DECODER_BYTES, OF_BASE, Allowance, peak_bytes
from splitbed.workers.task import Answer, Ready
from splitbed.workers.worker import Died, Worker

SECONDS = 600
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Decoded:
    """A model file that came: the digest of its state, sha256 and size of the file, and the work.

    ``peak_bytes`` is the most memory that the worker had; ``decode_ms`` how long it was at work,
    which may have been while the rest was on its way.
    """

    digest: str
    sha256: str
    file_bytes: int
    peak_bytes: int
    decode_ms: float


class DecodingWorker:
    """Decodes a bitstream into the model file ``path``, as it comes.

    The worker may take ``memory_bytes`` of its own and ``seconds`` of the processor; the model file
    ``most_bytes``, and no more than what memory is free here to open it, and what the disk has.

    With ``update_of``, a model file, what comes is an update of that, which takes more memory the
    larger the file is.  With ``beside``, another, what has tensors of it may come without these.
    With ``kind``, a class of :mod:`splitbed.model_coders.published`, that decodes, in what memory
    is free here: it has all of the model at once.

    Once entered it is ready to read: what it imports takes some tenths of a second, and so does a
    base to be hashed.  Raises MachineError where it cannot be started.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_bytes: int = DECODER_BYTES,
        seconds: float = SECONDS,
        most_bytes: int | None = None,
        update_of: Path | None = None,
        beside: Path | None = None,
        kind: str = "",
    ) -> None:
        self.have: tuple[bytes, ...] = ()
        """Hashes of the tensors of ``beside``, once entered."""
        self._path = path
        self._coming = path.with_name(f"{path.name}.coming")
        self._outline = path.with_name(f"{path.name}.outline")
        self.outline = update_of or self._outline
        """A model file in place of what comes, once its weights are all that is to come: these are
        zero, or, of an update, those before it."""
        free = psutil.virtual_memory().available
        room = min(free, shutil.disk_usage(path.parent).free)
        most_bytes = room if most_bytes is None else min(most_bytes, room)
        if update_of is not None:
            memory_bytes += OF_BASE * update_of.stat().st_size
        files = str(self._coming), str(self._outline), _name(update_of), _name(beside)
        if kind:
            memory_bytes = free
        asked = _Asked(most_bytes, *files, kind)
        allowance = Allowance(memory_bytes, seconds, most_bytes)
        self._worker = Worker(f"{__name__}:decode", vars(asked), allowance)

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._worker.pid

    def feed(self, chunk: bytes) -> None:
        """Hand it some bytes of the bitstream; waits while it is behind.

        Raises:
            NodeError: it refused the bitstream, or ended at one of its limits; the reason is in it.
        """
        if not self._worker.feed(chunk):
            self._answer()
            raise NodeError("the decoder ended before the bitstream did")

    def finish(self) -> Decoded:
        """The model file, which now is at ``path``; raises as :meth:`feed` does."""
        decoded = msgspec.convert(self._answer(), Decoded)
        self._coming.replace(self._path)
        return decoded

    def kill(self) -> None:
        """End it, from any thread; whoever feeds it is told."""
        self._worker.kill()

    def close(self) -> None:
        """End it, if it has not; what came is forgotten."""
        self._worker.close()
        for file in (self._coming, self._outline, *_of_class(self._coming).values()):
            file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        try:
            ready = msgspec.convert(self._worker.ready(), _Ready)
        except (Died, SplitbedError) as error:
            self.close()
            raise MachineError(f"a decoder ended at its start ({error})") from None
        self.have = tuple(map(bytes.fromhex, ready.have))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> Answer:
        try:
            return self._worker.answer()
        except Died as died:
            raise NodeError(f"the decoder died of the bitstream ({died})") from None
        except SplitbedError as error:
            raise NodeError(str(error)) from None


@dataclass(frozen=True)
class _Asked:
    most_bytes: int
    path: str
    outline: str
    update_of: str | None
    beside: str | None
    kind: str = ""


@dataclass(frozen=True)
class _Ready:
    have: list[str]


def _of_class(coming: Path) -> dict[str, Path]:
    """What a class reads, and what it may write: ``bit`` and ``dec``, beside the model file."""
    return {which: coming.with_name(f"{coming.name}.{which}") for which in ("bit", "dec")}


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)


def decode(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Decode what it is fed into a file, in a worker; what was decoded."""
    from splitbed.model_coders import coder_named
    from splitbed.model_coders.increments import Refining
    from splitbed.model_coders.published import Carried
    from splitbed.model_coders.rebuilding import Rebuilding
    from splitbed.model_data import copied, read_model
    from splitbed.model_data.digest import by_hash

    ours = msgspec.convert(asked, _Asked)
    coder_named("int8+zstd")  # what is imported when it is needed is needed soon
    held = by_hash(read_model(Path(ours.beside)).state) if ours.beside else {}
    base = copied(Path(ours.update_of), Path(ours.path)) if ours.update_of else None
    try:
        with Path(ours.path).open("wb" if base is None else "r+b") as file:
            most_bytes = ours.most_bytes
            rebuilding: Refining | Carried | Rebuilding
            if base is not None:
                rebuilding = Refining(file, base, most_bytes=most_bytes)
            elif ours.kind:
                files = _of_class(Path(ours.path))
                rebuilding = Carried(ours.kind, file, files, most_bytes=most_bytes)
            else:
                outline = Path(ours.outline)
                rebuilding = Rebuilding(file, most_bytes=most_bytes, held=held, outline=outline)
            ready(vars(_Ready([one.hex() for one in held])))
            busy_ns = 0
            while data := fed.read1(READ_BYTES):
                begin = time.perf_counter_ns()
                rebuilding.feed(data)
                busy_ns += time.perf_counter_ns() - begin
            begin = time.perf_counter_ns()
            done = rebuilding.finish()
            busy_ns += time.perf_counter_ns() - begin
    except OSError as error:
        raise NodeError(f"the decoder cannot write {ours.path}: {error.strerror}") from error
    return {**vars(done), "peak_bytes": peak_bytes(), "decode_ms": busy_ns / 1e6}
