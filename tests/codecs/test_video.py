"""Video codecs: pictures and feature maps cross as HEVC or AVC, a frame in, a frame out."""

import builtins
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.codecs.named import NamedKind
from splitbed.codecs.pictures.video import KINDS
from splitbed.codecs.stage import Array, Range, Setting, Stage
from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.media.pictures import normalise
from splitbed.media.recipes import PictureRecipe, image_recipe
from splitbed.tensors import TensorInfo

pytest.importorskip("av", reason="needs PyAV: pip install 'splitbed[video]'")

ODD = PictureRecipe(65, 131, "NHWC", (0.5,) * 3, (0.5,) * 3)
INTER = [name for name in KINDS if KINDS[name].sequential]
CHOSEN = [*KINDS, "avc:444,slow", "hevc10-inter:444"]
RNG = np.random.default_rng(0)
COLOURS = np.kron(RNG.random((10, 10, 3)), np.ones((32, 32, 1)))
SCENE = (COLOURS * 180 + RNG.random((320, 320, 1)) * 60).astype(np.uint8)


def picture(name: str, qp: int | None = None, recipe: PictureRecipe = ODD) -> Stage:
    info = TensorInfo("image", recipe.datatype, recipe.shape)
    kind = NamedKind.of(name, KINDS[name.partition(":")[0]], "codec").kind
    return kind(info, Setting(picture=recipe), qp)


def moving(frames: int, step: int = 2, recipe: PictureRecipe = ODD) -> list[Array]:
    """A window of ``recipe``'s size that wanders over a scene with grain."""
    channels = len(recipe.mean)
    return [
        normalise(SCENE[n * step :, n * step :][: recipe.height, : recipe.width, :channels], recipe)
        for n in range(frames)
    ]


def feature_map(shape: tuple[int, ...] = (1, 6, 20, 28), axis: int = 1) -> Array:
    """Channels of waves, each of another range."""
    places = np.indices(shape)
    channel = places[axis]
    waves = np.sin(places.sum(axis=0) / 5 + channel) * (1 + channel) + 10 * channel
    return np.asarray(waves, np.float32)


def maps(name: str, tensor: Array, qp: int | None = None, axis: int = 1) -> Stage:
    others = tuple(place for place in range(tensor.ndim) if place != axis)
    limits = Range(tensor.min(others), tensor.max(others))
    info = TensorInfo("map", "FP32", tensor.shape)
    last = axis == tensor.ndim - 1
    return KINDS[name](info, Setting(ranges={"map": limits}, channels_last=last), qp)


def error(codec: Stage, tensor: Array) -> float:
    back = codec.decode(codec.encode(tensor))
    assert (back.shape, back.dtype) == (tensor.shape, tensor.dtype)
    return float(np.sqrt(np.mean((back.astype(float) - tensor) ** 2)))


@pytest.mark.parametrize("name", CHOSEN)
def test_a_coarser_quantiser_costs_accuracy_and_saves_bytes(name: str) -> None:
    (tensor,) = moving(1)
    sizes = [picture(name, qp).encode(tensor).size for qp in (12, 28, 44)]
    errors = [error(picture(name, qp), tensor) for qp in (12, 28, 44)]
    assert sizes[0] > 1.5 * sizes[1] > 3 * sizes[2]
    assert errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("datatype", "shape"),
    [("FP32", (1, 1, 66, 130)), ("FP16", (1, 66, 130, 3)), ("UINT8", (1, 66, 130, 1))],
)
def test_an_output_that_is_a_picture_crosses_as_one(
    name: str, datatype: str, shape: tuple[int, ...]
) -> None:
    """Of super-resolution, say: 0 to 1 as the model gives it, beyond which it goes to the ends."""
    recipe = image_recipe(TensorInfo("y", datatype, shape))
    assert recipe is not None
    (tensor,) = moving(1, recipe=recipe)
    fine, coarse = (error(picture(name, qp, recipe), tensor) for qp in (8, 40))
    step = 1 if datatype == "UINT8" else 1 / 255
    assert fine < coarse
    assert fine < 8 * step
    if datatype != "UINT8":
        back = picture(name, 8, recipe).decode(picture(name, 8, recipe).encode(tensor * 6 - 2))
        assert 0 <= back.min() < 0.1
        assert 0.9 < back.max() <= 1


@pytest.mark.parametrize("name", [*INTER, "avc-inter:444,slow"])
def test_frames_come_one_by_one_and_in_step(name: str) -> None:
    encoder, decoder = picture(name, 20), picture(name, 20)
    for tensor in moving(6):
        back = decoder.decode(encoder.encode(tensor))
        assert np.abs(back - tensor).mean() < 0.1


@pytest.mark.parametrize("name", INTER)
def test_what_moves_takes_fewer_bytes_than_in_single_frames_and_what_stands_far_fewer(
    name: str,
) -> None:
    inter, still = picture(name), picture(name)
    intra = picture(name.removesuffix("-inter"))
    frames = moving(5)
    alone = sum(intra.encode(tensor).size for tensor in frames[1:])
    together = sum([inter.encode(tensor).size for tensor in frames][1:])
    standing = sum([still.encode(frames[0]).size for _ in frames][1:])
    assert together < alone / 2
    assert standing < alone / 20


