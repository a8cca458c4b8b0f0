"""Bit-incremental model data: the fine model to the bit, from a coarse one and what it lacks."""

from itertools import pairwise

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named, increments
from splitbed.model_coders.blocks import blocks_of
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import quantised
from splitbed.model_coders.updates.bits import BLOCK_VALUES
from splitbed.model_coders.updates.update import Update
from splitbed.model_data import ModelFile, digest, model_of

TOPS = {4: 7, 8: 127}


def model(seed: int = 0) -> ModelFile:
    """Weights of many sizes, among them ties between levels, rows of zeros and tiny numbers."""
    rng = np.random.default_rng(seed)
    state = {
        "conv.weight": rng.standard_normal((24, 8, 3, 3), np.float32),
        "conv.bias": rng.standard_normal(24, np.float32),
        "ties.weight": rng.integers(-256, 257, (16, 64)).astype(np.float32) / np.float32(512),
        "zeros.weight": np.zeros((3, 5), np.float32),
        "small.weight": rng.standard_normal((4, 9), np.float32) * np.float32(1e-33),
        "one.weight": rng.standard_normal((1, 700), np.float32),
        "counted": np.array([[1, 2], [3, 4]]),
    }
    return model_of(state)


def sent(file: ModelFile, coder: str) -> ModelFile:
    """What comes of a model that is sent at once."""
    decoder = Decoder()
    for piece in encode(file, coder_named(coder)):
        decoder.feed(piece)
    return decoder.finish()


def updated(file: ModelFile, name: str) -> bytes:
    """The bitstream of an update."""
    update = increments.update_named(name)
    assert update is not None
    return b"".join(increments.encode_update(file, update))


@pytest.mark.parametrize("bits", [(8, 16), (4, 16), (4, 6, 8, 16), (6, 8), (4, 8, 16)])
@pytest.mark.parametrize("seed", range(3))
def test_updates_rebuild_the_fine_model_as_it_is_when_sent_at_once(
    bits: tuple[int, ...], seed: int
) -> None:
    whole = model(seed)
    first, *names = increments.steps(bits)
    held = sent(whole, first)
    for place, name in enumerate(names, start=1):
        held = increments.decode_update([updated(whole, name)], held)
        assert digest(held.state) == digest(sent(whole, increments.alone(bits, place)).state)
        assert digest(held.state) == digest(increments.at(whole, bits[place], bits[0]).state)


@pytest.mark.parametrize("steps", [(4, 6, 8, 16), (4, 16), (-20, -38)])
def test_a_weight_of_several_blocks_is_rebuilt_whatever_bits_a_block_ends_with(
    steps: tuple[int, ...],
) -> None:
    if steps[0] < 0:
        pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    rng = np.random.default_rng(3)
    whole = model_of({"large.weight": rng.standard_normal((89, 3001), np.float32)})
    blocks = blocks_of(whole.layout.places[0].info, BLOCK_VALUES)
    assert [block.first * 2 % 8 for block in blocks] == [0, 2, 4, 6, 0]
    first, *names = increments.steps(steps)
    held = sent(whole, first)
    for name in names:
        held = increments.decode_update([updated(whole, name)], held)
    assert digest(held.state) == digest(sent(whole, increments.alone(steps, -1)).state)


@pytest.mark.parametrize(("low", "high"), [(8, 16), (4, 16)])
def test_its_integers_are_those_of_a_model_that_is_quantised_at_once(low: int, high: int) -> None:
    """Each weight is the nearest of its levels, and the coarse model's are near these."""
    whole = model()
    made = increments.at(whole, high, low)
    for name in ("conv.weight", "ties.weight"):
        fine, scales = quantised(whole.state[name], high, low)
        again, _ = quantised(made.state[name], high, low)
        coarse, _ = quantised(whole.state[name], low, low)
        assert np.array_equal(fine, again)
        assert np.abs(fine).max() == TOPS[low] << (high - low)
        assert np.abs(fine / (1 << (high - low)) - coarse).max() < 0.66  # rounded step by step
        assert (np.abs(made.state[name] - whole.state[name]) <= 0.51 * scales).all()


def test_a_tensor_of_one_dimension_or_of_integers_is_whole_at_once() -> None:
    whole = model()
    coarse = increments.at(whole, 4, 4)
    assert np.array_equal(coarse.state["conv.bias"], whole.state["conv.bias"])
    assert np.array_equal(coarse.state["counted"], whole.state["counted"])


