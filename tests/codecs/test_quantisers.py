"""How far values are off, and what cannot be rounded."""

from dataclasses import replace

import numpy as np
import pytest

from splitbed.codecs import codec_named
from splitbed.codecs.calibration import (
    calibrated,
    channel_axis,
    from_json,
    measured_range,
    to_json,
)
from splitbed.codecs.stage import Range, Setting
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import Tensors
from tests.codecs.coding import NAME, Array, coded, coder_of, feature_map, floats, info_of

SPECIAL = [np.nan, np.inf, -np.inf]


def scales(array: Array, axes: tuple[int, ...], levels: int) -> Array:
    """Distance of levels over the range of ``array``, widened to hold 0."""
    high, low = array.max(axes, keepdims=True), array.min(axes, keepdims=True)
    return np.asarray(np.maximum(high, 0) - np.minimum(low, 0)) / (levels - 1)


@pytest.mark.parametrize(
    ("codec", "channels_last", "axes", "levels"),
    [
        ("int8", False, (0, 2, 3), 256),
        ("int8", True, (0, 1, 2), 256),
        ("int4", False, (0, 2, 3), 16),
        ("int8-tensor", False, (0, 1, 2, 3), 256),
    ],
)
@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_value_is_off_by_at_most_half_a_level(
    codec: str, channels_last: bool, axes: tuple[int, ...], levels: int, dtype: type
) -> None:
    array = feature_map(2, 5, 9, 7) - feature_map(2, 5, 9, 7, seed=1)
    if channels_last:
        array = array.transpose(0, 2, 3, 1)
    got = coded(codec, array.astype(dtype), channels_last=channels_last)
    assert (np.abs(got - array) <= scales(array, axes, levels) * 0.5001).all()


@pytest.mark.parametrize("codec", ("int8", "int8-tensor", "int4"))
def test_what_a_relu_made_zero_stays_zero(codec: str) -> None:
    array = feature_map(1, 5, 9, 7)
    shifted = array - feature_map(1, 5, 9, 7, seed=1)  # so that zero is inside the range
    got = coded(codec, array, calibration=shifted)
    assert (got[array == 0] == 0).all()


@pytest.mark.parametrize("constant", (0.0, 5.5, -5.5, 1e-42, 1e37))
def test_a_channel_that_was_constant_in_calibration_keeps_its_value(constant: float) -> None:
    array = feature_map(1, 3, 4, 4)
    array[:, 1] = constant
    np.testing.assert_allclose(coded("int8", array)[:, 1], array[:, 1], rtol=1e-5, atol=1e-30)


def test_values_outside_the_calibrated_range_go_to_its_ends() -> None:
    calibration = np.linspace(-1, 3, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    beyond = floats(-1e38, -2, 4, 3e38)
    got = coded("int8", np.resize(beyond, calibration.shape), calibration)
    np.testing.assert_allclose(got[0, 0, 0, :4], [-1, -1, 3, 3], atol=4 / 255)


def test_an_fp16_map_whose_range_ends_at_the_greatest_fp16_stays_finite() -> None:
    array = floats(-65504, -300, 1000, 65504).astype(np.float16).reshape(1, 1, 4)
    assert np.isfinite(coded("int8", array)).all()


@pytest.mark.parametrize("codec", ("int8", "int8-tensor", "int4"))
@pytest.mark.parametrize("value", SPECIAL)
def test_a_quantiser_refuses_what_is_not_finite_and_says_who_takes_it(
    codec: str, value: float
) -> None:
    array = feature_map(1, 3, 4, 4)
    coder = coder_of(codec, array)
    array[0, 1, 2] = value
    with pytest.raises(NodeError, match=rf"{codec} cannot encode relu_3: 4 of its 48 .*bf16, zstd"):
        coder.encode({NAME: array})


def test_fp16_rounds_as_numpy_does() -> None:
    values = floats(0, -0.0, 1e-8, 6e-8, 0.1, 1 / 3, 2049, 65519.9, -65504, *SPECIAL)
    np.testing.assert_array_equal(coded("fp16", values), values.astype(np.float16))


def test_bf16_keeps_eight_bits_rounded_to_nearest_even() -> None:
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(5000) * 10.0 ** rng.integers(-30, 30, 5000)).astype(np.float32)
    ties = np.ldexp(rng.integers(2**8, 2**9, 5000) | 1, rng.integers(-99, 99, 5000))
    values = np.concatenate([values, ties.astype(np.float32)])
    parts, powers = np.frexp(values)
    expected = np.ldexp(np.rint(parts * 2**8), powers - 8)
    np.testing.assert_array_equal(coded("bf16", values), expected)


