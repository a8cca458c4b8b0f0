"""What comes back, of whatever goes in."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from splitbed.codecs import CODECS, codec_named
from splitbed.codecs.calibration import calibrated
from splitbed.codecs.fitting import fit
from splitbed.codecs.stage import Setting
from splitbed.errors import MachineError
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import NUMPY_TYPES, TensorInfo
from tests.codecs.coding import NAME, Array, coded, coder_of, feature_map, info_of

LOSSLESS = (
    "raw", "shuffle", "sparse", "zstd", "zstd:-7", "shuffle+zstd", "sparse+zstd:3",
    "shuffle+sparse", "zstd+zstd",
)  # fmt: skip
LOSSY = ("fp16", "bf16", "int8", "int8-tensor", "int4", "klt", "klt-inter")
COMPOSED = ("int8+zstd", "int4+sparse+zstd", "bf16+shuffle+zstd", "fp16+int8")
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=7)


@st.composite
def any_arrays(draw: st.DrawFn) -> Array:
    """Any bits at all, NaN of every kind among them, and zeros in a row."""
    dtype, shape = np.dtype(draw(st.sampled_from(list(NUMPY_TYPES.values())))), draw(SHAPES)
    size = int(np.prod(shape)) * dtype.itemsize
    data = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), np.uint8)
    array: Array = (data & 1 if dtype.kind == "b" else data).view(dtype).reshape(shape)
    return array


@st.composite
def finite_arrays(draw: st.DrawFn) -> Array:
    """Finite floating point that FP16 can hold."""
    dtype = draw(st.sampled_from((np.float16, np.float32, np.float64)))
    return draw(arrays.arrays(dtype, SHAPES, elements=st.floats(-65504, 65504, width=16)))


@pytest.mark.parametrize("codec", LOSSLESS)
@settings(max_examples=40, deadline=None)
@given(array=any_arrays())
def test_a_lossless_codec_gives_back_every_bit(codec: str, array: Array) -> None:
    coder = codec_named(codec).bind([info_of(array)], Setting())
    encoded = coder.encode({NAME: array})
    got = coder.decode(encoded)[NAME]
    assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert encoded[NAME].nbytes <= coder.most_bytes


@pytest.mark.parametrize("codec", LOSSLESS)
@pytest.mark.parametrize("dtype", (np.float16, np.float32, np.float64))
def test_minus_zero_and_the_bits_of_nan_survive(codec: str, dtype: type) -> None:
    array: Array = np.array([0, -0.0, np.nan, -np.nan, np.inf, 0, 1], dtype)
    array.view(np.uint8)[2 * array.itemsize] = 5  # the payload of the first NaN
    assert coded(codec, array).tobytes() == array.tobytes()


@pytest.mark.parametrize("codec", (*LOSSY, *COMPOSED))
@settings(max_examples=15, deadline=None)
@given(array=finite_arrays())
def test_a_lossy_codec_gives_back_the_same_kind_of_tensor(codec: str, array: Array) -> None:
    got = coded(codec, array)
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("codec", (*LOSSY, "int8+zstd"))
@pytest.mark.parametrize("dtype", (np.int64, np.uint8, np.bool_))
def test_what_is_not_floating_point_is_never_rounded(codec: str, dtype: type) -> None:
    shape_tensor: Array = np.array([[1, 300, 75]]).astype(dtype)
    assert (coded(codec, shape_tensor) == shape_tensor).all()


@pytest.mark.parametrize("codec", CODECS)
def test_noise_never_takes_more_than_the_most_bytes(codec: str) -> None:
    recipe = PictureRecipe(64, 64)
    noise = np.random.default_rng(0).standard_normal(recipe.shape, np.float32)
    infos = [TensorInfo(NAME, "FP32", recipe.shape)]
    try:
        setting = Setting(calibrated([{NAME: noise}]), picture=recipe)
        tables = fit(codec_named(codec), infos, [{NAME: 0.1 * noise}] * 2, setting)
        coder = codec_named(codec).bind(infos, replace(setting, tables=tables))
        encoded = coder.encode({NAME: noise})
    except MachineError as error:
        pytest.skip(str(error))
    assert encoded[NAME].nbytes <= coder.most_bytes
    assert coder.encoded[0].fits(info_of(encoded[NAME]))


@pytest.mark.parametrize("level", (-7, 1, 22))
def test_incompressible_bytes_fit_in_the_most_bytes_of_zstd(level: int) -> None:
    noise = np.frombuffer(np.random.default_rng(0).bytes(300_000), np.uint8)
    coder = coder_of(f"zstd:{level}", noise)
    assert coder.encode({NAME: noise})[NAME].nbytes <= coder.most_bytes


@pytest.mark.parametrize("codec", (*LOSSLESS, *LOSSY, *COMPOSED))
def test_a_frame_on_its_way_is_not_touched_by_the_next(codec: str) -> None:
    first, second = feature_map(1, 4, 9, 7), feature_map(1, 4, 9, 7, seed=1)
    coder = coder_of(codec, first)
    encoded = coder.encode({NAME: first})
    decoded = coder.decode(encoded)
    before = encoded[NAME].tobytes(), decoded[NAME].tobytes()
    coder.decode(coder.encode({NAME: second}))
    assert (encoded[NAME].tobytes(), decoded[NAME].tobytes()) == before


def test_raw_copies_nothing() -> None:
    array = feature_map(1, 4, 9, 7)
    assert np.shares_memory(coded("raw", array), array)


@pytest.mark.parametrize("codec", ("raw", "zstd", "int8", "sparse"))
def test_an_array_that_is_not_in_c_order_is_coded_as_what_it_holds(codec: str) -> None:
    turned = feature_map(1, 4, 9, 7).transpose(0, 1, 3, 2)
    np.testing.assert_array_equal(coded(codec, turned), coded(codec, turned.copy()))


def test_every_tensor_of_a_cut_comes_back_under_its_name() -> None:
    p3, p4, size = feature_map(1, 4, 8, 8), feature_map(1, 4, 4, 4), np.array([8, 8])
    infos = [TensorInfo("p3", "FP32", p3.shape), TensorInfo("size", "INT64", (2,))]
    infos.append(TensorInfo("p4", "FP32", p4.shape))
    coder = codec_named("fp16+zstd").bind(infos, Setting())
    decoded = coder.decode(coder.encode({"p4": p4, "p3": p3, "size": size}))
    assert list(decoded) == ["p3", "size", "p4"]
    np.testing.assert_array_equal(decoded["size"], size)
    np.testing.assert_allclose(np.asarray(decoded["p3"], np.float32), p3, rtol=2**-11, atol=1e-7)
