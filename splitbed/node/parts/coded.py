"""A part whose model file travels as a bitstream that a coder of model data made of it.

    pack ─> encode ─> bitstream ─▲─ link ─▼─ decoder's own process ─> the model file, rebuilt

The decoder takes what comes as it comes; it has the bytes of the file's structure, too.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

from splitbed.model_coders.increments import encoded
from splitbed.model_coders.published import carrying
from splitbed.model_coders.rest import write_rest
from splitbed.model_coders.worker import SECONDS, DecodingWorker
from splitbed.model_data import read_model
from splitbed.node.delivery import CutPart, Decode, Parcel, pack
from splitbed.runtime.early import Early
from splitbed.timeline import NS_PER_MS
from splitbed.v1 import nodes_pb2

MOST_S = 86_400.0
"""Of a caller without a deadline."""

BACKLOG_BYTES = 64 << 20
"""So much of a bitstream waits for a decoder that is slower than the link; then the link does."""


def pack_coded(cut: CutPart, folder: Path, coder: str) -> tuple[Parcel, nodes_pb2.CodedPart]:
    """As :func:`pack`, the file encoded; a part that computes nothing has none.

    Raises UsageError for a coder that does not exist, and for a file that it cannot code.
    """
    return _packed(cut, folder, coder, lambda file: encoded(read_model(file), coder))


def pack_carrying(
    cut: CutPart, folder: Path, coder: str, bitstream: Path
) -> tuple[Parcel, nodes_pb2.CodedPart]:
    """As :func:`pack_coded`, of the ``bitstream`` that a class made of it elsewhere."""
    return _packed(cut, folder, coder, lambda file: carrying(read_model(file), bitstream))


def _packed(
    cut: CutPart, folder: Path, coder: str, coding: Callable[[Path], Iterator[bytes]]
) -> tuple[Parcel, nodes_pb2.CodedPart]:
    parcel = pack(cut, folder)
    if parcel.file is None:
        return parcel, nodes_pb2.CodedPart()
    file, bitstream = parcel.file, parcel.file.with_suffix(".bit")
    digest, size, start_ns = hashlib.sha256(), 0, time.monotonic_ns()
    with bitstream.open("wb") as stream:
        for chunk in coding(file):
            size += stream.write(chunk)
            digest.update(chunk)
    took_ms = (time.monotonic_ns() - start_ns) / NS_PER_MS
    file.unlink()
    header = nodes_pb2.PartHeader()
    header.CopyFrom(parcel.header)
    header.bytes, header.sha256, header.coder = size, digest.digest(), coder
    said = nodes_pb2.CodedPart(bytes=size, sha256=digest.digest(), encode_ms=took_ms)
    return Parcel(header, bitstream), said


@contextmanager
def rest_of(parcel: Parcel, have: Collection[bytes]) -> Iterator[Parcel]:
    """What is left of it, while this is open, for a node that has tensors of these hashes."""
    assert parcel.file is not None
    with parcel.file.open("rb") as whole, NamedTemporaryFile(dir=parcel.file.parent) as file:
        write_rest(whole, have, file)
        header = nodes_pb2.PartHeader()
        header.CopyFrom(parcel.header)
        header.bytes = file.tell()
        file.seek(0)
        header.sha256 = hashlib.file_digest(file, "sha256").digest()
        yield Parcel(header, Path(file.name))


@contextmanager
def decoding(
    folder: Path,
    most_bytes: int,
    seconds: float | None = None,
    update_of: Path | None = None,
    beside: Path | None = None,
    kind: str = "",
) -> Iterator[tuple[Decode, Sequence[bytes]]]:
    """Decodes one bitstream, in a process that is there before the first byte.

    It may be an update of a model file that is here, or of a model some of whose tensors are in the
    one ``beside``: their hashes are given, too. With ``kind`` a class of that name decodes. The
    model file may have ``most_bytes``; ``seconds`` are those that the process may compute, by
    default :data:`SECONDS`, at most :data:`MOST_S`. NodeError comes from whatever is refused.
    """
    draft, most_s = folder / "decoded", min(seconds or SECONDS, MOST_S)
    worker = DecodingWorker(
        draft, seconds=most_s, most_bytes=most_bytes, update_of=update_of, beside=beside, kind=kind
    )
    with worker:
        yield partial(_decoded, worker, draft), worker.have


def _decoded(
    worker: DecodingWorker, draft: Path, chunks: Iterator[bytes], cut: CutPart, path: Path
) -> tuple[int, nodes_pb2.Decoded]:
    feeding = Feeding(worker)
    with Early(cut.asked(threads=1), worker.outline) as early:
        try:
            for chunk in chunks:
                feeding.feed(chunk)
                early.look()
            came_ns = time.monotonic_ns()
            feeding.finish()
            done = worker.finish()
        except BaseException:
            worker.kill()  # or what waits would be decoded first
            raise
        finally:
            feeding.close()
        draft.replace(path)
        early.end(path, done.sha256)
    decoded = nodes_pb2.Decoded(
        bytes=done.file_bytes,
        sha256=bytes.fromhex(done.sha256),
        decode_ms=done.decode_ms,
        peak_bytes=done.peak_bytes + feeding.most_bytes,
    )
    return came_ns, decoded


class Feeding:
    """Feeds a worker beside what receives: a slow decoder must not look like a slow link."""

    def __init__(self, worker: DecodingWorker) -> None:
        self.most_bytes = 0
        """That waited."""
        self._worker = worker
        self._waiting: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0
        self._pool = ThreadPoolExecutor(1, "decoding")

    def feed(self, chunk: bytes) -> None:
        """Have a chunk wait; raises what the worker raised of one before."""
        while self._waiting and (self._bytes > BACKLOG_BYTES or self._waiting[0][0].done()):
            self._next()
        self._waiting.append((self._pool.submit(self._worker.feed, chunk), len(chunk)))
        self._bytes += len(chunk)
        self.most_bytes = max(self.most_bytes, self._bytes)

    def finish(self) -> None:
        """Wait until the worker has taken all; raises as :meth:`feed` does."""
        while self._waiting:
            self._next()

    def close(self) -> None:
        """Forget what still waits."""
        self._pool.shutdown(cancel_futures=True)

    def _next(self) -> None:
        fed, nbytes = self._waiting.popleft()
        fed.result()
        self._bytes -= nbytes
