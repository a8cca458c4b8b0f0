"""Which axis of three dimensions is that of channels: `klt` learns it from calibration frames."""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest

from splitbed.codecs import codec_named
from splitbed.codecs.fitting import weighed_along
from splitbed.codecs.klt import Kind
from splitbed.codecs.klt.tables import read
from splitbed.codecs.klt.transform import Layout
from splitbed.codecs.stage import Setting
from splitbed.errors import NodeError, UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.text.tokens import decoded
from splitbed.tensors import Tensors
from splitbed.zoo import ZOO, Variant
from tests.codecs.coding import NAME, info_of
from tests.codecs.test_klt import INTER, KLT, ends, fitted, rows

Floats = npt.NDArray[np.float32]
STEP = 60
WAYS = (0, 1, 2), (0, 2, 1)


def turned(frames: Sequence[Floats], order: tuple[int, ...]) -> list[Floats]:
    return [np.ascontiguousarray(frame.transpose(order)) for frame in frames]


def axis_of(frames: Sequence[Floats], kind: Kind = KLT, *, last: bool = False) -> int:
    """That in the tables, which is the one that is told before they are made."""
    table, setting = fitted(frames, kind, last=last, step=STEP)
    layout = Layout.of(info_of(frames[0]), setting)
    axis = read(table, layout, inter=kind.sequential).transform.layout.axis
    assert kind.axis(info_of(frames[0]), frames, setting) == axis
    return axis


def rate(frames: Sequence[Floats], step: int = STEP) -> tuple[float, float]:
    """Bytes of a frame that is new, and its mean squared error."""
    encoder, decoder = ends(frames[:-4], step=step)
    encoded = [encoder.encode(frame) for frame in frames[-4:]]
    errors = [decoder.decode(one) - frame for one, frame in zip(encoded, frames[-4:], strict=True)]
    return float(np.mean([one.nbytes for one in encoded])), float(np.square(errors).mean())


@pytest.mark.parametrize("last", (False, True))
@pytest.mark.parametrize("kind", (KLT, INTER), ids=("klt", "klt-inter"))
@pytest.mark.parametrize("shape", ((48, 64), (32, 32), (64, 24)))
def test_channels_are_found_wherever_they_are(
    shape: tuple[int, int], kind: Kind, last: bool
) -> None:
    found = [axis_of(turned(rows(*shape), order), kind, last=last) for order in WAYS]
    assert found == [2, 1]


def test_either_way_they_take_the_same_bytes_and_tokens_as_channels_take_more() -> None:
    frames = rows(48, 64)
    (size, error), other = (rate(turned(frames, order)) for order in WAYS)
    assert other == pytest.approx((size, error), rel=0.02)
    mistaken = rate([frame[:, :, None] for frame in frames])  # four dimensions: axis 1 it is
    assert size < mistaken[0] / 2
    assert error < mistaken[1]


def test_the_axis_is_that_of_a_tensor_and_not_of_a_step() -> None:
    frames = rows(48, 64)
    for step in (1, 500, 4000):
        table, setting = fitted(frames, step=step)
        layout = Layout.of(info_of(frames[0]), setting)
        assert read(table, layout, inter=False).transform.layout.axis == 2


def test_channels_of_a_transformer_are_last_in_an_export_with_a_batch() -> None:
    model = onnx.load_from_string(ZOO["textnet"].build(Variant("onnx"))[0])
    crossing = "/layers/0/Add_2_output_0"
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(crossing, onnx.TensorProto.FLOAT, None)
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    texts = open_dataset("sentences").frames[:20]
    whole = np.concatenate([decoded(one.read(), one.name) for one in texts])
    frames = [
        session.run([crossing], {"tokens": whole[None, at : at + 48].astype(np.int64)})[0][None]
        for at in range(0, 48 * 16, 48)
    ]
    assert frames[0].shape == (1, 48, 128)
    assert [axis_of(turned(frames, order)) for order in WAYS] == [2, 1]
    size, error = rate(frames, 40)
    mistaken = rate([frame[:, :, None] for frame in frames], 60)
    assert size < 0.6 * mistaken[0]
    assert error < mistaken[1]


def test_of_one_frame_and_of_other_dimensions_they_are_where_the_format_has_them() -> None:
    frames = rows(48, 64)
    assert axis_of(frames[:1]) == 1
    assert axis_of([frame[0] for frame in frames]) == 1
    assert axis_of([frame[:, :, None] for frame in frames]) == 1


def test_an_axis_of_too_many_is_none_of_channels() -> None:
    long = rows(2049, 4, frames=3)
    assert [
        axis_of(turned(long[:count], order))
        for count, order in ((3, WAYS[0]), (1, WAYS[0]), (3, WAYS[1]))
    ] == [2, 2, 1]
    square = np.zeros((1, 2049, 2050), np.float32)
    with pytest.raises(UsageError, match="2049 channels, and 2048 are the most"):
        KLT.check(info_of(square), Setting())


def test_what_never_varies_along_either_axis_comes_back() -> None:
    still = np.arange(12, dtype=np.float32).reshape(1, 3, 4)[:, :1].repeat(3, axis=1)
    for order in WAYS:
        frames = turned([still] * 3, order)
        encoder, decoder = ends(frames)
        np.testing.assert_array_equal(decoder.decode(encoder.encode(frames[0])), frames[0])


def test_part_2_is_weighed_along_the_axis_that_was_found() -> None:
    frames = rows(48, 64)
    infos = [info_of(frames[0])]
    told: list[Tensors] = [{NAME: frame} for frame in frames]
    for codec, found in (("klt:60", {NAME: 2}), ("klt:60,plain", {}), ("int8", {})):
        assert weighed_along(codec_named(codec), infos, told, Setting()) == found
    with pytest.raises(UsageError, match=r"sensitivity is \[48, 48\], .* where 64 channels"):
        fitted(frames, sensitivity=np.eye(48, dtype=np.float32))
    told[1][NAME] = np.full((1, 48, 64), np.nan, np.float32)
    with pytest.raises(NodeError, match=f"klt:60 cannot be fitted to {NAME} .* NaN"):
        weighed_along(codec_named("klt:60"), infos, told, Setting())


def test_the_axis_of_the_same_frames_is_found_once() -> None:
    frames = rows(64, 96)
    took = []
    for _ in range(2):
        began = time.thread_time()
        assert KLT.axis(info_of(frames[0]), frames, Setting()) == 2
        took.append(time.thread_time() - began)
    assert took[1] < took[0] / 10
