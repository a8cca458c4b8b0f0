"""How like two pictures are (clause 6's computer vision metrics), by scikit-image."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError

WINDOW = 11  # of SSIM's Gaussian window


@dataclass(frozen=True)
class ImageQuality:
    """Peak signal-to-noise ratio in dB and structural similarity (1 is the same).

    SSIM is that of Wang et al. (2004): a Gaussian window with a deviation of 1.5 pixels, the mean
    over the channels. None, with the ``reason``, is what cannot be: the PSNR of pictures that are
    the same, which is infinite, and the SSIM of pictures smaller than the window.
    """

    psnr_db: float | None
    ssim: float | None
    identical: bool
    reason: str | None = None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        return {"psnr_db": self.psnr_db, "ssim": self.ssim}


def image_quality(
    reference: npt.NDArray[Any], other: npt.NDArray[Any], data_range: float = 255
) -> ImageQuality:
    """The quality of ``other``, HxW or HxWxC, against ``reference`` of the same shape.

    ``data_range`` is the span of what a pixel may hold: 255 for 8 bits, 1 for fractions.

    Raises:
        UsageError: arrays of different shapes or of another rank; a data range that is not
            positive; values that are not finite.
    """
    _check(reference, other, data_range)
    from skimage import metrics

    untyped: Any = metrics
    one, two = reference.astype(np.float64), other.astype(np.float64)
    identical = bool(np.array_equal(one, two))
    reasons, psnr_db, ssim = [], None, None
    if identical:
        reasons.append("the pictures are the same: their PSNR is infinite")
    else:
        psnr_db = float(untyped.peak_signal_noise_ratio(one, two, data_range=data_range))
    if min(one.shape[:2]) < WINDOW:
        reasons.append(f"SSIM needs {WINDOW} pixels on each side")
    else:
        ssim = float(
            untyped.structural_similarity(
                one,
                two,
                data_range=data_range,
                channel_axis=2 if one.ndim == 3 else None,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            )
        )
    return ImageQuality(psnr_db, ssim, identical, "; ".join(reasons) or None)


def _check(one: npt.NDArray[Any], two: npt.NDArray[Any], data_range: float) -> None:
    if one.shape != two.shape or one.ndim not in (2, 3) or not one.size:
        raise UsageError(
            f"cannot compare pictures of shapes {one.shape} and {two.shape}: give two of the same"
            " shape, height x width or height x width x channels"
        )
    if not (data_range > 0 and math.isfinite(data_range)):
        raise UsageError(f"a data range of {data_range:g} cannot be: pixels of 8 bits have 255")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise UsageError("cannot compare pictures with values that are NaN or infinite")
