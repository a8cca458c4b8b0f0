"""What both ends of a `klt` know of a tensor before the first frame, and its bytes.

    magic, header - forward, mean, back, strays - [factors] - classes, lifts and books, CRC-32

All little-endian and without gaps; every size follows from the header.  The bytes are a stranger's.
"""

import math
import struct
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from splitbed.codecs.klt.coding import (
    MASKS,
    MOST_VALUES,
    TOTAL,
    Book,
    LevelCoder,
    Weights,
    digest,
)
from splitbed.codecs.klt.dct import BLOCKS, Dct
from splitbed.codecs.klt.order import Groups
from splitbed.codecs.klt.symbols import GROUP
from splitbed.codecs.klt.transform import JOINT, MOST_LEVEL, Layout, Transform
from splitbed.codecs.stage import Floats
from splitbed.errors import UsageError

MAGIC = b"klt5"
HEADER = struct.Struct("<4sIIIBBBBf")
"""Magic, channels, components, places; side of the DCT's blocks; sets of books, 1 or 2; side of the
layout's blocks, 1 where it has none; axis of channels; bound."""
NEVER = 255
"""The class of coefficients that calibration hardly saw: they are not coded, but extras."""
MOST_BOOKS = 64
MOST = 1e38
"""What a value may come to: FP32 ends at 3.4e38."""

Classes = npt.NDArray[np.uint8]
"""Components x frequencies: the book of each, or ``NEVER``."""


@dataclass(frozen=True)
class Codebook:
    """How the levels of frames of one kind are coded: those by themselves, or by differences.

    ``bounds`` and ``usual`` lift the classes of differences, as :class:`Groups` has them.
    """

    classes: Classes
    books: tuple[Book, ...]
    bounds: tuple[int, ...] = ()
    usual: int = 0

    @property
    def count(self) -> int:
        """How many books it needs."""
        coded = self.classes[self.classes != NEVER]
        return int(coded.max()) + 1 + len(self.bounds) if coded.size else 0


def groups_of(codebook: Codebook, transform: Transform) -> Groups:
    """Of the coefficients of that transform that are coded: class after class.

    In each class they stand by components, and block by block; where classes are lifted, those of a
    block stand together, whatever their class.
    """
    dct, planes = transform.dct, transform.layout.planes
    scanned = codebook.classes[:, dct.frequency.ravel()[dct.scan]]
    classes = np.repeat(scanned[:, None], planes, axis=1).reshape(transform.shape)
    places = np.add.outer(np.arange(planes) * dct.scan.size, dct.scan).ravel()
    coefficients = np.add.outer(np.arange(len(classes)) * places.size, places).ravel()
    blocks = np.tile(transform.blocks[places], len(classes))
    keys = (classes.ravel(), blocks) if codebook.bounds else (classes.ravel(),)
    turned = np.lexsort(keys)
    turned = turned[classes.ravel()[turned] != NEVER]
    missing = -turned.size % GROUP
    rows = np.append(coefficients[turned], [transform.size] * missing).astype(np.intp)
    return Groups(
        transform.size,
        rows.reshape(-1, GROUP),
        classes.ravel()[turned[::GROUP]],
        blocks[turned[::GROUP]],
        codebook.count,
        np.array(codebook.bounds, np.intp),
        codebook.usual,
    )


@dataclass(frozen=True)
class Tables:
    """A transform, and how its levels are coded; ``factors``, FP32 as ``classes``, are of inter.

    With them there are two codebooks: of frames by themselves, and of what the factors times the
    coefficients of the frame before leave of them.
    """

    transform: Transform
    codebooks: tuple[Codebook, ...]
    factors: Floats | None = None

    @property
    def nbytes(self) -> int:
        """About what they take, and what is kept of a frame, in memory."""
        return kept_bytes(self.to_bytes())

    def coder(self, book: int) -> LevelCoder:
        """What codes levels by that codebook."""
        codebook = self.codebooks[book]
        return LevelCoder(groups_of(codebook, self.transform), codebook.books)

    def to_bytes(self) -> bytes:
        """As :func:`read` takes them."""
        transform = self.transform
        components, channels = transform.forward.shape
        places = transform.layout.places
        head = (MAGIC, channels, components, places, transform.dct.side, len(self.codebooks))
        layout = transform.layout
        parts = [HEADER.pack(*head, layout.block, layout.axis, transform.bound)]
        floats = (
            transform.forward, transform.mean, transform.back, transform.strays, self.factors,
        )  # fmt: skip
        parts += [array.astype("<f4").tobytes() for array in floats if array is not None]
        for codebook in self.codebooks:
            bounds = np.array(codebook.bounds, "<u4")
            sizes = bytes([bounds.size, codebook.usual, len(codebook.books)])
            parts += [codebook.classes.tobytes(), sizes, bounds.tobytes()]
            for book in codebook.books:
                parts.append(book.values.size.to_bytes(2, "little"))
                parts += [weights.astype("<u2").tobytes() for weights in book.steps]
        found = digest([book for codebook in self.codebooks for book in codebook.books])
        return b"".join([*parts, found.to_bytes(4, "little")])


