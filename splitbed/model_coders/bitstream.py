"""The bitstream of model data.

    SBMD 1 | bytes | header                                  what comes, as compressed JSON
    bytes | block | bytes | block | … | sha256               the skeleton of the file
    bytes | block | … | sha256                               each tensor, in the file's order

``bytes`` are four, little-endian.  A tensor's sha256 is that of its values as the decoder has them,
so both ends have the same, bit for bit, or the decoder says which tensor is not; of a tensor that a
decoder has already the header says it, and no more comes (:mod:`splitbed.model_coders.rest`).
Nothing that the stream says of a size is believed: what a block may take follows from the shapes in
the header, and those are held against what there is room for, before memory is taken.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import msgspec
import zstandard

from splitbed.codecs.coder import Coder
from splitbed.codecs.stage import Setting
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import ModelCoder, coder_named
from splitbed.model_coders.blocks import Block
from splitbed.model_data.file import Layout, Place
from splitbed.tensors import TensorInfo

MAGIC = b"SBMD"
VERSION = 1
START = struct.Struct("<4sBI")
LENGTH = struct.Struct("<I")
HASH_BYTES = 32
MOST_HEADER_BYTES = 16 << 20
SKELETON_CODER = "zstd"
MOST_NAME = 200


class _Row(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: list[int]
    offset: int


class _Said(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    coder: str
    form: str
    base: str
    skeleton_bytes: int
    tensors: list[_Row]
    held: list[tuple[int, bytes]] = []


@dataclass(frozen=True)
class Header:
    """What a bitstream says before its first tensor.

    ``base`` is the digest of the state that the stream updates, empty where it stands alone;
    ``held`` the hashes of tensors that do not come, as the decoder has them, by their places.
    """

    coder: ModelCoder
    base: str
    layout: Layout
    held: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def form(self) -> str:
        """``onnx``, ``tflite`` or ``safetensors``."""
        return self.layout.form

    @cached_property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """The tensors, in the order in which they come."""
        return tuple(place.info for place in self.layout.places)

    @property
    def skeleton(self) -> TensorInfo:
        """What comes before them."""
        return TensorInfo("the skeleton", "UINT8", (self.layout.skeleton_bytes,))

    def pack(self) -> bytes:
        """Its bytes, with what a bitstream starts with."""
        rows = [
            _Row(place.info.name, place.info.datatype, list(place.info.shape), place.offset)
            for place in self.layout.places
        ]
        said = _Said(
            self.coder.name, self.form, self.base, self.layout.skeleton_bytes, rows,
            sorted(self.held.items()),
        )  # fmt: skip
        packed = zstandard.ZstdCompressor(write_checksum=True).compress(msgspec.json.encode(said))
        return START.pack(MAGIC, VERSION, len(packed)) + packed


def header_bytes(start: bytes) -> int:
    """How many bytes the header has; NodeError where ``start`` is not that of a bitstream."""
    magic, version, nbytes = START.unpack(start)
    if magic != MAGIC:
        raise NodeError(f"{start!r} is no start of a bitstream of model data ({MAGIC.decode()})")
    if version != VERSION:
        raise NodeError(
            f"the bitstream is of version {version}, and this decoder knows {VERSION}: both ends"
            " need the same Splitbed"
        )
    if nbytes > MOST_HEADER_BYTES:
        raise NodeError(f"the bitstream announces a header of {nbytes} bytes: it is damaged")
    return int(nbytes)


def unpacked(packed: bytes) -> Header:
    """The header; NodeError where it is damaged, or names what cannot be."""
    try:
        if not 0 <= zstandard.frame_content_size(packed) <= MOST_HEADER_BYTES:
            raise ValueError("it announces more than a header has")
        text = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        said = msgspec.json.decode(text, type=_Said)
        places = [
            Place(TensorInfo(row.name, row.datatype, tuple(row.shape)), row.offset)
            for row in said.tensors
        ]
        layout = Layout(said.form, said.skeleton_bytes, tuple(places))
        layout.check()
        held = dict(said.held)
        if not held.keys() <= set(range(len(places))):
            raise ValueError("it leaves out tensors that it does not have")
    except (zstandard.ZstdError, msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NodeError(f"the bitstream's header is damaged: {error}") from error
    if len(said.coder) > MOST_NAME or len(said.base) > MOST_NAME:
        raise NodeError("the bitstream's header is damaged: a name in it is endless")
    try:
        return Header(coder_named(said.coder), said.base, layout, held)
    except UsageError as error:
        raise NodeError(f"the bitstream names a coder that is not here: {error}") from error


def bound(coder: ModelCoder, block: Block) -> Coder:
    """What codes a block; UsageError where the coder cannot take its tensor."""
    return coder.bind([block.info], Setting())