@pytest.mark.parametrize("name", CHOSEN)
def test_the_same_frames_give_the_same_bytes(name: str) -> None:
    first, again = ([codec.encode(tensor) for tensor in moving(3)] for codec in (
        picture(name), picture(name)))  # fmt: skip
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))


def test_every_intra_frame_stands_alone() -> None:
    encoder, decoder = picture("avc"), picture("avc")
    tensors = moving(3)
    coded = [encoder.encode(tensor) for tensor in tensors]
    for place in (2, 0, 1):
        assert np.abs(decoder.decode(coded[place]) - tensors[place]).mean() < 0.1


@pytest.mark.parametrize("name", ["hevc", "hevc10", "avc"])
@pytest.mark.parametrize("side", [1, 17, 300])
def test_pictures_of_any_size_cross(name: str, side: int) -> None:
    recipe = PictureRecipe(min(side, 40), side, mean=(0.0,), std=(1.0,), datatype="FP16")
    assert error(picture(name, 10, recipe), moving(1, recipe=recipe)[0]) < 0.02


@pytest.mark.parametrize("name", ["hevc", "hevc10", "avc"])
def test_the_error_of_a_map_falls_with_the_quantiser(name: str) -> None:
    tensor = feature_map()
    errors = [error(maps(name, tensor, qp), tensor) for qp in (40, 30, 20, 4)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 12 / 255  # the widest channel spans 12


def test_ten_bits_are_nearer_than_eight_at_the_best_quantiser() -> None:
    tensor = feature_map()
    assert error(maps("hevc10", tensor, 0), tensor) < 0.7 * error(maps("hevc", tensor, 0), tensor)


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((1, 20, 28, 6), 3), ((1, 6, 9), 1), ((1, 50), 1), ((7,), 0), ((2, 3, 8, 8), 1)],
)
def test_tensors_of_other_layouts_cross(shape: tuple[int, ...], axis: int) -> None:
    tensor = feature_map(shape, axis)
    spans = tensor.max() - tensor.min()
    assert error(maps("hevc10", tensor, 4, axis), tensor) < spans / 100


def test_values_out_of_range_go_to_its_ends() -> None:
    tensor = np.tile(np.array([-9, 0, 1, 9], np.float32), (1, 1, 40, 10))
    info = TensorInfo("map", "FP32", tensor.shape)
    limits = Range(np.zeros(1, np.float32), np.ones(1, np.float32))
    codec = KINDS["avc"](info, Setting(ranges={"map": limits}), 0)
    assert np.allclose(codec.decode(codec.encode(tensor)), tensor.clip(0, 1), atol=0.01)


def test_a_channel_that_never_varied_is_given_back_as_it_was() -> None:
    tensor = np.full((1, 2, 8, 8), 2.5, np.float32)
    assert error(maps("hevc", tensor), tensor) == 0


def test_values_beyond_single_precision_go_to_the_ends_too() -> None:
    tensor = np.full((1, 2, 8, 8), 1e300)
    limits = Range(np.zeros(2, np.float32), np.array([0, 1], np.float32))
    info = TensorInfo("map", "FP64", tensor.shape)
    codec = KINDS["avc"](info, Setting(ranges={"map": limits}), 0)
    back = codec.decode(codec.encode(tensor))
    assert back.dtype == np.float64
    assert back[0, :, 0, 0].tolist() == [0, 1]


def test_indices_are_handed_on() -> None:
    codec = KINDS["hevc"](TensorInfo("indices", "INT64", (3,)), Setting(), None)
    assert codec.decode(codec.encode(np.arange(3))).tolist() == [0, 1, 2]


def test_values_that_are_not_finite_are_counted_and_the_next_frame_is_coded() -> None:
    tensor = feature_map()
    encoder, decoder = maps("avc-inter", tensor), maps("avc-inter", tensor)
    decoder.decode(encoder.encode(tensor))
    bad = tensor.copy()
    bad[0, 0, 0, :2] = np.nan, np.inf
    with pytest.raises(NodeError, match="2 of its 3360 values"):
        encoder.encode(bad)
    assert np.abs(decoder.decode(encoder.encode(tensor)) - tensor).max() < 2


@pytest.mark.parametrize("name", ["avc", "hevc", "hevc10"])
@pytest.mark.parametrize("chroma", ["420", "444"])
def test_colour_that_changes_with_each_pixel_is_kept_by_444_alone(name: str, chroma: str) -> None:
    stripes = np.zeros((65, 131, 3), np.uint8)
    stripes[:, ::2] = 210, 40, 60
    stripes[:, 1::2] = 40, 92, 200
    tensor = normalise(stripes, ODD)
    level = 1 / 127.5
    lost = error(picture(f"{name}:{chroma}", 4), tensor)
    assert lost < 2 * level if chroma == "444" else lost > 40 * level


def test_a_slower_preset_takes_fewer_bytes() -> None:
    frames = moving(4)
    fast, slow = (sum(one.size for one in map(picture(name, 28).encode, frames)) for name in (
        "hevc-inter:ultrafast", "hevc-inter:slow"))  # fmt: skip
    assert slow < 0.95 * fast


