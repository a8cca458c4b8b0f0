"""A part whose model file travels as a bitstream that a coder of model data made of it.

    pack ─> encode ─> bitstream ─▲─ link ─▼─ decoder's own process ─> the model file, rebuilt

The decoder takes what comes as it comes; it has the bytes of the file's structure, too.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from splitbed.model_coders.increments import encoded
from splitbed.model_coders.worker import DecodingWorker
from splitbed.model_data import read_model
from splitbed.node.delivery import CutPart, Decode, Parcel, pack
from splitbed.timeline import NS_PER_MS
from splitbed.v1 import nodes_pb2


def pack_coded(cut: CutPart, folder: Path, coder: str) -> tuple[Parcel, nodes_pb2.CodedPart]:
    """As :func:`pack`, the file encoded; a part that computes nothing has none.

    Raises UsageError for a coder that does not exist, and for a file that it cannot code.
    """
    parcel = pack(cut, folder)
    if parcel.file is None:
        return parcel, nodes_pb2.CodedPart()
    file, bitstream = parcel.file, parcel.file.with_suffix(".bit")
    digest, size, start_ns = hashlib.sha256(), 0, time.monotonic_ns()
    with bitstream.open("wb") as stream:
        for chunk in encoded(read_model(file), coder):
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
def decoding(folder: Path, seconds: float, update_of: Path | None = None) -> Iterator[Decode]:
    """Decodes one bitstream, in a process that is there before the first byte.

    It may be an update of a model file that is here.

    ``seconds`` are those that it may compute. NodeError comes from whatever is refused; a file that
    was there before is there still, then.
    """
    draft = folder / "decoded"
    with DecodingWorker(draft, seconds=seconds, update_of=update_of) as worker:
        yield partial(_decoded, worker, draft)


def _decoded(
    worker: DecodingWorker, draft: Path, chunks: Iterator[bytes], path: Path
) -> tuple[int, nodes_pb2.Decoded]:
    fed: Future[None] | None = None
    # a decoder that is slower than the link must not look like a slower link
    with ThreadPoolExecutor(1, "decoding") as feeding:
        for chunk in chunks:
            if fed is not None and fed.done():
                fed.result()
            fed = feeding.submit(worker.feed, chunk)
        came_ns = time.monotonic_ns()
        if fed is not None:
            fed.result()
        done = worker.finish()
    draft.replace(path)
    decoded = nodes_pb2.Decoded(
        bytes=done.file_bytes,
        sha256=bytes.fromhex(done.sha256),
        decode_ms=done.decode_ms,
        peak_bytes=done.peak_bytes,
    )
    return came_ns, decoded