def test_bf16_carries_what_is_not_a_normal_number() -> None:
    patterns = [0x80000000, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF, 0x00010000, 0x7F7F7FFF]
    got = coded("bf16", np.array(patterns, np.uint32).view(np.float32))
    expected = [0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFFF0000, 0x00010000, 0x7F7F0000]
    assert got.view(np.uint32).tolist() == expected


@pytest.mark.parametrize(("codec", "value"), [("fp16", 65520), ("fp16", -1e9), ("bf16", 3.4e38)])
def test_a_value_that_would_become_infinite_is_refused(codec: str, value: float) -> None:
    array = floats(1, np.inf, value, np.nan)
    with pytest.raises(NodeError, match=f"{codec} cannot encode relu_3: 1 of its 4 values"):
        coder_of(codec, array).encode({NAME: array})


def test_ranges_of_several_frames_are_merged() -> None:
    frames = [floats(0, 1, 2, 3).reshape(1, 2, 2), floats(-1, 0, 2.5, 2.5).reshape(1, 2, 2)]
    merged = measured_range(iter(frames), channel_axis(3, channels_last=False))
    assert (merged.low.tolist(), merged.high.tolist()) == ([-1, 2], [1, 3])


def test_a_calibration_is_stored_as_json_exactly() -> None:
    ranges = calibrated([{NAME: feature_map(1, 5, 3, 3), "size": np.array([3, 3])}])
    stored = from_json(to_json(ranges))
    assert stored.keys() == {NAME}
    np.testing.assert_array_equal(stored[NAME].high, ranges[NAME].high)
    assert stored[NAME].low.dtype == np.float32


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"x": 1}', '{"x": {"low": [1], "high": [0]}}', '{"x": {"low": [0]}}',
     '{"x": {"low": [0], "high": [1e39]}}', '{"x": {"low": ["a"], "high": [1]}}'],
)  # fmt: skip
def test_what_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="cannot read the calibration"):
        from_json(text)


@pytest.mark.parametrize("value", [*SPECIAL, 1e39])
def test_a_calibration_frame_beyond_fp32_is_refused_by_name(value: float) -> None:
    with pytest.raises(NodeError, match="cannot calibrate relu_3"):
        calibrated([{NAME: np.array([[[1.0, value]]])}])


def test_a_codec_that_is_not_calibrated_for_a_tensor_says_so() -> None:
    array = feature_map(1, 3, 4, 4)
    other = Range(np.zeros(4, np.float32), np.ones(4, np.float32))
    for ranges, reason in (({}, "not known: calibrate it"), ({NAME: other}, "has 3 channels")):
        with pytest.raises(UsageError, match=rf"int8 cannot code relu_3.*{reason}"):
            codec_named("int8").bind([info_of(array)], Setting(ranges))


@pytest.mark.parametrize("codec", ("int8", "int4", "avc:4", "jpeg:95"))
def test_tokens_of_a_transformer_are_not_taken_for_channels(codec: str) -> None:
    rng = np.random.default_rng(3)
    scales: Array = np.exp(rng.normal(0, 1.5, 64))
    frames: list[Array] = [
        (rng.standard_normal((1, 48, 64)) * scales).astype(np.float32) for _ in range(5)
    ]
    errors = []
    for order in ((0, 1, 2), (0, 2, 1)):  # tokens x channels, channels x time
        told: list[Tensors] = [
            {NAME: np.ascontiguousarray(frame.transpose(order))} for frame in frames
        ]
        setting = Setting(calibrated(told[:4]))
        coder = codec_named(codec).bind([info_of(told[4][NAME])], setting)
        again = coder.decode(coder.encode(told[4]))[NAME].transpose(order)
        errors.append(float(np.mean(np.square((again - frames[4]) / scales))))
    assert errors[0] == pytest.approx(errors[1], rel=0.2)
    limits = calibrated([{NAME: frame[:, :, None]} for frame in frames[:4]])
    coder = codec_named(codec).bind([info_of(frames[4][:, :, None])], Setting(limits))
    mistaken = coder.decode(coder.encode({NAME: frames[4][:, :, None]}))[NAME][:, :, 0]
    assert errors[0] < np.mean(np.square((mistaken - frames[4]) / scales)) / 3


def test_the_axis_is_told_with_the_ranges_and_checked() -> None:
    still: Array = np.array([[[1, 100]] * 3], np.float32)
    frames = [{NAME: still}] * 2
    ranges = calibrated(frames)
    assert ranges[NAME].axis == 2
    assert from_json(to_json(ranges))[NAME].axis == 2
    wrong = {NAME: replace(ranges[NAME], axis=3)}
    with pytest.raises(UsageError, match="along axis 3: calibrate it again"):
        codec_named("int8").bind([info_of(frames[0][NAME])], Setting(wrong))
    with pytest.raises(UsageError, match="an axis is -1"):
        from_json(to_json({NAME: replace(ranges[NAME], axis=-1)}))
