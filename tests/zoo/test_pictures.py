"""Pictures: found, hashed, decoded as RGB and upright, refused by name."""

import hashlib
import importlib.util
import io
import struct
import zlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splitbed.errors import MachineError, UsageError
from splitbed.media.pictures import (
    MAX_PIXELS,
    load_pictures,
    pixels_of,
    preprocess,
    random_inputs,
    upright,
)
from splitbed.media.recipes import PictureRecipe, image_recipe, recipe_for
from splitbed.tensors import NUMPY_TYPES, TensorInfo

PLAIN = PictureRecipe(4, 6, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def encoded(pixels: Any, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, kind, **options)
    return file.getvalue()


RED = encoded(np.full((4, 6, 3), (255, 0, 0)))


def test_the_default_picture_is_matplotlibs_portrait() -> None:
    (picture,) = load_pictures()
    assert picture.name == "grace_hopper.jpg"
    assert picture.source.startswith("matplotlib 3.")
    assert picture.sha256 == hashlib.sha256(picture.read()).hexdigest()
    assert picture.md5 == hashlib.md5(picture.read()).hexdigest()


def test_without_matplotlib_the_repair_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install --force-reinstall matplotlib"):
        load_pictures()


def test_a_folder_gives_its_pictures_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "notes.txt"):
        (tmp_path / name).write_bytes(RED)
    assert [picture.name for picture in load_pictures(tmp_path)] == ["a.PNG", "b.png"]


def test_a_file_is_a_picture_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    path.write_bytes(RED)
    (picture,) = load_pictures(path)
    assert picture.source == str(path)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no picture in the folder.*\.webp"):
        load_pictures(tmp_path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.jpg"):
        load_pictures(tmp_path / "gone.jpg")


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "text.jpg"
    path.write_bytes(b"not a picture")
    with pytest.raises(UsageError, match=r"text\.jpg is not a picture"):
        load_pictures(path)


def test_a_truncated_picture_is_refused_by_name() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3))
    with pytest.raises(UsageError, match=r"cannot decode half\.jpg"):
        preprocess(encoded(noise, "JPEG")[:1500], PLAIN, "half.jpg")