def kept_bytes(data: bytes) -> int:
    """About what tables will take in memory, by their header, and what is kept of a frame.

    Matrices are kept twice, and of each coefficient, for each set of books, where it is and what it
    was; of blocks, where each value of the tensor is.
    """
    if len(data) < HEADER.size:
        return len(data)
    _, channels, components, places, _, sets, block, *_ = HEADER.unpack_from(data)
    turned = channels if block > 1 else 0
    each = 32 * sets * components + 8 * turned
    return 2 * len(data) + int(each * places)


def read(data: bytes, layout: Layout, *, inter: bool) -> Tables:
    """The tables of a tensor of that layout.

    Raises:
        UsageError: the bytes are none, are of another tensor or another kind, or this node's
            `constriction` makes other code tables of them.
    """
    try:
        return _read(_Reader(data), layout, 2 if inter else 1)
    except ValueError as error:
        raise UsageError(
            f"its tables are not this tensor's: {error}; calibrate again, in a new run"
        ) from None


class _Reader:
    """Takes arrays from the front of bytes; ValueError where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def bytes(self, size: int) -> bytes:
        """The next ones."""
        if size > len(self._data) - self._at:
            raise ValueError(f"{len(self._data)} bytes are not all of them")
        self._at += size
        return self._data[self._at - size : self._at]

    def floats(self, *shape: int) -> Floats:
        """FP32, all finite."""
        found = np.frombuffer(self.bytes(4 * math.prod(shape)), "<f4").astype(np.float32)
        if not np.isfinite(found).all():
            raise ValueError("NaN or infinity is in them")
        return found.reshape(shape)

    def weights(self, size: int) -> Weights:
        """Probabilities of an alphabet of that size."""
        found = np.frombuffer(self.bytes(2 * size), "<u2").astype(np.uint16)
        if found.min(initial=1) < 1 or found.sum(dtype=np.int64) != TOTAL:
            raise ValueError(f"probabilities of {size} symbols are not 1 or more, {TOTAL} in all")
        return found

    def number(self, size: int) -> int:
        """Of so many bytes."""
        return int.from_bytes(self.bytes(size), "little")

    def end(self) -> None:
        """ValueError where bytes are left."""
        if self._at < len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes too many")


def _read(reader: _Reader, layout: Layout, sets: int) -> Tables:
    head = HEADER.unpack(reader.bytes(HEADER.size))
    magic, channels, components, places, side, found, block, axis, bound = head
    if magic != MAGIC and magic[:-1] == MAGIC[:-1] and magic[-1:].isdigit():
        former, own = magic.decode(), MAGIC.decode()
        raise ValueError(f"they are those of {former}, and this version has {own}")
    if magic != MAGIC or side not in BLOCKS or block not in (1, JOINT):
        raise ValueError("they do not begin as tables of this version do")
    layout = layout.along(axis).by_blocks(block)
    if (channels, places, found) != (layout.channels, layout.places, sets):
        raise ValueError(
            f"they are of {channels} channels of {places} places and {found} books, where"
            f" {layout.channels} of {layout.places} and {sets} were due"
        )
    if components > channels:
        raise ValueError(f"{components} components of {channels} channels")
    transform = Transform(
        layout,
        Dct(layout.plane, side),
        forward=reader.floats(components, channels),
        mean=reader.floats(channels, 1),
        back=reader.floats(channels, components),
        strays=reader.floats(2, channels),
        bound=bound,
    )
    factors = reader.floats(components, transform.dct.frequencies) if sets > 1 else None
    codebooks = tuple(_codebook(reader, components, transform.dct) for _ in range(sets))
    due = reader.number(4)
    reader.end()
    _check_sizes(transform, factors)
    if due != digest([book for codebook in codebooks for book in codebook.books]):
        raise ValueError(
            "the probabilities in them make other code tables here than where they were made, or"
            " are damaged; both nodes need the same version of constriction"
        )
    return Tables(transform, codebooks, factors)


def _codebook(reader: _Reader, components: int, dct: Dct) -> Codebook:
    shape = components, dct.frequencies
    classes = np.frombuffer(reader.bytes(math.prod(shape)), np.uint8).reshape(shape)
    lifts, usual, count = (reader.number(1) for _ in range(3))
    bounds = tuple(reader.number(4) for _ in range(lifts))
    if usual > lifts or list(bounds) != sorted(bounds):
        raise ValueError("what lifts a class is not in order")
    codebook = Codebook(classes, (), bounds, usual)
    if count > MOST_BOOKS or count != codebook.count:
        raise ValueError(f"{count} books, where {codebook.count} were due, and {MOST_BOOKS} most")
    return replace(codebook, books=tuple(_book(reader) for _ in range(count)))


def _book(reader: _Reader) -> Book:
    size = reader.number(2)
    if not 2 <= size <= MOST_VALUES:
        raise ValueError(f"a book has {size} values")
    filled, others, large = (reader.weights(MASKS) for _ in range(3))
    return Book(filled, others, large, reader.weights(size))


def _check_sizes(transform: Transform, factors: Floats | None) -> None:
    """ValueError where a level could make an infinite value, or a factor makes more of a frame."""
    reach = np.abs(transform.back.astype(np.float64)).sum(axis=1) * MOST_LEVEL
    reach *= max(transform.dct.side, 1)
    if (reach + np.abs(transform.mean[:, 0])).max(initial=0) > MOST:
        raise ValueError(f"a level makes a value beyond {MOST:g}")
    if factors is not None and not ((factors >= 0) & (factors <= 1)).all():
        raise ValueError("a factor of the frame before is not 0 to 1")
