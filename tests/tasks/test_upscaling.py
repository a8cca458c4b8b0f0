"""What a super-resolution network gives is read as the pixels of one picture."""

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.tasks import upscaling


def test_floating_point_of_0_to_1_becomes_pixels_and_what_is_beyond_goes_to_the_ends() -> None:
    luma = np.array([[-0.2, 0.0], [0.5, 1.3]], np.float32).reshape(1, 1, 2, 2)
    pixels = upscaling.decode({"y": luma})["pixels"]
    assert (str(pixels.dtype), pixels.shape) == ("uint8", (2, 2, 1))
    assert pixels[..., 0].tolist() == [[0, 0], [128, 255]]


@pytest.mark.parametrize("shape", [(1, 3, 4, 6), (1, 4, 6, 3)])
def test_colours_are_last_wherever_the_model_has_them(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pixels = upscaling.decode({"y": picture})["pixels"]
    last = picture[0] if shape[3] == 3 else picture[0].transpose(1, 2, 0)
    assert np.array_equal(pixels, last)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({"y": np.zeros((1, 5), np.float32)}, "cannot read a picture"),
        ({"y": np.zeros((1, 1, 2, 2), np.int64)}, "cannot read a picture"),
        ({n: np.zeros((1, 1, 2, 2), np.float32) for n in "ab"}, "one of 1xCxHxW is wanted"),
        ({"y": np.full((1, 1, 2, 2), np.nan, np.float32)}, "NaN"),
    ],
)
def test_what_is_no_picture_is_refused(outputs: dict[str, np.ndarray], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        upscaling.decode(outputs)
