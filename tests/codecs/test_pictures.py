"""Codecs of pictures: a picture input crosses as pixels, exactly, as JPEG or as AVIF."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, features

from splitbed.codecs.named import NamedKind
from splitbed.codecs.pictures.stills import KINDS
from splitbed.codecs.stage import Range, Setting, Stage
from splitbed.errors import MachineError, NodeError, UsageError
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


@pytest.mark.parametrize("name", ["jpeg", "avif", "avif:420"])
def test_a_better_quality_is_nearer_and_larger(name: str) -> None:
    tensor = photo(SSD300)
    codecs = [stage(name, SSD300, quality) for quality in (20, 75, 95)]
    coded = [codec.encode(tensor) for codec in codecs]
    errors = [
        np.abs(codec.decode(data) - tensor).mean()
        for codec, data in zip(codecs, coded, strict=True)
    ]
    assert coded[0].size < coded[1].size < coded[2].size < SSD300.height * SSD300.width
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("name", ["jpeg", "avif"])
@pytest.mark.parametrize("chroma", ["420", "444"])
def test_colour_that_changes_with_each_pixel_is_kept_by_444_alone(name: str, chroma: str) -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 210, 40, 60
    stripes[:, 1::2] = 40, 92, 200
    tensor, codec = normalise(stripes, HALF), stage(f"{name}:{chroma}", HALF, 98)
    lost = np.abs(codec.decode(codec.encode(tensor)) - tensor).mean() / tensor.std()
    assert lost < 0.04 if chroma == "444" else lost > 0.3


def test_a_jpeg_on_the_wire_is_a_jpeg_file() -> None:
    with Image.open(io.BytesIO(stage("jpeg", POSENET).encode(photo(POSENET)).tobytes())) as image:
        assert (image.format, image.size) == ("JPEG", (257, 257))


def test_avif_leaves_its_container_at_home_and_takes_fewer_bytes_than_jpeg() -> None:
    tensor = photo(HALF)
    avif, jpeg = stage("avif", HALF), stage("jpeg:444", HALF, 50)
    slow = stage("avif:slow", HALF)
    losses = [np.abs(one.decode(one.encode(tensor)) - tensor).mean() for one in (avif, jpeg, slow)]
    assert losses[0] < losses[1]
    assert avif.encode(tensor).size < 0.75 * jpeg.encode(tensor).size
    assert slow.encode(tensor).size / avif.encode(tensor).size < losses[0] / losses[2]
    assert b"ftyp" not in avif.encode(tensor).tobytes()


@pytest.mark.parametrize("name", ["avif", "avif:420", "avif:slow"])
def test_the_same_picture_gives_the_same_bytes_of_avif(name: str) -> None:
    tensor = photo(GREY)
    first, again = (stage(name, GREY).encode(tensor) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize("side", [1, 17, 300])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("chroma", ["420", "444"])
def test_noise_of_any_size_crosses_as_avif_within_the_most_bytes(
    side: int, colours: int, chroma: str
) -> None:
    recipe = PictureRecipe(min(side, 40), side, mean=(0.0,) * colours, std=(1.0,) * colours)
    size = recipe.height, recipe.width, colours
    noise = (np.random.default_rng(0).integers(0, 2, size) * 255).astype(np.uint8)
    tensor, codec = normalise(noise, recipe), stage(f"avif:{chroma}", recipe, 100)
    coded = codec.encode(tensor)
    assert coded.size < codec.most_bytes
    lost = np.abs(codec.decode(coded) - tensor).mean()
    assert lost < 0.02 or (chroma, colours) == ("420", 3)


@pytest.mark.parametrize("name", ["jpeg", "avif"])
def test_a_feature_map_can_cross_as_a_grey_picture(name: str) -> None:
    tensor = np.linspace(-3, 5, 6 * 20 * 30, dtype=np.float32).reshape(1, 6, 20, 30)
    limits = Range(tensor.min((0, 2, 3)), tensor.max((0, 2, 3)))
    info = TensorInfo("map", "FP32", tensor.shape)
    codec = KINDS[name](info, Setting(ranges={"map": limits}), 95)
    assert np.abs(codec.decode(codec.encode(tensor)) - tensor).max() < 0.2


@pytest.mark.parametrize(("name", "quality"), [("jpeg", 0), ("jpeg", 101), ("avif", 101)])
def test_a_quality_out_of_range_is_refused(name: str, quality: int) -> None:
    with pytest.raises(UsageError, match=f"[01] to 100, not {quality}"):
        stage(name, SSD300, quality)


def test_a_pillow_without_avif_is_told_with_its_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda name: name != "avif")
    with pytest.raises(MachineError, match="has no AVIF: run pip install"):
        stage("avif", SSD300)
    stage("jpeg", SSD300)


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


def test_avif_of_another_size_chroma_or_number_of_frames_is_refused() -> None:
    codec, tensor = stage("avif", HALF), photo(HALF)
    good = codec.encode(tensor)
    larger = replace(HALF, height=600, width=800)
    others = [
        stage("avif", larger).encode(np.zeros(larger.shape, np.float16)),
        stage("avif:420", HALF).encode(tensor),
        np.concatenate((good, good[13:])),
        np.tile(good, 2),
        good[:0], good[:12], good[:13], good[:-1],
        np.frombuffer(b"no picture, and not a short one either", np.uint8),
    ]  # fmt: skip
    for bad in others:
        with pytest.raises(NodeError, match=r"do not begin as those of 96x96|no single whole"):
            codec.decode(bad)


def test_damaged_avif_is_an_error_or_a_picture_of_the_size_due() -> None:
    codec, tensor = stage("avif", HALF), photo(HALF)
    good, rng, refused = codec.encode(tensor), np.random.default_rng(0), 0
    for _ in range(150):
        bad = good.copy()
        bad[rng.integers(0, good.size, 3)] ^= np.uint8(1) << rng.integers(0, 8, 3).astype(np.uint8)
        try:
            assert codec.decode(bad).shape == tensor.shape
        except NodeError:
            refused += 1
    assert 0 < refused < 150
    assert np.array_equal(codec.decode(good), stage("avif", HALF).decode(good))
