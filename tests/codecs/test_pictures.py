"""Codecs of pictures: a picture input crosses as pixels, exactly or as JPEG."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from splitbed.codecs.codec import NamedKind
from splitbed.codecs.pictures import KINDS
from splitbed.codecs.stage import Range, Setting, Stage
from splitbed.errors import NodeError, UsageError
from splitbed.media.pictures import load_pictures, normalise, pixels_of, preprocess
from splitbed.media.recipes import PictureRecipe, recipe_for
from splitbed.tensors import TensorInfo
from splitbed.zoo import ZOO

assert ZOO["ssd300"].picture and ZOO["posenet"].picture
SSD300 = ZOO["ssd300"].picture
POSENET = replace(ZOO["posenet"].picture, layout="NHWC")
BYTES = recipe_for(TensorInfo("image", "UINT8", (1, 96, 96, 3)))
SIGNED = recipe_for(TensorInfo("image", "INT8", (1, 96, 96, 3)))
HALF = PictureRecipe(96, 96, datatype="FP16")
GREY = PictureRecipe(97, 95, mean=(0.0,), std=(1.0,))
RECIPES = [SSD300, POSENET, BYTES, SIGNED, HALF, GREY]


def stage(name: str, recipe: PictureRecipe, parameter: int | None = None) -> Stage:
    info = TensorInfo("image", recipe.datatype, recipe.shape)
    kind = NamedKind.of(name, KINDS[name.partition(":")[0]], "codec").kind
    return kind(info, Setting(picture=recipe), parameter)


def photo(recipe: PictureRecipe) -> np.ndarray:
    return preprocess(load_pictures()[0].read(), recipe)


@pytest.mark.parametrize("recipe", RECIPES)
def test_raw_pixels_give_the_input_back_bit_by_bit(recipe: PictureRecipe) -> None:
    tensor, codec = photo(recipe), stage("uint8", recipe)
    pixels = codec.encode(tensor)
    assert pixels.nbytes == codec.most_bytes == recipe.height * recipe.width * len(recipe.mean)
    back = codec.decode(pixels)
    assert back.dtype == tensor.dtype
    assert np.array_equal(back, tensor)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_pixel_survives_normalisation(recipe: PictureRecipe) -> None:
    channels = len(recipe.mean)
    every = np.repeat(np.arange(256, dtype=np.uint8), channels).reshape(16, 16, channels)
    small = replace(recipe, height=16, width=16)
    assert np.array_equal(pixels_of(normalise(every, small), small), every)


def test_raw_pixels_are_for_pictures() -> None:
    with pytest.raises(UsageError, match="picture input"):
        KINDS["uint8"](TensorInfo("map", "FP32", (1, 64, 75, 75)), Setting(), None)


def test_an_input_that_its_recipe_does_not_make_is_refused() -> None:
    with pytest.raises(UsageError, match="pictures are made FP32"):
        KINDS["uint8"](TensorInfo("x", "FP32", (1, 3, 9, 9)), Setting(picture=SSD300), None)


def test_a_better_jpeg_is_nearer_and_larger() -> None:
    tensor = photo(SSD300)
    codecs = [stage("jpeg", SSD300, quality) for quality in (20, 75, 95)]
    coded = [codec.encode(tensor) for codec in codecs]
    errors = [
        np.abs(codec.decode(data) - tensor).mean()
        for codec, data in zip(codecs, coded, strict=True)
    ]
    assert coded[0].size < coded[1].size < coded[2].size < SSD300.height * SSD300.width
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("chroma", ["420", "444"])
def test_colour_that_changes_with_each_pixel_is_kept_by_444_alone(chroma: str) -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 210, 40, 60
    stripes[:, 1::2] = 40, 92, 200
    tensor, codec = normalise(stripes, HALF), stage(f"jpeg:{chroma}", HALF, 98)
    lost = np.abs(codec.decode(codec.encode(tensor)) - tensor).mean() / tensor.std()
    assert lost < 0.04 if chroma == "444" else lost > 0.3


def test_a_jpeg_on_the_wire_is_a_jpeg_file() -> None:
    with Image.open(io.BytesIO(stage("jpeg", POSENET).encode(photo(POSENET)).tobytes())) as image:
        assert (image.format, image.size) == ("JPEG", (257, 257))


def test_a_feature_map_can_cross_as_a_grey_jpeg() -> None:
    tensor = np.linspace(-3, 5, 6 * 20 * 30, dtype=np.float32).reshape(1, 6, 20, 30)
    limits = Range(tensor.min((0, 2, 3)), tensor.max((0, 2, 3)))
    info = TensorInfo("map", "FP32", tensor.shape)
    codec = KINDS["jpeg"](info, Setting(ranges={"map": limits}), 95)
    assert np.abs(codec.decode(codec.encode(tensor)) - tensor).max() < 0.2


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(UsageError, match="1 to 100"):
        stage("jpeg", SSD300, quality)


@pytest.mark.parametrize("name", KINDS)
def test_values_that_are_not_finite_are_counted(name: str) -> None:
    tensor = photo(SSD300)
    tensor[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    with pytest.raises(NodeError, match="3 of its 270000 values"):
        stage(name, SSD300).encode(tensor)


def jpeg(mode: str = "RGB", size: tuple[int, int] = (300, 300), **options: bool) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        jpeg()[:-200],
        jpeg(size=(300, 301)),
        jpeg().replace(b"\x01\x2c\x01\x2c", b"\xff\xff\xff\xff"),
        jpeg("L"),
        jpeg("CMYK"),
        jpeg(progressive=True),
    ],
    ids=["none", "text", "cut", "larger", "huge", "grey", "cmyk", "progressive"],
)
def test_bytes_that_are_not_the_jpeg_due_are_refused(data: bytes) -> None:
    with pytest.raises(NodeError, match=r"JPEG|pixels"):
        stage("jpeg", SSD300).decode(np.frombuffer(data, np.uint8))
