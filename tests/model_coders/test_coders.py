"""What coders of model data keep, and how little they make of it."""

from importlib.metadata import EntryPoint

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import GROUP, coder_named, known
from splitbed.model_coders import blocks as blocks_module
from splitbed.model_coders.blocks import blocks_of
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import STEPS, dequantised, quantised
from splitbed.model_data import digest, model_of
from splitbed.tensors import TensorInfo
from tests.model_coders.coding import STATE, coded, cut, decoded, weights

EXACT = ["dummy", "zstd:3", "shuffle+zstd", "sparse"]
LOSSY = [
    *("fp16", "bf16", "int8", "int3+zstd", "int4+zstd", "int5+zstd", "int6+zstd", "int16+zstd"),
    "prune:30+int8+zstd",
]
LEVELS = {
    "int4+zstd": 7,
    "int5+zstd": 15,
    "int6+zstd": 31,
    "int8+zstd": 127,
    "int16+zstd": 32767,
}


@pytest.mark.parametrize("coder", EXACT)
def test_an_exact_coder_gives_the_state_back(coder: str) -> None:
    assert coder_named(coder).lossless
    assert digest(decoded([coded(coder)]).state) == digest(STATE)


@pytest.mark.parametrize("coder", LOSSY)
def test_a_lossy_coder_keeps_names_shapes_datatypes_and_what_is_no_weight(coder: str) -> None:
    assert not coder_named(coder).lossless
    state = decoded([coded(coder)]).state
    assert {name: (a.shape, a.dtype) for name, a in state.items()} == {
        name: (a.shape, a.dtype) for name, a in STATE.items()
    }
    np.testing.assert_array_equal(state["index"], STATE["index"])
    assert not np.array_equal(state["conv.weight"], STATE["conv.weight"])


@pytest.mark.parametrize("coder", LEVELS)
def test_a_weight_is_wrong_by_at_most_half_a_level_of_its_channel(coder: str) -> None:
    state = decoded([coded(coder)]).state
    for name, axes in (("conv.weight", (1, 2, 3)), ("depthwise", (0, 1, 2))):
        level = np.abs(STATE[name]).max(axis=axes, keepdims=True) / LEVELS[coder]
        assert (np.abs(state[name] - STATE[name]) <= level * 0.50001).all()
    np.testing.assert_array_equal(
        state["conv.bias"], STATE["conv.bias"]
    )  # which matters, and is small


@pytest.mark.parametrize("bits", range(2, 17))
def test_what_was_quantised_is_quantised_to_the_same_levels(bits: int) -> None:
    levels, scales = quantised(STATE["conv.weight"], bits)
    again, _ = quantised(dequantised(levels, scales), bits)
    np.testing.assert_array_equal(again, levels)
    assert np.abs(levels.astype(int)).max() == 2 ** (bits - 1) - 1


@pytest.mark.parametrize("bits", STEPS)
def test_scales_are_found_again_in_the_greatest_values(bits: int) -> None:
    """Those of an increment's base are; of 2**16 mantissas, the greatest number and the least."""
    drawn = np.random.default_rng(bits).integers(1 << 23, size=1 << 16, dtype=np.uint32)
    edges = [np.finfo(np.float32).max, np.finfo(np.float32).tiny]
    most = np.append((drawn | np.uint32(127 << 23)).view(np.float32), edges)
    levels, scales = quantised(most[:, np.newaxis], bits, bits)
    again = dequantised(levels, scales)
    assert np.isfinite(again).all()
    found_levels, found_scales = quantised(again, bits, bits)
    assert np.array_equal(found_scales, scales)
    assert np.array_equal(found_levels, levels)


def test_pruning_makes_the_least_weights_zero() -> None:
    before, after = STATE["conv.weight"], decoded([coded("prune:30")]).state["conv.weight"]
    gone = after == 0
    assert gone.mean() == pytest.approx(0.3, abs=0.002)
    assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
    np.testing.assert_array_equal(after[~gone], before[~gone])


def test_pruning_channels_makes_the_least_of_them_zero() -> None:
    before = STATE["conv.weight"] * np.arange(1, 9, dtype=np.float32).reshape(8, 1, 1, 1)
    after = decoded([coded("prune-channels:30", {"w": before})]).state["w"]
    assert not after[:2].any()  # two of eight
    np.testing.assert_array_equal(after[2:], before[2:])


def test_weights_without_magnitude_are_not_pruned() -> None:
    with pytest.raises(NodeError, match="cannot prune fc: some of its values are NaN"):
        coded("prune:30", {"fc": np.array([[1, np.nan], [0, 2]], np.float32)})


def test_bits_that_no_increments_are_made_of_take_no_number() -> None:
    with pytest.raises(UsageError, match="5 bits is not sent in increments"):
        coded("int5:4", STATE)