@pytest.mark.parametrize("name", ["avc:444", "hevc10-inter:444,veryslow"])
def test_noise_in_colour_stays_below_the_most_bytes(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (65, 131, 3)) * 255
    codec = picture(name, 0)
    assert codec.encode(normalise(noise.astype(np.uint8), ODD)).size < codec.most_bytes


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("qp", [0, 18])
def test_noise_stays_below_the_most_bytes(name: str, qp: int) -> None:
    rng = np.random.default_rng(0)
    tensor = rng.integers(0, 2, (1, 4, 150, 150)).astype(np.float32)
    codec = maps(name, tensor, qp)
    assert codec.encode(tensor).size < codec.most_bytes


@pytest.mark.parametrize(
    ("info", "setting", "qp", "words"),
    [
        (TensorInfo("m", "FP32", (1, 2, 8, 8)), Setting(), None, "calibrate it with"),
        (TensorInfo("m", "FP32", (1, 2, 8, 8)), Setting(), 52, "0 to 51, not 52"),
        (TensorInfo("m", "FP32", (1, -1, 8, 8)), Setting(), None, "not known, or none"),
        (
            TensorInfo("m", "FP32", (1, 1, 2, 20_000)),
            Setting(ranges={"m": Range(np.zeros(1, np.float32), np.ones(1, np.float32))}),
            None,
            "20000x2 pixels",
        ),
        (
            TensorInfo("m", "FP32", (1, 2, 8, 8)),
            Setting(ranges={"m": Range(np.zeros(3, np.float32), np.ones(3, np.float32))}),
            None,
            "calibrate it again",
        ),
    ],
    ids=["no range", "quantiser", "unknown size", "too wide", "other channels"],
)
def test_what_cannot_be_coded_is_refused(
    info: TensorInfo, setting: Setting, qp: int | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        KINDS["hevc"](info, setting, qp)


def test_without_pyav_the_repair_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MachineError, match=r"pip install 'splitbed\[video\]'"):
        picture("hevc")


def sealed(video: bytes) -> npt.NDArray[np.uint8]:
    """Bytes with a CRC-32 that fits, as of an encoder that means harm."""
    return np.frombuffer(zlib.crc32(video).to_bytes(4, "little") + video, np.uint8)


@pytest.mark.parametrize("name", CHOSEN)
def test_damaged_bytes_are_refused_and_the_next_whole_frame_is_decoded(name: str) -> None:
    coded, decoder = picture(name).encode(moving(1)[0]), picture(name)
    flipped = coded.copy()
    flipped[-20] ^= 1
    for bad in (coded[:0], coded[:3], coded[:-9], flipped, np.tile(coded, 2)):
        with pytest.raises(NodeError, match="damaged"):
            decoder.decode(bad)
    assert decoder.decode(coded).shape == ODD.shape


@pytest.mark.parametrize("name", CHOSEN)
def test_bytes_that_no_encoder_made_are_refused(name: str) -> None:
    video = picture(name).encode(moving(1)[0])[4:].tobytes()
    noise = np.random.default_rng(0).bytes(3000)
    for bad in (noise, video[:8], b"\0\0\1", video + video):
        with pytest.raises(NodeError, match="bytes are"):
            picture(name).decode(sealed(bad))


@pytest.mark.parametrize("name", ["hevc", "hevc10-inter", "avc"])
@pytest.mark.parametrize(("height", "width"), [(64, 128), (600, 800)])
def test_pictures_of_another_size_are_refused(name: str, height: int, width: int) -> None:
    other = PictureRecipe(height, width)
    tensor = normalise(np.zeros((height, width, 3), np.uint8), other)
    coded = picture(name, 51, other).encode(tensor)
    with pytest.raises(NodeError, match=f"{width}x{height} pixels and not 136x72"):
        picture(name).decode(coded)


def test_video_without_colour_is_refused_where_colour_is_due() -> None:
    grey = PictureRecipe(65, 131, mean=(0.0,), std=(1.0,))
    with pytest.raises(NodeError, match="its pixels are gray and not yuv420p;"):
        picture("hevc").decode(picture("hevc", recipe=grey).encode(moving(1, recipe=grey)[0]))


def test_video_of_another_chroma_is_refused() -> None:
    with pytest.raises(NodeError, match="its pixels are yuv444p and not yuv420p;"):
        picture("avc").decode(picture("avc:444").encode(moving(1)[0]))


def test_video_of_another_depth_is_refused() -> None:
    with pytest.raises(NodeError, match="its pixels are yuv420p10le and not yuv420p;"):
        picture("hevc").decode(picture("hevc10").encode(moving(1)[0]))


@pytest.mark.parametrize("name", INTER)
def test_a_lost_frame_is_noticed(name: str) -> None:
    encoder, decoder = picture(name), picture(name)
    first, _, third = (encoder.encode(tensor) for tensor in moving(3))
    decoder.decode(first)
    with pytest.raises(NodeError, match="a frame before them was lost"):
        decoder.decode(third)
