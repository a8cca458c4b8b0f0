"""What is said of tensors, and what of it is believed."""

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.media.recipes import PictureRecipe, SoundRecipe, TokenRecipe
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from splitbed.v1.tensors_pb2 import TensorHeader
from splitbed.wire import (
    CHANNEL_OPTIONS,
    CONTROL_OPTIONS,
    LEAST_DEVIATION,
    believed,
    infos_of,
    input_message,
    max_abs_diff,
    recipe_of,
    sound_of,
    tensors_of,
    text_of,
    whole_tensors,
)

MOST = 1 << 30
"""Bytes of tensors, whoever asks."""


def test_the_largest_difference_is_over_all_tensors() -> None:
    left: Tensors = {"a": np.array([1, 2], np.float32), "b": np.array([5], np.int64)}
    right: Tensors = {"a": np.array([1, 2.5], np.float32), "b": np.array([2], np.int64)}
    assert max_abs_diff(left, right) == 3
    assert max_abs_diff(left, left) == 0


def test_a_difference_that_no_number_tells_is_infinite() -> None:
    zero: Tensors = {"a": np.array([0], np.float32)}
    assert max_abs_diff(zero, {"a": np.array([np.nan], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"a": np.array([[0]], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"b": np.array([0], np.float32)}) == np.inf


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((1, 1), np.float32),
        np.zeros((), np.float32),
        np.zeros(2, np.float32),
        np.zeros(1, np.float16),
        np.zeros(1, np.int64),
    ],
)
def test_tensors_of_other_kinds_differ_infinitely(other: npt.NDArray[np.generic]) -> None:
    zero: Tensors = {"a": np.zeros(1, np.float32)}
    assert max_abs_diff(zero, {"a": other}) == max_abs_diff({"a": other}, zero) == np.inf


def test_what_is_no_number_is_alike_in_both_or_infinitely_far() -> None:
    neither: Tensors = {"a": np.array([np.nan, 1], np.float32)}
    assert max_abs_diff(neither, {"a": np.array([np.nan, 1], np.float32)}) == 0
    assert max_abs_diff({"a": np.array([], np.float32)}, {"a": np.array([], np.float32)}) == 0
    words: Tensors = {"a": np.array([True, False])}
    assert max_abs_diff(words, {"a": np.array([True, True])}) == 1


def test_both_ends_allow_a_picture_in_a_message_and_a_frame_in_several() -> None:
    most = "grpc.max_receive_message_length"
    assert (dict(CONTROL_OPTIONS)[most], dict(CHANNEL_OPTIONS)[most]) == (65 << 20, 4 << 20)
    assert dict(CHANNEL_OPTIONS)["grpc.http2.lookahead_bytes"] == 8 << 20
    assert dict(CONTROL_OPTIONS)["grpc.enable_http_proxy"] == 0


def test_pictures_and_sounds_travel_as_what_they_are() -> None:
    infos = [TensorInfo("x", "FP32", (1, 3, 4, 4))]
    recipe = PictureRecipe(4, 4)
    sent = input_message(b"p", recipe, "p.png", infos)
    assert (sent.WhichOneof("source"), sent.picture.data) == ("picture", b"p")
    assert (sent.name, infos_of(sent.tensors, open_sizes=False)) == ("p.png", tuple(infos))
    assert recipe_of(sent.picture.recipe).shape == recipe.shape
    heard = input_message(b"s", SoundRecipe(8, 16_000, levelled=False), "s.wav", infos)
    assert (heard.WhichOneof("source"), heard.sound.data) == ("sound", b"s")
    assert sound_of(heard.sound) == SoundRecipe(8, 16_000, levelled=False)


def header(*shape: int, datatype: str = "INT8", name: str = "x") -> TensorHeader:
    return TensorHeader(name=name, datatype=datatype, shape=shape)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        ([header(MOST)], [header(MOST + 1)]),
        ([header(MOST - 4), header(1, datatype="FP32")], [header(MOST - 3), header(1, 2, 2)]),
        ([header(0, MOST)], [header(0, MOST + 1)]),
        ([header(*[1] * 16)], [header(*[1] * 17)]),
        ([header()] * 4096, [header()] * 4097),
        ([header(0)], [header(-1)]),
        ([header(1)], [header(1, datatype="BYTES")]),
    ],
    ids=["bytes", "together", "of none", "dimensions", "tensors", "negative", "datatype"],
)
def test_what_is_described_can_be(inside: list[TensorHeader], outside: list[TensorHeader]) -> None:
    assert len(infos_of(inside, open_sizes=False)) == len(inside)
    with pytest.raises(NodeError):
        infos_of(outside, open_sizes=False)


def test_open_sizes_are_described_where_they_may_be() -> None:
    assert infos_of([header(-1, 3)], open_sizes=True)[0].shape == (-1, 3)
    with pytest.raises(NodeError, match="impossible shape"):
        infos_of([header(-2, 3)], open_sizes=True)
    infos_of([header(-1, 8)], open_sizes=True, most_bytes=8)
    with pytest.raises(NodeError, match=r"9 bytes .* limits\.tensor_bytes is 8"):
        infos_of([header(-1, 9)], open_sizes=True, most_bytes=8)


