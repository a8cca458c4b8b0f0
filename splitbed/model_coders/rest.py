"""What of a bitstream is left for whoever has some of its tensors already.

    whole   header ┃ skeleton ┃ conv1 ┃ bn1 ┃ conv2 ┃ fc
    rest    header ┃ skeleton ┃ conv2 ┃ fc                    to whom has conv1 and bn1

The header says their hashes, which name the values that a decoder has.
"""

from collections.abc import Collection
from dataclasses import replace
from os import SEEK_CUR
from typing import IO

from splitbed.model_coders.bitstream import HASH_BYTES, LENGTH, START, header_bytes, unpacked
from splitbed.model_coders.blocks import blocks_of
from splitbed.tensors import TensorInfo

_PIECE_BYTES = 1 << 20
MOST_HAVE = 100_000
"""So many hashes are told."""
_WORTH_BYTES = 64
"""What is not longer comes: a hash in the header takes as much."""


def write_rest(whole: IO[bytes], have: Collection[bytes], into: IO[bytes]) -> None:
    """Write what is left of a bitstream that was encoded here; ``have`` are hashes of tensors."""
    header = unpacked(whole.read(header_bytes(whole.read(START.size))))
    left, _ = _record(whole, header.skeleton)
    stretches, held = [left], dict[int, bytes]()
    for place, info in enumerate(header.tensors):
        stretch, digest = _record(whole, info)
        if digest in have and len(stretch) > _WORTH_BYTES:
            held[place] = digest
        else:
            stretches.append(stretch)
    into.write(replace(header, held=held).pack())
    for stretch in stretches:
        _copy(whole, stretch, into)


def _record(whole: IO[bytes], info: TensorInfo) -> tuple[range, bytes]:
    """Where a tensor is, and the hash that it ends with."""
    start = whole.tell()
    for _ in blocks_of(info):
        (nbytes,) = LENGTH.unpack(whole.read(LENGTH.size))
        whole.seek(nbytes, SEEK_CUR)
    digest = whole.read(HASH_BYTES)
    return range(start, whole.tell()), digest


def _copy(whole: IO[bytes], stretch: range, into: IO[bytes]) -> None:
    whole.seek(stretch.start)
    for begin in range(0, len(stretch), _PIECE_BYTES):
        into.write(whole.read(min(_PIECE_BYTES, len(stretch) - begin)))
