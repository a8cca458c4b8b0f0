"""Calibration: what values each channel of a tensor had, in frames other than those measured.

A quantiser spreads its levels over these ranges.  Values outside them are clipped: that is what
calibration means, and why the frames should be like those to come.
"""

import json
import math
from collections.abc import Iterable, Mapping

import numpy as np

from splitbed.codecs.stage import Array, Floats, Range, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo, Tensors

MOST = 1e38
"""The greatest end of a range: FP32's arithmetic on levels bears no more."""


def channel_axis(rank: int, channels_last: bool) -> int:
    """Where the channels of a tensor of ``rank`` dimensions are; see ``Setting``."""
    return 1 if rank >= 3 and not channels_last else max(rank - 1, 0)


def folded(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """``shape`` as what is before, at and after ``axis``; one channel without dimensions."""
    if not shape:
        return 1, 1, 1
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def limits_of(info: TensorInfo, setting: Setting) -> tuple[Floats, Floats]:
    """Low and high of each channel of ``info``; FP32 of shape (channels,).

    Raises:
        UsageError: they are not known, are those of other channels, or no quantiser bears them.
    """
    if info.name not in setting.ranges:
        raise UsageError("the range of its values is not known: calibrate it with frames first")
    low, high = setting.ranges[info.name].low, setting.ranges[info.name].high
    _, channels, _ = folded(info.shape, channel_axis(len(info.shape), setting.channels_last))
    if low.shape != (channels,) or high.shape != (channels,):
        raise UsageError(
            f"it has {channels} channels, and was calibrated with {low.size}: calibrate it again"
        )
    if not ((low <= high) & (low >= -MOST) & (high <= MOST)).all():
        raise UsageError(f"a channel's range is none, or beyond {MOST:g}: calibrate it again")
    return low, high


def refuse_not_finite(array: Array) -> None:
    """NodeError where a quantiser has no level for a value."""
    # Either end of the values is NaN where one is: two passes that write nothing.
    if math.isfinite(array.min(initial=0)) and math.isfinite(array.max(initial=0)):
        return
    bad = array.size - np.count_nonzero(np.isfinite(array))
    raise NodeError(
        f"{bad} of its {array.size} values are NaN or infinite, which no level stands for;"
        " raw, fp16, bf16, zstd, shuffle and sparse carry them"
    )


def measured_range(frames: Iterable[Array], axis: int) -> Range:
    """The range of each channel along ``axis``, over all ``frames`` of a tensor.

    A tensor without values has the range 0 to 0.

    Raises:
        UsageError: no frame.
        NodeError: a frame has NaN, or values beyond FP32, or another number of channels.
    """
    return _merged([_range(frame, axis) for frame in frames])


def calibrated(frames: Iterable[Tensors], *, channels_last: bool = False) -> dict[str, Range]:
    """The ranges of the floating point tensors of ``frames``, by name.

    Raises as :func:`measured_range` does; the message names the tensor.
    """
    found: dict[str, list[Range]] = {}
    for frame in frames:
        for name, array in frame.items():
            if array.dtype.kind == "f":
                axis = channel_axis(array.ndim, channels_last)
                try:
                    found.setdefault(name, []).append(_range(array, axis))
                except NodeError as error:
                    raise NodeError(f"cannot calibrate {name}: {error}") from None
    return {name: _merged(ranges) for name, ranges in found.items()}


def to_json(ranges: Mapping[str, Range]) -> str:
    """Ranges by tensor name as a JSON text, exactly."""
    rows = {
        name: {"low": limits.low.tolist(), "high": limits.high.tolist()}
        for name, limits in ranges.items()
    }
    return json.dumps(rows, allow_nan=False)


def from_json(text: str) -> dict[str, Range]:
    """The ranges that :func:`to_json` wrote.

    Raises:
        UsageError: the text is something else, or a range is none.
    """
    try:
        return {name: _read(row) for name, row in json.loads(text).items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UsageError(
            f"cannot read the calibration: {error}; calibrate again, or give a run's own"
        ) from None


def _range(frame: Array, axis: int) -> Range:
    values = frame.reshape(folded(frame.shape, axis))
    with np.errstate(over="ignore"):  # it is refused below
        low, high = (
            (ends(values, axis=(0, 2)) if frame.size else np.zeros(values.shape[1]))
            .astype(np.float32)
            for ends in (np.min, np.max)
        )  # fmt: skip
    if not np.isfinite([low, high]).all():
        bad = frame.size - np.count_nonzero(np.isfinite(frame))
        raise NodeError(
            f"{bad} of the {frame.size} values of a calibration frame are NaN or infinite"
            if bad
            else "a calibration frame has values beyond FP32"
        )
    return Range(low, high)


def _merged(ranges: list[Range]) -> Range:
    if not ranges:
        raise UsageError("cannot calibrate without a frame: give one or more")
    if len({limits.low.shape for limits in ranges}) > 1:
        raise NodeError("the calibration frames differ in how many channels they have")
    return Range(
        np.min([limits.low for limits in ranges], axis=0),
        np.max([limits.high for limits in ranges], axis=0),
    )


def _read(row: Mapping[str, list[float]]) -> Range:
    with np.errstate(over="ignore"):  # it is refused below
        low, high = (np.array(row[end], np.float32) for end in ("low", "high"))
    if low.ndim != 1 or low.shape != high.shape or not (low <= high).all():
        raise ValueError("a range is not as many low as high values, each low <= its high")
    if not np.isfinite([low, high]).all():
        raise ValueError("a range is not finite")
    return Range(low, high)