def bomb(side: int) -> bytes:
    """A PNG whose header promises side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [int(MAX_PIXELS**0.5) + 1, 60_000])
def test_a_decompression_bomb_is_refused_before_decoding(side: int) -> None:
    with pytest.raises(UsageError, match=r"will not decode bomb\.png"):
        preprocess(bomb(side), PLAIN, "bomb.png")


@pytest.mark.parametrize(
    ("most_bytes", "fits"), [(3 * 100 * 100, True), (3 * 100 * 100 - 1, False)]
)
def test_a_picture_is_decoded_to_so_many_bytes(most_bytes: int, fits: bool) -> None:
    picture = encoded(np.zeros((100, 100, 3), np.uint8), "PNG")
    if fits:
        assert preprocess(picture, PLAIN, "p.png", most_bytes).shape == PLAIN.shape
    else:
        with pytest.raises(UsageError, match=r"will not decode p\.png: 100x100"):
            preprocess(picture, PLAIN, "p.png", most_bytes)


@pytest.mark.parametrize(("height", "width"), [(0, 128), (96, 0), (100_000, 100_000)])
def test_an_input_of_no_pixels_or_of_too_many_is_refused(height: int, width: int) -> None:
    with pytest.raises(UsageError, match=f"an input of {width}x{height} pixels of red"):
        preprocess(RED, replace(PLAIN, height=height, width=width), "red.png")


def test_an_input_is_batch_channels_height_width_in_single_precision() -> None:
    image = preprocess(RED, PLAIN)
    assert image.shape == PLAIN.shape == (1, 3, 4, 6)
    assert image.dtype == np.float32
    assert image.flags.c_contiguous


def test_red_comes_first() -> None:
    assert preprocess(RED, PLAIN)[0, :, 0, 0].tolist() == [1, 0, 0]


def test_the_default_normalisation_is_imagenets() -> None:
    image = preprocess(RED, PictureRecipe(4, 6))
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, -0.406 / 0.225]
    assert np.allclose(image[0, :, 0, 0], expected)


def test_channels_can_come_last() -> None:
    recipe = PictureRecipe(4, 6, "NHWC", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    image = preprocess(RED, recipe)
    assert image.shape == recipe.shape == (1, 4, 6, 3)
    assert image[0, 0, 0].tolist() == [1, 0, 0]


def test_one_channel_is_grey() -> None:
    image = preprocess(RED, PictureRecipe(4, 6, mean=(0.0,), std=(1.0,)))
    assert image.shape == (1, 1, 4, 6)
    assert np.allclose(image, 76 / 255)  # the luma of red, 0.299, in 8 bits


def test_half_precision_inputs_are_made_as_such() -> None:
    assert preprocess(RED, PictureRecipe(4, 6, datatype="FP16")).dtype == np.float16


def test_exif_orientation_is_honoured() -> None:
    pixels = np.zeros((6, 4, 3))
    pixels[0] = 255  # a white row on top, stored on its side
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to show
    image = preprocess(encoded(pixels, exif=exif), PLAIN)
    assert np.allclose(image[0, 0, :, -1], 1)
    assert np.allclose(image[0, 0, :, 0], 0)


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    file = io.BytesIO()
    Image.fromarray(np.full((4, 6), 0x8000, np.uint16)).save(file, "PNG")
    assert np.allclose(preprocess(file.getvalue(), PLAIN), 128 / 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "GIF", "PPM"])
def test_common_formats_are_read(kind: str) -> None:
    image = preprocess(encoded(np.full((4, 6, 3), 200), kind), PLAIN)
    assert np.allclose(image, 200 / 255, atol=0.02)


def test_transparent_and_palette_pictures_are_read() -> None:
    file = io.BytesIO()
    Image.new("P", (6, 4)).save(file, "PNG", transparency=0)
    assert preprocess(file.getvalue(), PLAIN).shape == (1, 3, 4, 6)


def test_resizing_blends_neighbours() -> None:
    stripes = np.zeros((8, 12, 3))
    stripes[:, ::2] = 255
    assert 0.3 < preprocess(encoded(stripes), PLAIN).mean() < 0.7
    assert preprocess(encoded(stripes), PLAIN).std() < 0.2


@pytest.mark.parametrize(
    ("datatype", "shape", "layout"),
    [
        ("FP32", (1, 3, 224, 200), "NCHW"),
        ("FP32", (1, 224, 200, 3), "NHWC"),
        ("FP16", (1, 1, 224, 200), "NCHW"),
    ],
)
def test_an_input_shaped_as_a_picture_has_a_recipe_of_its_shape(
    datatype: str, shape: tuple[int, ...], layout: str
) -> None:
    recipe = recipe_for(TensorInfo("x", datatype, shape))
    assert recipe is not None
    assert (recipe.shape, recipe.layout, recipe.datatype) == (shape, layout, datatype)


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [
        ("FP32", (1, 10)),
        ("FP32", (2, 3, 8, 8)),
        ("FP32", (1, 4, 8, 8)),
        ("INT64", (1, 3, 8, 8)),
        ("INT16", (1, 3, 8, 8)),
    ],
)
def test_other_inputs_have_no_recipe(datatype: str, shape: tuple[int, ...]) -> None:
    assert recipe_for(TensorInfo("x", datatype, shape)) is None


def test_a_models_recipe_follows_the_size_and_the_layout_of_its_input() -> None:
    recipe = PictureRecipe(4, 6, mean=(0.5,) * 3, std=(0.5,) * 3)
    last = recipe.made_for(TensorInfo("x", "FP32", (1, 8, 10, 3)))
    assert last == replace(recipe, height=8, width=10, layout="NHWC")
    assert recipe.made_for(TensorInfo("x", "FP32", (1, 3, 8, 10))).shape == (1, 3, 8, 10)
    assert recipe.made_for(TensorInfo("x", "FP32", (1, 5))) == recipe


@pytest.mark.parametrize(
    ("datatype", "shape", "value"), [("FP32", (1, 1, 8, 8), 0.4), ("UINT8", (1, 8, 8, 3), 102)]
)
def test_an_output_that_is_a_picture_is_of_0_to_1_or_pixels(
    datatype: str, shape: tuple[int, ...], value: float
) -> None:
    recipe = image_recipe(TensorInfo("y", datatype, shape))
    assert recipe is not None
    output = np.full(shape, value, NUMPY_TYPES[datatype])
    assert (pixels_of(output, recipe) == 102).all()
    assert image_recipe(TensorInfo("y", "FP32", (1, 4, 8, 8))) is None


@pytest.mark.parametrize(("datatype", "less"), [("UINT8", 0), ("INT8", 128)])
def test_an_8_bit_input_gets_the_pixels_themselves(datatype: str, less: int) -> None:
    recipe = recipe_for(TensorInfo("x", datatype, (1, 16, 16, 3)))
    assert recipe is not None
    pixels = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
    tensor = preprocess(encoded(pixels), recipe)
    assert np.array_equal(tensor[0].astype(int), pixels.astype(int) - less)


INPUTS = [
    TensorInfo("x", "FP32", (2, 300)),
    TensorInfo("ids", "INT64", (1, 300)),
    TensorInfo("pixels", "UINT8", (1, 300)),
    TensorInfo("mask", "BOOL", (300,)),
    TensorInfo("scale", "FP16", ()),
]


def test_random_inputs_have_the_names_types_and_shapes_asked_for() -> None:
    made = random_inputs(INPUTS, seed=0)
    assert [TensorInfo(n, {"bool": "BOOL"}.get(v.dtype.name, ""), v.shape).shape for n, v in
            made.items()] == [tensor.shape for tensor in INPUTS]  # fmt: skip
    assert [value.dtype.name for value in made.values()] == [
        "float32", "int64", "uint8", "bool", "float16",
    ]  # fmt: skip


def test_random_inputs_are_the_same_for_the_same_seed() -> None:
    first, again, other = (random_inputs(INPUTS, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["x"], other["x"])


@pytest.mark.parametrize("datatype", ["FP32", "FP16", "BOOL", "UINT8", "INT8", "INT64"])
def test_random_inputs_are_drawn_in_blocks_as_at_once(datatype: str) -> None:
    size = (1 << 20) + 7
    (made,) = random_inputs([TensorInfo("x", datatype, (size,))], seed=3).values()
    rng, dtype = np.random.Generator(np.random.PCG64(3)), np.dtype(NUMPY_TYPES[datatype])
    low, high = {"UINT8": (0, 256), "INT8": (-128, 128)}.get(datatype, (0, 2))
    at_once = rng.standard_normal(size) if dtype.kind == "f" else rng.integers(low, high, size)
    assert np.array_equal(made, at_once.astype(dtype))


def test_random_integers_are_safe_as_indices_and_bytes_span_their_range() -> None:
    made = random_inputs(INPUTS, seed=0)
    assert set(made["ids"].ravel().tolist()) == {0, 1}
    assert made["pixels"].max() > 200


def test_damaged_exif_is_passed_over_or_told() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E], exif[0x8298] = 6, "a picture", "somebody"
    Image.new("RGB", (8, 8)).save(out := io.BytesIO(), "JPEG", exif=exif)
    whole, rng = out.getvalue(), Random(0)
    begin = whole.index(b"Exif")
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            damaged[begin + 6 + rng.randrange(len(exif.tobytes()) - 6)] = rng.randrange(256)
        with suppress(UsageError):
            upright(bytes(damaged), "a.jpg")
