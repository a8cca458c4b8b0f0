"""The coder that NNC's library is at work in."""

import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from splitbed.codecs.stage import Setting
from splitbed.errors import MachineError, NodeError, UsageError
from splitbed.model_coders import coder_named
from splitbed.model_coders.nnc import HEAD, KINDS, QPS, qp_of, step
from splitbed.model_coders.worker import DecodingWorker
from splitbed.tensors import TensorInfo
from tests.model_coders.coding import STATE, coded, decoded, weights
from tests.model_coders.test_coders import entropy

STEP = 6 * 2.0**-12  # of qp -38


@pytest.fixture
def library() -> None:
    pytest.importorskip("nncodec", reason="nncodec is not installed: make nnc")


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("coder", "steps"), [("nnc-uniform", 0.5), ("nnc", 1.5)])
def test_a_weight_is_wrong_by_a_step_or_so(coder: str, steps: float) -> None:
    state = decoded([coded(coder)]).state
    for name in ("conv.weight", "depthwise", "half"):
        assert np.abs(state[name] - STATE[name]).max() <= steps * STEP * 1.01
    assert np.abs(state["conv.bias"] - STATE["conv.bias"]).max() < 1e-5  # of a finer step
    np.testing.assert_array_equal(state["index"], STATE["index"])


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("bits", [3, 4, 8])
def test_levels_take_as_many_bits_as_were_asked_and_no_more(bits: int) -> None:
    weight, top = STATE["conv.weight"], 2 ** (bits - 1) - 1
    levels = decoded([coded(f"nnc-int{bits}")]).state["conv.weight"] / step(qp_of(weight, bits))
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    assert 0.8 * top - 0.5 <= np.abs(levels).max() <= top + 1e-3  # steps are a quarter apart


def test_values_beyond_every_step_have_the_coarsest() -> None:
    for value, qp in ((0.0, QPS[0]), (1e30, QPS[-1]), (np.inf, QPS[-1]), (np.nan, QPS[-1])):
        assert qp_of(np.array([value], np.float32), 8) == qp


@pytest.mark.usefixtures("library")
def test_size_is_below_the_entropy_of_uniform_levels() -> None:
    weight = weights(64, 32, 3, 3)
    levels = np.rint(decoded([coded("nnc-uniform", {"w": weight})]).state["w"] / STEP)
    assert len(coded("nnc", {"w": weight})) < entropy(levels) * weight.size / 8


@pytest.mark.usefixtures("library")
def test_rows_of_zeros_take_next_to_nothing() -> None:
    weight = weights(64, 128)
    weight[:32] = 0
    stream = coded("nnc-uniform", {"w": weight})
    assert len(stream) < 0.6 * len(coded("nnc-uniform", {"w": weights(64, 128)}))
    assert not decoded([stream]).state["w"][:32].any()


@pytest.mark.usefixtures("library")
def test_a_block_that_was_damaged_is_not_decoded() -> None:
    info = TensorInfo("w", "FP32", (8, 75))
    stage = KINDS["nnc"](info, Setting(), None)
    block = stage.encode(weights(8, 75))
    for place in (0, 5, 20, block.size - 1):
        damaged = block.copy()
        damaged[place] ^= 4
        with pytest.raises(NodeError, match=r"damaged|quantiser|not what"):
            stage.decode(damaged)
    short = block[HEAD.size : -4].tobytes()
    with pytest.raises(NodeError, match="not what they announce"):
        head = HEAD.pack(zlib.crc32(short), -38)
        stage.decode(np.frombuffer(head + short, np.uint8))


@pytest.mark.usefixtures("library")
def test_a_block_that_no_encoder_made_is_refused_in_words(tmp_path: Path) -> None:
    weight = weights(16, 200)
    block = KINDS["nnc"](TensorInfo("w", "FP32", weight.shape), Setting(), None).encode(weight)
    made = block[HEAD.size :].tobytes()[:-4] + b"\xff" * 4
    false = HEAD.pack(zlib.crc32(made), -38) + made
    stream = coded("nnc", {"w": weight}).replace(block.tobytes(), false)
    with DecodingWorker(tmp_path / "model") as worker:
        worker.feed(stream)
        with pytest.raises(
            NodeError, match=r"cannot decode w: \d+ bytes of DeepCABAC are not what"
        ):
            worker.finish()


@pytest.mark.usefixtures("library")
def test_weights_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(NodeError, match=r"cannot encode w: 1 of its 4 values"):
        coded("nnc", {"w": np.array([[1, np.inf], [0, 2]], np.float32)})


def test_without_the_library_the_message_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "nncodec.extensions", None)
    with pytest.raises(MachineError, match="run make nnc"):
        coded("nnc:-30")


def test_a_quantiser_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"from -120 to 0, not 7"):
        coder_named("nnc:7")
    with pytest.raises(UsageError, match="its bits say the quantiser"):
        coder_named("nnc-int8:-20")
