"""A decoder in a process of its own, which may take so much memory and time and no more.

    the node ──bitstream──> worker ──> FILE.coming ──whole and checked──> FILE

Until the last step a model that was at FILE stays there.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from splitbed.errors import MachineError, NodeError, SplitbedError

MEMORY_BYTES = 512 << 20
OF_BASE = 8
"""An update may take so many times its base besides, which may be all in one weight."""
SECONDS = 600
READ_BYTES = 1 << 20
GRACE_S = 5.0
READY = b"ready"


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

    Once entered it is ready to read: what it imports takes some tenths of a second, and so does a
    base to be hashed.  Raises MachineError where it cannot be started.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_bytes: int = MEMORY_BYTES,
        seconds: float = SECONDS,
        most_bytes: int | None = None,
        update_of: Path | None = None,
        beside: Path | None = None,
    ) -> None:
        self.have: tuple[bytes, ...] = ()
        """Hashes of the tensors of ``beside``, once entered."""
        self._path, self._seconds = path, seconds
        self._coming = path.with_name(f"{path.name}.coming")
        room = min(psutil.virtual_memory().available, shutil.disk_usage(path.parent).free)
        most_bytes = room if most_bytes is None else min(most_bytes, room)
        if update_of is not None:
            memory_bytes += OF_BASE * update_of.stat().st_size
        limits = (str(memory_bytes), str(seconds), str(most_bytes))
        files = (str(update_of or ""), str(beside or ""))
        argv = [sys.executable, "-m", __name__, str(self._coming), *limits, *files]
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise MachineError(f"cannot start a decoder: {error.strerror}") from error

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._process.pid

    def feed(self, chunk: bytes) -> None:
        """Hand it some bytes of the bitstream; waits while it is behind.

        Raises:
            NodeError: it refused the bitstream, or ended at one of its limits; the reason is in it.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(chunk)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            self._answer()
            raise NodeError("the decoder ended before the bitstream did") from None

    def finish(self) -> Decoded:
        """The model file, which now is at ``path``; raises as :meth:`feed` does."""
        decoded = msgspec.convert(self._answer(), Decoded)
        self._coming.replace(self._path)
        return decoded

    def kill(self) -> None:
        """End it, from any thread; whoever feeds it is told."""
        self._process.kill()

    def close(self) -> None:
        """End it, if it has not; what came is forgotten."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        self._coming.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        ready, *have = said.split() or [b""]
        if ready != READY:
            self.close()
            why = said.decode() or self._process.returncode
            raise MachineError(f"a decoder ended at its start ({why})")
        self.have = tuple(bytes.fromhex(one.decode()) for one in have)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self) -> dict[str, object]:
        try:
            answer, _ = self._process.communicate(timeout=self._seconds + GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise NodeError(f"the decoder took over {self._seconds:g} s, and was ended") from None
        try:
            said = json.loads(answer)
        except ValueError:
            code = self._process.returncode
            killed = code in (-signal.SIGKILL, -signal.SIGXCPU)
            why = f"killed, after {self._seconds:g} s at work or without memory" if killed else code
            raise NodeError(f"the decoder died of the bitstream ({why})") from None
        if "error" in said:
            raise NodeError(str(said["error"]))
        return dict(said)


def main() -> None:
    """Decode what comes on standard input; one line of JSON says how that ended."""
    from splitbed.model_coders import coder_named
    from splitbed.model_coders.increments import Refining
    from splitbed.model_coders.rebuilding import Rebuilding
    from splitbed.model_data import read_model
    from splitbed.model_data.digest import by_hash

    path, memory_bytes, seconds, most_bytes, update_of, beside = sys.argv[1:]
    coder_named("int8+zstd")  # what is imported when it is needed is needed soon
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a coder's library may print there
    said: dict[str, object]
    try:
        with Path(path).open("wb") as file:
            held = by_hash(read_model(Path(beside)).state) if beside else {}
            rebuilding = (
                Refining(file, read_model(Path(update_of)), most_bytes=int(most_bytes))
                if update_of
                else Rebuilding(file, most_bytes=int(most_bytes), held=held)
            )
            ready = [READY.decode(), *(one.hex() for one in held)]
            answers.write(" ".join(ready) + "\n")
            answers.flush()
            _limit(int(memory_bytes), float(seconds), int(most_bytes))
            said, busy_ns = {}, 0
            while not said:
                data = os.read(0, READ_BYTES)
                begin = time.perf_counter_ns()
                if data:
                    rebuilding.feed(data)
                else:
                    said = vars(rebuilding.finish())
                busy_ns += time.perf_counter_ns() - begin
    except SplitbedError as error:
        said = {"error": str(error)}
    except MemoryError:
        said = {"error": f"the decoder needs more than {memory_bytes} bytes of memory"}
    except OSError as error:
        said = {"error": f"the decoder cannot write {path}: {error.strerror}"}
    else:
        said |= {"peak_bytes": _peak_bytes(), "decode_ms": busy_ns / 1e6}
    answers.write(json.dumps(said))
    answers.flush()
    os._exit(0)  # at once: the node waits for the model


def _limit(memory_bytes: int, seconds: float, most_bytes: int) -> None:
    """Hold this process to its limits; what it has taken to start does not count."""
    started = psutil.Process().memory_info().data
    for kind, most in (
        (resource.RLIMIT_DATA, started + memory_bytes),
        (resource.RLIMIT_CPU, int(time.process_time() + seconds) + 1),
        (resource.RLIMIT_FSIZE, most_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def _peak_bytes() -> int:
    """The most memory that this process had; getrusage would tell that of the node it is from."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
