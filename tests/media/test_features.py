"""Feature maps as pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitbed.errors import UsageError
from splitbed.media.features import BAD, BORDER, MAX_SIDE, MAX_TILES, paint_features, save_features

MAPS = np.arange(6 * 30 * 40, dtype=np.float32).reshape(1, 6, 30, 40)


def tile(image: Image.Image, column: int, row: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    left, top = 1 + column * (size[0] + 1), 1 + row * (size[1] + 1)
    return np.asarray(image)[top : top + size[1], left : left + size[0], 0].astype(int)


def test_each_channel_is_a_tile_and_grey_goes_from_least_to_greatest() -> None:
    image = paint_features(MAPS, columns=3).image
    assert image.size == (3 * 41 + 1, 2 * 31 + 1)
    assert (tile(image, 0, 0)[0, 0], tile(image, 2, 1)[-1, -1]) == (0, 255)
    expected = np.rint(255 * MAPS[0, 4] / MAPS.max())
    assert np.abs(tile(image, 1, 1) - expected).max() <= 1
    assert image.getpixel((0, 0)) == image.getpixel((41, 5)) == BORDER


def test_channels_may_come_last() -> None:
    last = paint_features(np.moveaxis(MAPS, 1, -1), channels_last=True).image
    assert np.array_equal(np.asarray(last), np.asarray(paint_features(MAPS).image))


def test_a_channel_may_have_its_own_range() -> None:
    image = paint_features(MAPS, columns=3, each_channel=True).image
    assert (tile(image, 1, 0).min(), tile(image, 1, 0).max()) == (0, 255)
    assert tile(paint_features(MAPS, columns=3).image, 1, 0).max() < 128


def test_what_is_not_finite_is_red_and_does_not_count_for_the_range() -> None:
    broken = MAPS.copy()
    broken[0, 0, 0, :2] = np.nan, np.inf
    image = paint_features(broken, columns=3).image
    assert image.getpixel((1, 1)) == image.getpixel((2, 1)) == BAD
    assert tile(image, 2, 1)[-1, -1] == 255


@pytest.mark.parametrize("fill", [np.nan, 3.0, np.finfo(np.float32).max])
def test_a_map_of_one_value_is_borne(fill: float) -> None:
    assert paint_features(np.full((1, 2, 30, 30), fill, np.float32)).channels == 2


def test_the_whole_range_of_fp64_does_not_overflow() -> None:
    most = np.finfo(np.float64).max
    image = paint_features(np.full((1, 1, 30, 40), -most) * np.array([[1], [-1]] * 15)).image
    assert set(np.unique(tile(image, 0, 0))) == {0, 255}


@pytest.mark.parametrize("shape", [(1, 64, 400, 640), (1, 2000, 10, 10), (1, 4, 8732), (100_000,)])
def test_a_mosaic_has_a_bounded_size(shape: tuple[int, ...]) -> None:
    mosaic = paint_features(np.zeros(shape, np.uint8))
    assert max(mosaic.image.size) <= MAX_SIDE


def test_channels_that_are_too_many_are_told() -> None:
    mosaic = paint_features(np.zeros((1, MAX_TILES + 9, 2, 2), np.float32))
    assert (mosaic.shown, mosaic.channels) == (MAX_TILES, MAX_TILES + 9)


def test_small_maps_are_enlarged_without_blending() -> None:
    image = paint_features(np.array([[[[0, 1], [2, 3]]]], np.float32)).image
    assert image.size == (26, 26)
    assert set(np.unique(tile(image, 0, 0, (24, 24)))) == {0, 85, 170, 255}


def test_a_tensor_that_is_no_map_is_a_strip() -> None:
    image = paint_features(np.arange(1500)).image
    assert image.size[0] > 1000
    assert np.asarray(image)[1, 1].tolist() == [0, 0, 0]
    assert np.asarray(image)[-2, -2].tolist() == list(BORDER)  # the second row ends early


def test_names_are_made_safe_and_stay_apart(tmp_path: Path) -> None:
    names = ["/relu_1/Relu", "relu_1_Relu", "../../evil", "..", "C:\\nul\0", "x" * 400]
    saved = save_features(dict.fromkeys(names, MAPS), tmp_path / "made" / "here")
    assert [one.tensor for one in saved] == names
    files = [one.path.name for one in saved]
    assert files[:5] == [
        "relu_1_Relu.png", "relu_1_Relu_2.png", "evil.png", "tensor.png", "C_nul.png",
    ]  # fmt: skip
    assert sorted(files) == sorted(path.name for path in (tmp_path / "made/here").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
    with Image.open(saved[0].path) as image:
        assert image.format == "PNG"


def test_a_tensor_without_values_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(1, 0, 3, 3\): there are no values"):
        paint_features(np.zeros((1, 0, 3, 3)))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot save feature maps"):
        save_features({"a": MAPS}, tmp_path / "file")


def test_what_a_codec_lost_is_darker_or_brighter_than_the_middle_grey(tmp_path: Path) -> None:
    decoded = MAPS.copy()
    decoded[0, 1] -= 100
    decoded[0, 2] += 50
    save_features({"a": MAPS}, tmp_path, columns=3, decoded={"a": decoded})
    with Image.open(tmp_path / "a-lost.png") as image:
        assert [int(tile(image, column, 0).mean()) for column in range(3)] == [128, 0, 191]
        assert int(tile(image, 0, 1).mean()) == 128


def test_what_was_decoded_has_the_greys_of_the_map(tmp_path: Path) -> None:
    beyond = MAPS + 1e6
    save_features({"a": MAPS}, tmp_path, columns=3, decoded={"a": MAPS})
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "a-decoded.png").read_bytes()
    save_features({"a": MAPS}, tmp_path, columns=3, decoded={"a": beyond})
    with Image.open(tmp_path / "a-decoded.png") as image:
        assert set(np.unique(tile(image, 1, 1))) == {255}


def test_of_a_lossless_codec_all_is_middle_grey(tmp_path: Path) -> None:
    save_features({"a": MAPS}, tmp_path, columns=3, decoded={"a": MAPS.copy()})
    with Image.open(tmp_path / "a-lost.png") as image:
        assert set(np.unique(tile(image, 1, 1))) == {128}
