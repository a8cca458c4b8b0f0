"""A part on its way to the node that runs it: how to run it, then the bytes of its model file."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from splitbed.errors import NodeError, UsageError
from splitbed.flow import Span
from splitbed.graphs.formats import FORMATS, format_named
from splitbed.graphs.parts import Part, write_portable
from splitbed.node.config import Limits
from splitbed.node.model_info import ModelInfo, model_message, model_of
from splitbed.runtime.trial import KNOWN, Asked, expect
from splitbed.v1 import nodes_pb2
from splitbed.v1.nodes_pb2 import Decoded, PartHeader, PartPiece
from splitbed.wire import infos_of, tensor_headers

MAX_PARTS = 100_000
"""Layers of one model, profiled at once."""

_PIECE_BYTES = 256 << 10


def span_message(span: Span) -> nodes_pb2.Span:
    """Layers as they travel."""
    return nodes_pb2.Span(
        first=span.first, last=span.last, outputs=span.outputs, version=span.version
    )


def span_of(message: nodes_pb2.Span) -> Span:
    """The layers of :func:`span_message`; NodeError for a head that names an output twice.

    And for a version with a name that is no word.
    """
    if len({*message.outputs}) < len(message.outputs):
        raise NodeError(f"refused a head of the outputs {[*message.outputs]}: each is named once")
    if not re.fullmatch(r"\w{0,32}", message.version, re.ASCII):  # a file is named by it
        raise NodeError(f"refused a version of layers with the name {message.version!r}")
    return Span(message.first, message.last, tuple(message.outputs), message.version)


def words(span: Span) -> str:
    """Layers as messages and file names have them."""
    of = f"-of-{'+'.join(map(str, span.outputs))}" if span.outputs else ""
    return f"{span.first}-{span.last}{of}{f'-as-{span.version}' if span.version else ''}"


@dataclass(frozen=True)
class CutPart:
    """A part of ``model``: the layers of ``span``."""

    part: Part
    span: Span
    model: ModelInfo

    def asked(self, threads: int) -> Asked:
        """How its file is to be run."""
        made = (info for info in self.part.outputs if info.name not in self.part.passthrough)
        path, runtime = str(self.part.path), self.model.runtime
        return Asked(path, self.part.inputs, tuple(made), threads, runtime)

    @property
    def gives_outputs(self) -> bool:
        """Whether what this part gives is what the model's task reads."""
        return self.part.outputs == self.model.outputs


@dataclass(frozen=True)
class Parcel:
    """A part ready to be sent: its header, and its file unless it computes nothing."""

    header: PartHeader
    file: Path | None

    def pieces(self, offset: int = 0) -> Iterator[PartPiece]:
        """The messages that carry it, without so many bytes that came before.

        NodeError where there are not so many.
        """
        if offset > self.header.bytes:
            raise NodeError(f"a part of {self.header.bytes} bytes does not go on at {offset}")
        yield PartPiece(header=self.header)
        if self.file is not None:
            with self.file.open("rb") as file:
                file.seek(offset)
                while data := file.read(_PIECE_BYTES):
                    yield PartPiece(data=data)

    def remove(self) -> None:
        """Remove the file."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def pack(cut: CutPart, folder: Path) -> Parcel:
    """Write the part as a model file of its own into ``folder``, over one of the same layers."""
    part = cut.part
    header = PartHeader(
        span=span_message(cut.span),
        inputs=tensor_headers(part.inputs),
        outputs=tensor_headers(part.outputs),
        passthrough=part.passthrough,
        model=model_message(cut.model),
    )
    if part.path is None:
        return Parcel(header, None)
    file = folder / f"parcel-{words(cut.span)}{part.path.suffix}"
    write_portable(part, file)
    with file.open("rb") as stream:
        header.sha256 = hashlib.file_digest(stream, "sha256").digest()
    header.bytes, header.format = file.stat().st_size, part.path.suffix[1:]
    return Parcel(header, file)


Decode = Callable[[Iterator[bytes], CutPart, Path], tuple[int, Decoded]]
"""Makes the model file of a part of chunks of a bitstream, checked as one that was received.