def test_each_step_takes_the_bits_that_it_adds() -> None:
    """Bits that say little of one another: the steps together are hardly larger than the whole."""
    rng = np.random.default_rng(0)
    whole = model_of({"w": rng.standard_normal((256, 1024), np.float32)})
    bits = (4, 6, 8, 16)
    first, *names = increments.steps(bits)
    sizes = [len(updated(whole, name)) for name in names]
    for (low, high), size in zip(pairwise(bits), sizes, strict=True):
        assert size * 8 / 2**18 == pytest.approx(high - low, rel=0.05)
    least = sum(map(len, encode(whole, coder_named(first))))
    direct = sum(map(len, encode(whole, coder_named(increments.alone(bits, -1)))))
    assert direct <= least + sum(sizes) < 1.1 * direct


def base_and_update() -> tuple[ModelFile, bytes]:
    whole = model()
    return increments.at(whole, 8, 8), updated(whole, "update:8:16")


def test_an_update_of_another_model_is_refused_by_the_hash_of_its_base() -> None:
    base, stream = base_and_update()
    fine = increments.decode_update([stream], base)
    for other in (increments.at(model(1), 8, 8), fine):  # the fine one has no use for it
        with pytest.raises(NodeError, match=f"updates the state {digest(base.state)[:12]}"):
            increments.decode_update([stream], other)


def test_a_damaged_update_is_refused() -> None:
    base, stream = base_and_update()
    for damaged in (stream[:-40], stream[:900] + bytes([stream[900] ^ 1]) + stream[901:]):
        with pytest.raises(NodeError):
            increments.decode_update([damaged], base)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({increments.STEP: np.array([8, 8, 40], np.int32)}, "from 8 to 40 bits"),
        ({increments.STEP: np.array([8.0], np.float32)}, "is no update of a model"),
        ({increments.RESULT: np.zeros(32, np.uint8)}, "does not make the model"),
        ({"other.weight": np.zeros(4, np.uint8)}, "refines other.weight, and no such"),
        ({"conv.weight": np.zeros(24, np.uint8)}, r"of conv.weight \[24, 8, 3, 3\] has 24 bytes"),
        ({"conv.bias": np.zeros(24, np.uint8)}, "refines conv.bias, and no such"),
    ],
)
def test_an_update_that_does_not_fit_is_refused_by_name(
    change: dict[str, np.ndarray], words: str
) -> None:
    base, stream = base_and_update()
    decoder = Decoder(base=digest(base.state))
    decoder.feed(stream)
    other = model_of({**decoder.finish().state, **change})
    with pytest.raises(NodeError, match=words):
        increments.decode_update(encode(other, coder_named("zstd")), base)


def test_an_ordinary_model_is_no_update() -> None:
    base, _ = base_and_update()
    with pytest.raises(NodeError, match="is no update"):
        increments.decode_update(encode(base, coder_named("zstd")), base)


def test_an_update_may_be_cut_anywhere() -> None:
    base, stream = base_and_update()
    whole = increments.decode_update([stream], base)
    pieces = (stream[at : at + 97] for at in range(0, len(stream), 97))
    assert digest(increments.decode_update(pieces, base).state) == digest(whole.state)


@pytest.mark.parametrize("bits", [(8,), (16, 8), (8, 8), (7, 8), (8, 17), (), (-38, -20), (-20, 8)])
def test_bits_that_cannot_be_are_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="two or more of 4, 6, 8, 16 that ascend"):
        increments.steps(bits)


def test_updates_have_names() -> None:
    assert increments.steps((8, 16)) == ["int8:8+zstd", "update:8:16"]
    assert increments.steps((4, 6, 8)) == ["int4:4+zstd", "update:4:6", "update:4:6:8"]
    assert increments.update_named("update:4:6:8") == Update(4, 6, 8)
    assert increments.update_named("int8+zstd") is None
    with pytest.raises(UsageError, match="bits 8, 5"):
        increments.update_named("update:8:5")


def test_weights_that_are_not_finite_are_refused() -> None:
    whole = model_of({"bad": np.full((2, 2), np.nan, np.float32)})
    with pytest.raises(NodeError, match="4 of its 4 values are NaN"):
        updated(whole, "update:8:16")


