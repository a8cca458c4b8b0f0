"""What tests of codecs share: one tensor, bound to a codec that was calibrated with it."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.codecs import Coder, codec_named
from splitbed.codecs.calibration import calibrated
from splitbed.codecs.fitting import fit
from splitbed.codecs.stage import Setting
from splitbed.tensors import DATATYPES, TensorInfo

Array = npt.NDArray[Any]
NAME = "relu_3"


def info_of(array: Array) -> TensorInfo:
    return TensorInfo(NAME, DATATYPES[array.dtype], array.shape)


def coder_of(
    codec: str, array: Array, calibration: Array | None = None, *, channels_last: bool = False
) -> Coder:
    """A coder of tensors like ``array``."""
    made, infos = codec_named(codec), [info_of(array)]
    frames = [{NAME: array if calibration is None else calibration}]
    ranges = calibrated(frames if made.calibrated else [], channels_last=channels_last)
    setting = Setting(ranges, channels_last)
    return made.bind(infos, replace(setting, tables=fit(made, infos, frames, setting)))


def floats(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, np.float32)


def coded(
    codec: str, array: Array, calibration: Array | None = None, *, channels_last: bool = False
) -> Array:
    """``array``, encoded and decoded, by a coder for either end."""
    ends = [coder_of(codec, array, calibration, channels_last=channels_last) for _ in range(2)]
    result: Array = ends[1].decode(ends[0].encode({NAME: array}))[NAME]
    return result


def feature_map(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Like a map after a Relu: half of it zeros, and a scale to each channel at axis 1."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * np.exp(rng.normal(0, 2, (shape[1], 1, 1)))
    return np.maximum(values, 0).astype(np.float32)