It gives when the last had come, in ns.
"""


@dataclass(frozen=True)
class Arrived:
    """A part that came: when its last byte had, in ns, and how it was decoded, if it was.

    ``came_bytes`` are those that crossed.
    """

    cut: CutPart
    came_ns: int
    came_bytes: int = 0
    decoded: Decoded | None = None


def receive(
    stream: Iterator[PartPiece], folder: Path, limits: Limits, decode: Decode | None = None
) -> Arrived:
    """The part that comes in ``stream``, its file written into ``folder``.

    One that comes encoded is made by ``decode``. Raises NodeError for anything but the part that
    the header says, within ``limits``, before more is written.
    """
    header = _header(next(stream, None), limits)
    arrived = _receive(header, stream, folder, "part", limits, decode)
    if next(stream, None) is not None:
        raise NodeError(f"a part of {header.bytes} bytes went on beyond them")
    if (path := arrived.cut.part.path) is not None and decode is None:
        KNOWN.learn(path, header.sha256.hex())  # it is opened here; Early knows one that is decoded
    return arrived


def kept(stream: Iterator[PartPiece], folder: Path, limits: Limits) -> Parcel:
    """The part that comes in ``stream``, to be delivered as it is; raises as :func:`receive`."""
    header = _header(next(stream, None), limits)
    path = folder / f"parcel-{words(span_of(header.span))}.kept"
    try:
        with path.open("wb") as file:
            file.writelines(_checked(stream, header))
        if next(stream, None) is not None:
            raise NodeError(f"a part of {header.bytes} bytes went on beyond them")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Parcel(header, path)


def receive_all(stream: Iterator[PartPiece], folder: Path, limits: Limits) -> list[CutPart]:
    """The parts that come in ``stream`` one after another, as :func:`receive`."""
    cuts: list[CutPart] = []
    for piece in stream:
        if len(cuts) == MAX_PARTS:
            raise NodeError(f"refused more than {MAX_PARTS} parts at once")
        header = _header(piece, limits, sum(cut.part.nbytes for cut in cuts))
        cuts.append(_receive(header, stream, folder, f"part-{len(cuts)}", limits).cut)
    return cuts


def _header(piece: PartPiece | None, limits: Limits, came_bytes: int = 0) -> PartHeader:
    if piece is None or piece.WhichOneof("body") != "header":
        raise NodeError("a part begins with its header")
    limits.check_model(came_bytes + piece.header.bytes)
    return piece.header


def _receive(
    header: PartHeader,
    stream: Iterator[PartPiece],
    folder: Path,
    name: str,
    limits: Limits,
    decode: Decode | None = None,
) -> Arrived:
    if not header.bytes:
        return Arrived(_described(header, limits, None), time.monotonic_ns())
    if header.format not in FORMATS:
        raise NodeError(f"refused a part of format {header.format!r}")
    if bool(header.coder) != (decode is not None):
        coded = f"encoded as {header.coder}" if header.coder else "as a file"
        raise NodeError(f"refused a part that comes {coded}: it was not asked for so")
    path = folder / f"{name}.{header.format}"
    cut = _described(header, limits, path)
    expect(cut.model.runtime)
    # until it is known to be one: a runtime may have the file of the part before mapped
    draft = path.with_stem(f"{name}.draft")
    chunks = _checked(stream, header)
    try:
        came_ns, decoded = decode(chunks, cut, draft) if decode else _write(chunks, draft)
    except UsageError as error:
        draft.unlink(missing_ok=True)
        raise NodeError(f"refused a part: {error}") from None
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.replace(path)
    cut = _described(header, limits, path, path.stat().st_size)
    return Arrived(cut, came_ns, header.bytes, decoded)


def _write(chunks: Iterator[bytes], path: Path) -> tuple[int, None]:
    with path.open("wb") as file:
        file.writelines(chunks)
    came_ns = time.monotonic_ns()
    format_named(path.suffix[1:]).check_received(path)
    return came_ns, None


def _checked(stream: Iterator[PartPiece], header: PartHeader) -> Iterator[bytes]:
    """The bytes as they come; NodeError at the end, unless they were those that the header says."""
    digest, size = hashlib.sha256(), 0
    while size < header.bytes and (piece := next(stream, None)) is not None:
        if not piece.data:
            break
        size += len(piece.data)
        digest.update(piece.data)
        yield piece.data
    if (size, digest.digest()) != (header.bytes, header.sha256):
        raise NodeError(f"of a part of {header.bytes} bytes {size} came, or others than were sent")


def _described(header: PartHeader, limits: Limits, path: Path | None, nbytes: int = 0) -> CutPart:
    most_bytes = limits.tensor_bytes
    model = model_of(header.model, most_bytes)
    part = Part(
        path,
        infos_of(header.inputs, open_sizes=False, most_bytes=most_bytes),
        infos_of(header.outputs, open_sizes=True, most_bytes=most_bytes),
        tuple(header.passthrough),
        nbytes,
    )
    names = [{info.name for info in infos} for infos in (part.inputs, part.outputs)]
    passed = set(part.passthrough)
    if not passed <= names[0] & names[1] or bool(header.bytes) != bool(names[1] - passed):
        raise NodeError("a part hands on what it takes, and has a file for all else that it gives")
    return CutPart(part, span_of(header.span), model)