@pytest.mark.parametrize("groups", [[[0, 2], [1, 3, 4]], [[4], [3], [2], [1], [0]]])
def test_updates_weight_by_weight_end_at_the_fine_model(groups: list[list[int]]) -> None:
    whole, bits = model(), (4, 8, 16)
    weights = increments.weights_of(whole, 4)
    assert sorted(place for group in groups for place in group) == list(range(len(weights)))
    first, *names = increments.steps(bits, groups)
    assert len(names) == 2 * len(groups)
    held = sent(whole, first)
    for name in names[: len(groups)]:
        update = increments.update_named(name)
        assert update is not None
        assert update.name == name
        held = increments.decode_update([updated(whole, name)], held)
        middle, coarse = (increments.at(whole, each, 4).state for each in (8, 4))
        for place, weight in enumerate(weights):
            has = update.follows(place) or update.refines(place)
            np.testing.assert_array_equal(held.state[weight], (middle if has else coarse)[weight])
    for name in names[len(groups) :]:
        held = increments.decode_update([updated(whole, name)], held)
    assert digest(held.state) == digest(increments.at(whole, 16, 4).state)


def test_an_update_of_some_weights_follows_those_before_it_alone() -> None:
    whole = model()
    first, one, other = increments.steps((8, 16), [[0, 1], [2, 3, 4]])
    held = sent(whole, first)
    with pytest.raises(NodeError, match="updates the state"):
        increments.decode_update([updated(whole, other)], held)
    assert len(updated(whole, one)) < len(updated(whole, "update:8:16"))


@pytest.mark.parametrize("name", ["update:8:16/1/1", "update:8:16/3/0", "update:8:16/0/0"])
def test_an_update_of_no_weights_is_none(name: str) -> None:
    with pytest.raises(UsageError, match="refines no weights"):
        increments.update_named(name)


@pytest.mark.parametrize("qps", [(-20, -38), (-14, -26, -38), (0, -75)])
def test_updates_by_nnc_rebuild_the_model_that_it_makes_at_once(qps: tuple[int, ...]) -> None:
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    whole = model()
    first, *names = increments.steps(qps)
    assert first == f"nnc-uniform:{qps[0]}"
    held = sent(whole, first)
    for place, name in enumerate(names, start=1):
        held = increments.decode_update([updated(whole, name)], held)
        assert digest(held.state) == digest(sent(whole, increments.alone(qps, place)).state)
        assert digest(held.state) == digest(increments.at(whole, qps[place], qps[0]).state)


def test_steps_of_nnc_are_about_as_large_as_all_at_once() -> None:
    """What the coarse levels say of the fine ones costs nothing twice."""
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    rng = np.random.default_rng(2)
    whole = model_of({"w": rng.laplace(0, 0.02, (128, 1000)).astype(np.float32)})
    first, update = increments.steps((-20, -38))
    sizes = len(b"".join(encode(whole, coder_named(first)))), len(updated(whole, update))
    at_once = len(b"".join(encode(whole, coder_named("nnc-uniform:-38"))))
    assert sum(sizes) < 1.02 * at_once


def test_a_damaged_update_by_nnc_is_refused() -> None:
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    base, stream = increments.at(model(), -20, -20), updated(model(), "update:-20:-38")
    decoder = Decoder(base=digest(base.state))
    decoder.feed(stream)
    state = decoder.finish().state
    lacks = np.array(state["conv.weight"])
    flipped, doubled = lacks ^ np.uint8(4), np.concatenate([lacks, lacks])
    for bad in (lacks[:-3], flipped, doubled, lacks[:0]):
        other = model_of({**state, "conv.weight": bad})
        with pytest.raises(NodeError, match=r"damaged|not what"):
            increments.decode_update(encode(other, coder_named("zstd")), base)


def test_nnc_updates_half_weights_to_what_comes_at_once() -> None:
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    rng = np.random.default_rng(2)
    half = model_of({"half": rng.laplace(0, 0.02, (64, 300)).astype(np.float16)})
    held = sent(half, "nnc-uniform:-20")
    fine = increments.decode_update([updated(half, "update:-20:-38")], held)
    assert fine.state["half"].tobytes() == sent(half, "nnc-uniform:-38").state["half"].tobytes()
    assert held.state["half"].tobytes() != fine.state["half"].tobytes()


def test_what_nnc_cannot_update_is_refused_by_name() -> None:
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")
    rng = np.random.default_rng(2)
    large = model_of({"half": rng.laplace(0, 3000, (10, 10)).astype(np.float16)})
    with pytest.raises(NodeError, match="too large for the quantiser -38 in float16"):
        updated(large, "update:-38:-40")
    with pytest.raises(UsageError, match="wide is float64"):
        updated(model_of({"wide": np.ones((2, 2))}), "update:-20:-38")