@pytest.mark.parametrize("coder", LEVELS)
def test_size_is_within_a_tenth_of_the_levels_entropy(coder: str) -> None:
    weight = weights(128, 64, 3, 3)
    levels, _ = quantised(weight, LEVELS[coder].bit_length() + 1)
    symbols = levels if coder != "int16+zstd" else levels.view(np.uint8).reshape(-1, 2)
    bits = sum(entropy(plane) for plane in symbols.reshape(weight.size, -1).T)
    assert len(coded(coder, {"weight": weight})) <= 1.1 * bits * weight.size / 8


def entropy(symbols: np.ndarray) -> float:
    """Bits a symbol, of order 0."""
    counts = np.unique(symbols, return_counts=True)[1] / symbols.size
    return float(-(counts * np.log2(counts)).sum())


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_bitstream_may_come_in_pieces_cut_anywhere(size: int) -> None:
    stream = coded("int8+zstd")
    assert digest(decoded(cut(stream, size)).state) == digest(decoded([stream]).state)


def test_a_tensor_is_given_when_its_last_byte_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "MOST_VALUES", 100)
    state = {"a": weights(30, 9), "b": weights(250, seed=2)}
    chunks = list(encode(model_of(state), coder_named("zstd")))
    decoder, came = Decoder(), list[str]()
    for sent, chunk in enumerate(chunks):
        for name, array in decoder.feed(chunk):
            np.testing.assert_array_equal(array, state[name])
            came.append(f"{name} after {sent}")
    # header, skeleton, sha256; then four blocks of a (whole rows), three of b, a sha256 behind each
    assert came == ["a after 7", "b after 11"]
    assert decoder.header is not None
    assert [info.name for info in decoder.header.tensors] == ["a", "b"]


@pytest.mark.parametrize(
    "shape", [(), (7,), (250,), (40, 9), (3, 400), (1, 4, 5, 30), (0, 3), (1, 9)]
)
def test_blocks_are_all_of_a_tensor_in_order(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module, "MOST_VALUES", 100)
    blocks = list(blocks_of(TensorInfo("t", "FP32", shape)))
    ends = [0, *(block.end for block in blocks)]
    assert [block.first for block in blocks] == ends[:-1]
    assert ends[-1] == np.prod(shape, dtype=int)


def test_both_ends_have_the_same_values() -> None:
    decoder = Decoder()
    decoder.feed(coded("prune:50+int4+zstd"))
    assert decoder.digest == digest(decoder.finish().state)


@pytest.mark.parametrize(
    ("coder", "said"),
    [
        ("int9", "no model coder is called 'int9'; did you mean int"),
        ("dummy+zstd", "no model coder is called 'dummy'"),
        ("zstd:high", "needs one whole number"),
        ("prune", "takes a percent"),
        ("prune:100", "takes a percent"),
        ("int8:7", "one of 4, 6, 8, and not 7"),
        ("int8+int4", "int4 is for floating point"),
        ("", "no model coder is called ''"),
    ],
)
def test_a_name_that_makes_no_sense_is_refused(coder: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        coder_named(coder)


def test_every_coder_says_what_it_does() -> None:
    assert all(row.summary for row in known())
    assert {row.name for row in known()} >= {
        "dummy",
        "fp16",
        "bf16",
        "int8",
        "int4",
        "zstd",
        "prune",
    }


def test_a_package_may_bring_a_coder(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("halved", "tests.codecs.halved:KIND", GROUP)
    monkeypatch.setattr("splitbed.extensions.entries", lambda group: [entry])
    coder_named.cache_clear()
    weight = np.abs(STATE["conv.weight"])
    state = decoded([coded("halved+int16", {"weight": weight})]).state
    np.testing.assert_allclose(state["weight"], weight, atol=1e-5)
    coder_named.cache_clear()


@pytest.mark.parametrize("coder", ["int8", "int4+zstd"])
def test_a_weight_that_no_level_stands_for_is_refused_by_name(coder: str) -> None:
    with pytest.raises(NodeError, match=r"cannot encode fc: 1 of its 4 values"):
        coded(coder, {"fc": np.array([[1, np.inf], [0, 2]], np.float32)})


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("coder", ["dummy", "fp16", "int8+zstd"])
def test_a_weight_that_is_no_number_is_refused_at_either_end(
    coder: str, dtype: type[np.floating], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"fc": np.array([1, np.nan, -np.inf, 2], dtype)}
    with pytest.raises(NodeError, match="fc has weights that are NaN"):
        coded(coder, state)
    monkeypatch.setattr("splitbed.model_coders.encoder.refuse_nan", lambda name, values: None)
    stream = coded(coder, state)
    with pytest.raises(NodeError, match="fc has weights that are NaN"):
        decoded([stream])


def test_a_weight_that_is_infinite_crosses_with_an_exact_coder() -> None:
    state = {"mask": np.array([[0, -np.inf], [0, 0]], np.float32)}
    assert digest(decoded([coded("zstd", state)]).state) == digest(state)


def test_a_weight_beyond_fp16_is_refused_by_name() -> None:
    with pytest.raises(
        NodeError, match=r"fp16 cannot encode fc: 1 of its 2 values are beyond 65504"
    ):
        coded("fp16", {"fc": np.array([1, 1e6], np.float32)})