def test_more_than_a_node_takes_is_not_believed() -> None:
    assert believed([header(4), header(4, name="y")], None, 8)[1].name == "y"
    with pytest.raises(NodeError, match=r"limits\.tensor_bytes is 8"):
        believed([header(4), header(5, name="y")], None, 8)
    with pytest.raises(NodeError, match=f"is {MOST}"):
        believed([header(MOST), header(1, name="y")], None, 2 * MOST)
    with pytest.raises(NodeError, match="a name twice"):
        believed([header(4), header(4)], None, 8)
    assert believed([header(0)], None, 0)[0].nbytes == 0
    many = [header(1, name=str(place)) for place in range(4097)]
    assert len(believed(many[:4096], None, MOST)) == 4096
    with pytest.raises(NodeError, match="too many"):
        believed(many, None, MOST)


def test_what_was_not_expected_is_not_believed() -> None:
    expected = [TensorInfo("x", "INT8", (-1,)), TensorInfo("y", "INT8", (2,))]
    believed([header(4), header(2, name="y")], expected, MOST)
    others = ([header(4)], [header(4), header(3, name="y")], [header(4), header(2, name="z")])
    for other in (*others, [header(4), header(2, name="y"), header(1, name="z")]):
        with pytest.raises(NodeError, match="the peer sent x INT8"):
            believed(other, expected, MOST)


def picture(**changed: object) -> nodes_pb2.PictureRecipe:
    told = {"height": 4, "width": 4, "layout": "NCHW", "datatype": "FP32"} | changed
    channels = {"mean": [0.5] * 3, "std": [0.5] * 3}
    made = nodes_pb2.PictureRecipe()
    for name, value in (channels | told).items():
        if isinstance(value, list):
            getattr(made, name).extend(value)
        else:
            setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"mean": [0.5] * 2, "std": [0.5] * 2}, "1 or 3 channels"),
        ({"mean": [], "std": []}, "1 or 3 channels"),
        ({"std": [0.5]}, "got 3 and 1"),
        ({"std": [0.5] * 4}, "got 3 and 4"),
        (
            {"std": [0.5, 0.5, 0.0]},
            r"deviations are numbers, these 9.53674e-07 at least: got .*0\.0\]",
        ),
        ({"std": [-1.0] * 3}, "deviations are numbers"),
        ({"mean": [float("nan")] * 3}, "got .*nan"),
        ({"layout": "HWC"}, "no picture becomes 'HWC'"),
        ({"datatype": "BYTES"}, "no picture becomes"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changed: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        recipe_of(picture(**changed))


def test_a_recipe_may_have_the_least_deviation() -> None:
    assert recipe_of(picture(std=[LEAST_DEVIATION] * 3)).std == (LEAST_DEVIATION,) * 3


def test_what_a_recipe_makes_has_so_many_bytes() -> None:
    assert recipe_of(picture(), 192).shape == (1, 3, 4, 4)
    assert recipe_of(picture(mean=[0.0], std=[1.0], layout="NHWC"), 64).shape == (1, 4, 4, 1)
    for most, changed in ((191, {}), (191, {"height": 5}), (63, {"mean": [0.0], "std": [1.0]})):
        with pytest.raises(NodeError, match=f"limits.tensor_bytes is {most}"):
            recipe_of(picture(**changed), most)


def test_a_sound_has_so_many_samples_at_such_a_rate() -> None:
    def sound(samples: int, rate: int) -> nodes_pb2.Sound:
        return nodes_pb2.Sound(samples=samples, rate=rate)

    assert sound_of(sound(16, 400_000), 64).samples == 16
    assert sound_of(sound(16, 1)).rate == 1
    with pytest.raises(NodeError, match=r"limits\.tensor_bytes is 63"):
        sound_of(sound(16, 16_000), 63)
    for samples, rate in ((0, 16_000), (16, 0), (16, 400_001)):
        with pytest.raises(UsageError, match=f"{samples} samples at {rate} Hz"):
            sound_of(sound(samples, rate))


def test_small_tensors_travel_whole_and_are_what_they_say() -> None:
    tensors: Tensors = {"y": np.arange(6, dtype=np.float32).reshape(2, 3)}
    (sent,) = whole_tensors(tensors)
    assert max_abs_diff(tensors_of([sent]), tensors) == 0
    whole = sent.data
    for other in (whole + b"x", whole[:-1]):
        sent.data = other
        with pytest.raises(NodeError, match="holds 24 bytes"):
            tensors_of([sent])
    large = 64 << 20
    assert len(whole_tensors({"y": np.zeros(large, np.uint8)})) == 1
    assert whole_tensors({"y": np.zeros(large + 1, np.uint8)}) == []


def test_a_text_is_as_long_as_all_inputs_and_is_filled_up_with_a_token() -> None:
    def text(length: int = 5, filler: int = 0) -> nodes_pb2.Text:
        return nodes_pb2.Text(length=length, vocabulary=9, filler=filler)

    def of(*sizes: int) -> list[TensorInfo]:
        return [TensorInfo(f"x{place}", "INT64", (1, size)) for place, size in enumerate(sizes)]

    most = 2**31 - 1
    assert text_of(text(filler=most), of(5, 5)) == TokenRecipe(5, 9, most)
    for inputs in (of(4), of(6), of(5, 4), of(), [TensorInfo("x", "INT64", (2, 5))]):
        with pytest.raises(UsageError, match="a text of 5 tokens is no input of"):
            text_of(text(), inputs)
    with pytest.raises(UsageError, match=f"not with {most + 1}"):
        text_of(text(filler=most + 1), of(5))


def test_a_text_travels_as_what_it_is() -> None:
    infos = (TensorInfo("x", "INT64", (1, 5)),)
    read = input_message(b"t", TokenRecipe(5, 9, 3), "t.txt", infos)
    assert (read.text.data, read.name, read.WhichOneof("source")) == (b"t", "t.txt", "text")
    assert text_of(read.text, infos) == TokenRecipe(5, 9, 3)
