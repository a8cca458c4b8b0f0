"""A tensor as coefficients of one step, and back: mean, KLT over channels, DCT over space.

    coefficients = DCT(forward @ (tensor - mean))         tensor = back @ DCT'(coefficients) + mean

``forward`` is U' W^1/2 / step, where W says how sensitive part 2 is to each channel and U are the
principal axes of what W^1/2 makes of the calibration frames.  White noise there is white noise in
the outputs of part 2, so that one step serves all components, and those that are below it vanish by
themselves (reverse water-filling).  In place of the DCT, the places of a block may be channels of
their own, and the KLT over both together.  Nothing is clipped on the way back: a clip to a Relu's
range would bias every zero upwards, which the next layer adds up.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from splitbed.codecs.calibration import channel_axis, folded, refuse_not_finite
from splitbed.codecs.klt.dct import Dct
from splitbed.codecs.stage import Array, Floats, Setting
from splitbed.errors import UsageError
from splitbed.tensors import NUMPY_TYPES, TensorInfo

MOST_LEVEL = 1 << 22
"""The greatest level: FP32 has it, and all below, exactly."""
JOINT = 4
"""The side of the blocks whose places the KLT may have together with the channels."""
MOST_CHANNELS = 2048
"""Of a KLT, whose axes take the cube of them to find."""


@dataclass(frozen=True)
class Layout:
    """A tensor as channels, each of so many planes of ``height`` x ``width`` places.

    Where ``block`` is more than 1, a plane is of blocks of that side, and each place of a block is
    a channel of its own: of 64 channels of 24 x 32 places, 1024 of 6 x 8.
    """

    info: TensorInfo
    axis: int
    block: int = 1

    @classmethod
    def of(cls, info: TensorInfo, setting: Setting) -> "Layout":
        """That of `info`, whose channels are where ``setting`` says."""
        return cls(info, channel_axis(len(info.shape), setting.channels_last))

    def ways(self) -> tuple["Layout", ...]:
        """This, and those of the other axes that channels may be along.

        Of three dimensions the last two are tokens x channels or channels x time: no model says so.
        """
        if len(self.info.shape) != 3:
            return (self,)
        return self, replace(self, axis=3 - self.axis)

    def along(self, axis: int) -> "Layout":
        """That of them with channels along this axis; ValueError where there is none."""
        for way in self.ways():
            if way.axis == axis:
                return way
        known = " or ".join(str(way.axis) for way in self.ways())
        raise ValueError(f"channels are along axis {axis}, where {known} was due")

    def by_blocks(self, side: int) -> "Layout":
        """The same by blocks of that side; ValueError where planes are not of whole blocks."""
        if any(length % side for length in self.plane):
            height, width = self.plane
            raise ValueError(f"{height} x {width} places are no blocks of {side} x {side}")
        return replace(self, block=side)

    def check(self) -> None:
        """Raise UsageError where it has too many channels, along whichever axis."""
        fewest = min(way.channels for way in self.ways())
        if fewest > MOST_CHANNELS:
            raise UsageError(
                f"it has {fewest} channels, and {MOST_CHANNELS} are the most that a KLT is"
                " made of; int8 takes any number"
            )

    @property
    def channels(self) -> int:
        """How many there are."""
        return folded(self.info.shape, self.axis)[1] * self.block**2

    @property
    def places(self) -> int:
        """Values of a channel."""
        return math.prod(self._rest) // self.block**2

    @property
    def plane(self) -> tuple[int, int]:
        """Height and width."""
        height, width = math.prod(self._rest[-2:-1]), math.prod(self._rest[-1:])
        return height // self.block, width // self.block

    @property
    def planes(self) -> int:
        """Of each channel: of a batch there are several."""
        return math.prod(self._rest[:-2])

    @property
    def last(self) -> bool:
        """Whether channels are next to one another."""
        return self.axis == len(self.info.shape) - 1

    def apart(self, array: Array) -> Floats:
        """Channels x places, FP32; NodeError for NaN, infinity and what is beyond FP32."""
        with np.errstate(over="ignore"):  # what is beyond FP32 is infinite, and refused
            values = array.astype(np.float32, copy=False)
        refuse_not_finite(values)
        apart = np.moveaxis(np.atleast_1d(values), self.axis, 0)
        if self.block == 1:
            return apart.reshape(self.channels, self.places)
        height, width = (length * self.block for length in self.plane)
        return self.blocks_of(apart.reshape(-1, self.planes, height, width))

    def blocks_of(self, planes: Floats) -> Floats:
        """Channels of blocks x places, of channels x planes x height x width."""
        side, (height, width) = self.block, planes.shape[2:]
        shape = *planes.shape[:2], height // side, side, width // side, side
        blocks = planes.reshape(shape).transpose(0, 3, 5, 1, 2, 4)
        return blocks.reshape(len(planes) * side**2, -1)

    def together(self, values: Floats) -> Array:
        """The tensor of channels x places, rounded and kept in the range of its datatype."""
        dtype = np.dtype(NUMPY_TYPES[self.info.datatype])
        if dtype.kind in "iu":
            np.rint(values, out=values)
        if dtype.kind in "iu" or dtype == np.float16:
            most = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
            np.clip(values, most.min, most.max, out=values)
        if self.block > 1:
            values = values.reshape(-1).take(self._from_blocks)
        array = np.moveaxis(values.reshape(-1, *self._rest), 0, self.axis)
        return np.asarray(array, dtype, order="C").reshape(self.info.shape)

    @cached_property
    def _from_blocks(self) -> npt.NDArray[np.intp]:
        """Where each value of channels x places is among those of blocks: to look there takes half
        as long as to turn six axes."""
        places = np.arange(self.channels * self.places)
        blocks = places.reshape(-1, self.block, self.block, self.planes, *self.plane)
        return np.ascontiguousarray(blocks.transpose(0, 3, 4, 1, 5, 2)).ravel()

    @property
    def _rest(self) -> tuple[int, ...]:
        """The shape without channels."""
        return self.info.shape[: self.axis] + self.info.shape[self.axis + 1 :]


@dataclass(frozen=True)
class Transform:
    """Components x places of coefficients, each a multiple of one step, of a tensor.

    ``forward`` is FP32 of components x channels, ``back`` of channels x components, ``mean`` of
    channels x 1.  ``strays``, 2 x channels, are sums of what is no component, with either sign:
    where they exceed ``bound``, a tensor has what calibration did not show, and would lose it.
    """

    layout: Layout
    dct: Dct
    forward: Floats
    back: Floats
    mean: Floats
    strays: Floats
    bound: float = math.inf

    @property
    def shape(self) -> tuple[int, int]:
        """Components and places."""
        return len(self.forward), self.layout.places

    @property
    def size(self) -> int:
        """Coefficients."""
        return math.prod(self.shape)

    @cached_property
    def blocks(self) -> npt.NDArray[np.intp]:
        """Of each place the block that the DCT has it in."""
        block = self.dct.block.ravel()
        count = int(block.max(initial=-1)) + 1
        return np.add.outer(np.arange(self.layout.planes) * count, block).ravel()

    @cached_property
    def _rows(self) -> tuple[Floats, Floats]:
        """Components and strays, and what they are of the mean."""
        rows = np.concatenate([self.forward, self.strays])
        return rows, np.asarray(rows.astype(np.float64) @ self.mean, np.float32)

    @cached_property
    def _back(self) -> Floats:
        """The way back of components, and of a 1 behind them, which adds the mean."""
        return np.concatenate([self.back, self.mean], axis=1)

    def coefficients(self, array: Array, work: "Work | None" = None) -> Floats | None:
        """Of a tensor, not rounded; None where it is too far from those of calibration.

        They are in ``work``, where that is given, until it is used again.
        Raises NodeError for NaN and infinity.
        """
        values = self.layout.apart(array)
        if not len(self.forward) and not (values == self.mean).all():
            return None  # nothing ever varied, and does here
        found, stray = self.of_planes(values, work)
        # NaN, of what is beyond FP32, is neither
        return found if _size(found) <= MOST_LEVEL and stray <= self.bound else None

    def of_planes(self, values: Floats, work: "Work | None" = None) -> tuple[Floats, float]:
        """Coefficients of channels x places, and the most of what they leave out."""
        work = work or Work(self)
        with np.errstate(over="ignore", invalid="ignore"):
            rows, offset = self._rows
            np.matmul(rows, values, out=work.whole)
            work.whole -= offset
            stray = _size(work.whole[len(self.forward) :])
            return self.dct.forward(work.found, work.half), stray

    def only(self, kept: npt.NDArray[np.bool_], dct: Dct) -> "Transform":
        """The same with these components alone, and that DCT."""
        rest = self.forward[~kept]
        signs = np.ones((2, len(rest)), np.float32)
        signs[1, 1::2] = -1
        forward, back = self.forward[kept], np.ascontiguousarray(self.back[:, kept])
        return replace(self, dct=dct, forward=forward, back=back, strays=signs @ rest)

    def tensor(self, coefficients: Floats, work: "Work | None" = None) -> Array:
        """The tensor of components x places of coefficients, which may be those of ``work``."""
        work = work or Work(self)
        found = self.dct.back(coefficients, work.half, work.found)
        if found is not work.found:
            np.copyto(work.found, found)
        # In the order that the tensor has, so that it need not be turned.
        back, components = self._back, work.with_one
        values = (components.T @ back.T).T if self.layout.last else back @ components
        return self.layout.together(values)


class Work:
    """Arrays that a coder works in, frame after frame: new ones take as long as the arithmetic.

    ``whole`` has a row for each component, and two for what is none; ``found`` are the components
    of it, and ``half`` is as large as these.
    """

    def __init__(self, transform: Transform) -> None:
        components, places = transform.shape
        self.whole = np.empty((components + 2, places), np.float32)
        self.found = self.whole[:components]
        self.half = np.empty((components, places), np.float32)

    @property
    def with_one(self) -> Floats:
        """The components, and a row of ones behind them."""
        self.whole[len(self.found)] = 1
        return self.whole[: len(self.found) + 1]


def _size(values: Floats) -> float:
    """The greatest magnitude; NaN where one is."""
    return float(np.maximum(values.max(initial=0), -values.min(initial=0)))
