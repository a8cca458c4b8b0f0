"""A model file, written while its bitstream comes: whole when the last tensor is.

Tensors come in the file's order, so a block is written and forgotten.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from splitbed.model_coders.decoder import MOST_BYTES, Part, Reader
from splitbed.model_data.digest import Held, raw
from splitbed.model_data.file import Layout


@dataclass(frozen=True)
class Rebuilt:
    """What was written: the digest of its state, and the sha256 and the size of the file."""

    digest: str
    sha256: str
    file_bytes: int


class Rebuilding:
    """Takes a bitstream in pieces cut anywhere, and writes the model file to ``file``.

    ``held`` are tensors that are here, and need not come.  ``outline`` becomes the file as it is
    once the skeleton is there, all tensors zero.

    Raises as :class:`splitbed.model_coders.decoder.Reader` does; what is written then is no model.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        most_bytes: int = MOST_BYTES,
        held: Held | None = None,
        outline: Path | None = None,
    ) -> None:
        self.reader = Reader(most_bytes=most_bytes, held=held)
        self._file, self._outline = file, outline
        self._sha256 = hashlib.sha256()
        self._skeleton = bytearray()
        self._gaps: list[slice] = []

    def feed(self, data: bytes) -> None:
        """Write what is known with ``data``, too."""
        for part in self.reader.feed(data):
            self._put(part)

    def finish(self) -> Rebuilt:
        """What was written; NodeError unless the bitstream was whole."""
        self.reader.finish()
        assert self.reader.header is not None
        for gap in self._gaps:
            self._write(memoryview(self._skeleton)[gap])
        self._gaps.clear()
        self._file.flush()
        nbytes = self.reader.header.layout.nbytes
        return Rebuilt(self.reader.digest, self._sha256.hexdigest(), nbytes)

    def _put(self, part: Part) -> None:
        assert self.reader.header is not None
        layout = self.reader.header.layout
        if part.tensor < 0:
            self._skeleton += raw(part.values)
            self._gaps = layout.gaps()
            if part.last and self._outline is not None:
                write_outline(layout, self._skeleton, self._outline)
            return
        if len(self._gaps) > len(layout.places) - part.tensor:  # its gap is still to be written
            self._write(memoryview(self._skeleton)[self._gaps.pop(0)])
        self._write(raw(part.values))

    def _write(self, data: memoryview) -> None:
        self._file.write(data)
        self._sha256.update(data)


def write_outline(layout: Layout, skeleton: bytes | bytearray, path: Path) -> None:
    """Write a model file without its tensors, which takes no room for them; there at once."""
    *before, rest = layout.gaps()
    draft = path.with_name(f"{path.name}.coming")
    with draft.open("wb") as file:
        for gap, place in zip(before, layout.places, strict=True):
            file.write(skeleton[gap])
            file.seek(place.end)
        file.write(skeleton[rest])
        file.truncate(layout.nbytes)
    draft.replace(path)
