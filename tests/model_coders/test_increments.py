"""Bit-incremental model data: the fine model to the bit, from a coarse one and what it lacks."""

from itertools import pairwise

import numpy as np
import pytest

from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import increments
from splitbed.model_coders.decoder import Decoder
from splitbed.model_coders.encoder import encode
from splitbed.model_coders.integers import quantised
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


def sent(file: ModelFile, bits: tuple[int, ...], place: int) -> ModelFile:
    """What comes of a model that is sent alone."""
    decoder = Decoder()
    for piece in encode(file, increments.coder_of(bits, place)):
        decoder.feed(piece)
    return decoder.finish()


@pytest.mark.parametrize("bits", [(8, 16), (4, 16), (4, 6, 8, 16), (6, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_updates_rebuild_the_fine_model_as_it_is_when_sent_alone(
    bits: tuple[int, ...], seed: int
) -> None:
    made = increments.stages(model(seed), bits)
    held = sent(made[0], bits, 0)
    for place, (update, base) in enumerate(increments.updates(made, bits), start=1):
        stream = b"".join(increments.coded(update, base))
        held = increments.decoded(stream, held)
        assert digest(held.state) == digest(sent(made[place], bits, place).state)
        assert digest(held.state) == digest(made[place].state)
    assert bits[place] == bits[-1]


@pytest.mark.parametrize("bits", [(8, 16), (4, 16)])
def test_its_integers_are_those_of_a_model_that_is_quantised_at_once(bits: tuple[int, int]) -> None:
    """Each weight is the nearest of its levels, whose upper bits are the coarse model's."""
    low, high = bits
    whole = model()
    made = increments.stages(whole, bits)
    for name in ("conv.weight", "ties.weight"):
        fine, scales = quantised(whole.state[name], high, low)
        again, _ = quantised(made[1].state[name], high, low)
        coarse, _ = quantised(made[0].state[name], low)
        assert np.array_equal(fine, again)
        assert np.abs(fine).max() == TOPS[low] << (high - low)
        assert np.array_equal(coarse, (fine.astype(int) + (1 << (high - low - 1))) >> (high - low))
        assert np.abs(made[1].state[name] - whole.state[name]).max() <= 0.51 * scales.max()


def test_a_tensor_of_one_dimension_or_of_integers_is_whole_at_once() -> None:
    whole = model()
    for made in increments.stages(whole, (4, 8)):
        assert np.array_equal(made.state["conv.bias"], whole.state["conv.bias"])
        assert np.array_equal(made.state["counted"], whole.state["counted"])


def test_each_step_takes_the_bits_that_it_adds() -> None:
    """Bits that say little of one another: the steps together are hardly larger than the whole."""
    rng = np.random.default_rng(0)
    whole = model_of({"w": rng.standard_normal((256, 1024), np.float32)})
    bits = (4, 6, 8, 16)
    made = increments.stages(whole, bits)
    sizes = [sum(map(len, encode(made[0], increments.coder_of(bits))))]
    for update, base in increments.updates(made, bits):
        sizes.append(sum(map(len, increments.coded(update, base))))
    for (low, high), size in zip(pairwise(bits), sizes[1:], strict=True):
        assert size * 8 / 2**18 == pytest.approx(high - low, rel=0.05)
    direct = sum(map(len, encode(made[-1], increments.coder_of(bits, -1))))
    assert direct <= sum(sizes) < 1.1 * direct


def first_update() -> tuple[list[ModelFile], bytes]:
    made = increments.stages(model(), (8, 16))
    ((update, base),) = increments.updates(made, (8, 16))
    return made, b"".join(increments.coded(update, base))


def test_an_update_of_another_model_is_refused_by_the_hash_of_its_base() -> None:
    made, stream = first_update()
    other = increments.stages(model(1), (8, 16))[0]
    with pytest.raises(NodeError, match=f"updates the state {digest(made[0].state)[:12]}"):
        increments.decoded(stream, other)
    with pytest.raises(NodeError, match="updates the state"):  # the fine one has no use for it
        increments.decoded(stream, made[1])


def test_a_damaged_update_is_refused() -> None:
    made, stream = first_update()
    for damaged in (stream[:-40], stream[:900] + bytes([stream[900] ^ 1]) + stream[901:]):
        with pytest.raises(NodeError):
            increments.decoded(damaged, made[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({increments.STEP: np.array([8, 8, 40], np.int32)}, "from 8 to 40 bits"),
        ({increments.STEP: np.array([8.0], np.float32)}, "is no update of a model"),
        ({"other.weight": np.zeros(4, np.uint8)}, "refines other.weight, and no such"),
        ({"conv.weight": np.zeros(24, np.uint8)}, r"of conv.weight \[24, 8, 3, 3\] has 24 bytes"),
        ({"conv.bias": np.zeros(24, np.uint8)}, "refines conv.bias, and no such"),
    ],
)
def test_an_update_that_does_not_fit_is_refused_by_name(
    change: dict[str, np.ndarray], words: str
) -> None:
    made = increments.stages(model(), (8, 16))
    ((update, base),) = increments.updates(made, (8, 16))
    stream = b"".join(increments.coded(model_of({**update.state, **change}), base))
    with pytest.raises(NodeError, match=words):
        increments.decoded(stream, made[0])


def test_an_ordinary_bitstream_is_no_update() -> None:
    made = increments.stages(model(), (8, 16))
    with pytest.raises(NodeError, match="is no update"):
        increments.refined(made[0], made[1].state)


@pytest.mark.parametrize("bits", [(8,), (16, 8), (8, 8), (7, 8), (8, 17), ()])
def test_bits_that_cannot_be_are_refused(bits: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="two or more of 4, 6, 8, 16 that ascend"):
        increments.stages(model(), bits)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    state = {"fine": np.ones((2, 2), np.float32), "bad": np.full((2, 2), np.nan, np.float32)}
    with pytest.raises(NodeError, match="bad: 4 of its 4 values"):
        increments.stages(model_of(state), (8, 16))
