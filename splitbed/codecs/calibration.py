"""Calibration: what values each channel of a tensor had, in frames other than those measured.

A quantiser spreads its levels over these ranges.  Values outside them are clipped: that is what
calibration means, and why the frames should be like those to come.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from splitbed.codecs.stage import Array, Floats, Range, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo, Tensors

MOST = 1e38
"""The greatest end of a range: FP32's arithmetic on levels bears no more."""


def channel_axis(rank: int, channels_last: bool) -> int:
    """Where the channels of a tensor of ``rank`` dimensions are; see ``Setting``."""
    return 1 if rank >= 3 and not channels_last else max(rank - 1, 0)


def axis_of(info: TensorInfo, setting: Setting) -> int:
    """Where the channels of ``info`` are: where its calibration found them, else where they are
    usually.

    Raises UsageError for an axis that the tensor has not.
    """
    known = setting.ranges.get(info.name)
    if known is None or known.axis is None:
        return channel_axis(len(info.shape), setting.channels_last)
    if not known.axis < len(info.shape):
        raise UsageError(f"channels are said to be along axis {known.axis}: calibrate it again")
    return known.axis


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
    _, channels, _ = folded(info.shape, axis_of(info, setting))
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

    Of three dimensions no model says whether they are tokens x channels or channels x time: the
    frames tell, from two on.  Raises as :func:`measured_range` does; the message names the tensor.
    """
    arrays: dict[str, list[Array]] = {}
    for frame in frames:
        for name, array in frame.items():
            if array.dtype.kind == "f":
                arrays.setdefault(name, []).append(array)
    found = {}
    for name, own in arrays.items():
        usual = channel_axis(own[0].ndim, channels_last)
        try:
            found[name] = measured_range(own, usual)
            if own[0].ndim == 3 and len(own) > 1 and _lost(own, 3 - usual) < _lost(own, usual):
                found[name] = replace(measured_range(own, 3 - usual), axis=3 - usual)
        except NodeError as error:
            raise NodeError(f"cannot calibrate {name}: {error}") from None
    return found


def _lost(frames: Sequence[Array], axis: int) -> float:
    """What 256 levels over the ranges of channels along ``axis`` lose of each half of the frames,
    a mean square of the values, where the ranges are those of the other half.

    On their own frames ranges lose the less the fewer values a channel has.
    """
    if len({frame.shape[axis] for frame in frames}) > 1:
        return math.inf
    half = len(frames) // 2
    lost = 0.0
    for known, new in ((frames[:half], frames[half:]), (frames[half:], frames[:half])):
        limits = measured_range(known, axis)
        low = np.minimum(limits.low, 0).astype(np.float64)[:, None]
        high = np.maximum(limits.high, 0).astype(np.float64)[:, None]
        for frame in new:
            values = frame.reshape(folded(frame.shape, axis))
            beyond = values - np.clip(values, low, high)
            rounded = np.square((high - low) / 255).mean() / 12
            lost += float(np.square(beyond).mean() + rounded) / len(frames)
    return lost


def to_json(ranges: Mapping[str, Range]) -> str:
    """Ranges by tensor name as a JSON text, exactly."""
    rows = {
        name: {"low": limits.low.tolist(), "high": limits.high.tolist()}
        | ({} if limits.axis is None else {"axis": limits.axis})
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


def _read(row: Mapping[str, Any]) -> Range:
    axis = row.get("axis")
    if not (axis is None or (type(axis) is int and axis >= 0)):
        raise ValueError(f"an axis is {axis!r}")
    with np.errstate(over="ignore"):  # it is refused below
        low, high = (np.array(row[end], np.float32) for end in ("low", "high"))
    if low.ndim != 1 or low.shape != high.shape or not (low <= high).all():
        raise ValueError("a range is not as many low as high values, each low <= its high")
    if not np.isfinite([low, high]).all():
        raise ValueError("a range is not finite")
    return Range(low, high, axis)
