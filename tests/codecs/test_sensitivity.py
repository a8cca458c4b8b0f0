"""What part 2 is sensitive to, held against what is known of parts that are a matrix."""

import numpy as np
import pytest

from splitbed.codecs.klt.sensitivity import MOST_VALUES, runs_of, sensitivity
from splitbed.errors import NodeError
from splitbed.tensors import Tensors
from tests.codecs.coding import Array, feature_map

CHANNELS = 5
RNG = np.random.default_rng(3)
FRAMES: list[Tensors] = [{"map": feature_map(1, CHANNELS, 6, 7, seed=seed)} for seed in range(4)]
MIX = RNG.standard_normal((3, CHANNELS)).astype(np.float32)


def mixed(tensors: Tensors) -> Tensors:
    """A 1x1 convolution: what it is sensitive to is the Gram matrix of its weights."""
    maps: Array = tensors["map"]
    return {"out": np.einsum("oc,nchw->nohw", MIX, maps)}


def alike(found: Array, expected: Array, within: float = 1e-3) -> bool:
    """But for their scale: outputs are each over what they vary by."""
    ratio = found / np.trace(found) - expected / np.trace(expected)
    return bool(np.abs(ratio).max() < within)


def test_of_a_matrix_it_is_the_gram_matrix_of_its_columns() -> None:
    runs: list[int] = []
    found = sensitivity(mixed, FRAMES, {"map": 1}, lambda: runs.append(1))["map"]
    assert alike(found, MIX.T @ MIX)
    assert len(runs) == runs_of(FRAMES, {"map": 1}) == 4 * (1 + CHANNELS)


def test_channels_may_come_last_and_be_whole_numbers() -> None:
    frames: list[Tensors] = [
        {"map": np.clip(np.moveaxis(one["map"], 1, -1) * 8, 0, 200).astype(np.uint8)}
        for one in FRAMES
    ]

    def part2(tensors: Tensors) -> Tensors:
        maps: Array = np.moveaxis(tensors["map"], -1, 1).astype(np.float32)
        return mixed({"map": maps})

    found = sensitivity(part2, frames, {"map": 3})["map"]
    assert found.shape == (CHANNELS, CHANNELS)
    # an integer at 0 goes up alone, and so the signs are not the same
    assert np.corrcoef(found.ravel(), (MIX.T @ MIX).ravel())[0, 1] > 0.9


def test_of_large_outputs_some_values_tell_the_same() -> None:
    def large(tensors: Tensors) -> Tensors:
        return {"out": np.tile(mixed(tensors)["out"], (2 * MOST_VALUES // 126, 1, 1, 1))}

    found = sensitivity(large, FRAMES[:1], {"map": 1})["map"]
    assert alike(found, MIX.T @ MIX, within=0.02)


@pytest.mark.parametrize(
    ("part2", "why"),
    [
        (lambda _: {"out": np.ones(3, np.float32)}, "no output of part 2 depends on map"),
        (lambda _: {"out": np.array(["a"])}, "no output that is a number"),
        (lambda t: {"out": np.ones(int(t["map"].sum()) % 7, np.float32)}, "outputs of other sizes"),
    ],
)
def test_a_part_that_tells_nothing_is_refused(part2: object, why: str) -> None:
    assert callable(part2)
    with pytest.raises(NodeError, match=why):
        sensitivity(part2, FRAMES, {"map": 1})


def test_frames_that_are_not_finite_are_refused() -> None:
    with pytest.raises(NodeError, match="NaN or infinite"):
        sensitivity(mixed, [{"map": np.full((1, CHANNELS, 2, 2), np.nan, np.float32)}], {"map": 1})
