"""Boxes of SSD300: against an obvious reference, and made by hand."""

import itertools
import math

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.tasks import TASKS
from splitbed.tasks.ssd import decode, default_boxes
from splitbed.tensors import Tensors


def outputs(locs: dict[int, list[float]] | None = None, **scores: dict[int, float]) -> Tensors:
    """Outputs whose boxes are all background but for ``scores``: c7={place: score}."""
    confs = np.full((1, 81, 8732), -50, np.float32)
    confs[0, 0] = 0
    for label, places in scores.items():
        for place, score in places.items():
            confs[0, int(label[1:]), place] = math.log(score / (1 - score))
    offsets = np.zeros((1, 4, 8732), np.float32)
    for place, offset in (locs or {}).items():
        offsets[0, :, place] = offset
    return {"locs": offsets, "confs": confs}


def reference_default_boxes() -> np.ndarray:
    rows = []
    sizes = zip(
        (38, 19, 10, 5, 3, 1), (8, 16, 32, 64, 100, 300),
        itertools.pairwise((21, 45, 99, 153, 207, 261, 315)),
        ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)), strict=True,
    )  # fmt: skip
    for size, step, (small, large), ratios in sizes:
        shapes = [(small, small), (math.sqrt(small * large),) * 2]
        for ratio in ratios:
            wide, tall = small * math.sqrt(ratio), small / math.sqrt(ratio)
            shapes += [(wide, tall), (tall, wide)]
        for width, height in shapes:
            for row, column in itertools.product(range(size), repeat=2):
                centre = ((column + 0.5) * step / 300, (row + 0.5) * step / 300)
                rows.append((*centre, width / 300, height / 300))
    return np.array(rows).clip(0, 1)


def reference_overlap(one: np.ndarray, other: np.ndarray) -> float:
    width = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    height = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(width * height / (sum(areas) - width * height))


def reference(outputs: Tensors) -> list[tuple[float, int, tuple[float, ...]]]:
    """Score, label and box: one class, one candidate at a time, as the original does."""
    logits = outputs["confs"][0].T.astype(float)
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    x, y, w, h = (outputs["locs"][0].astype(float)[i] for i in range(4))
    cx, cy, dw, dh = reference_default_boxes().T
    cx, cy, w, h = cx + 0.1 * x * dw, cy + 0.1 * y * dh, dw * np.exp(0.2 * w), dh * np.exp(0.2 * h)
    boxes = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
    found = []
    for label in range(1, 81):
        places = np.flatnonzero(scores[:, label] > 0.05)
        left = sorted(places, key=lambda place: -scores[place, label])[:200]
        while left:
            best, *rest = left
            found.append((float(scores[best, label]), label, tuple(boxes[best].tolist())))
            left = [p for p in rest if reference_overlap(boxes[p], boxes[best]) < 0.5]
    return sorted(found, key=lambda row: -row[0])[:200]


@pytest.mark.parametrize(("seed", "background"), [(0, 9.5), (1, 8.5)])
def test_boxes_are_those_of_the_obvious_reference(seed: int, background: float) -> None:
    rng = np.random.default_rng(seed)
    lift = np.eye(81, 1) * background
    made: Tensors = {
        "locs": rng.normal(size=(1, 4, 8732)).astype(np.float32),
        "confs": (rng.normal(0, 2, (1, 81, 8732)) + lift).astype(np.float32),
    }
    expected, found = reference(made), decode(made)
    assert len(expected) > 50
    assert found["labels"].tolist() == [row[1] for row in expected]
    assert np.allclose(found["scores"], [row[0] for row in expected], atol=1e-5)
    assert np.allclose(found["boxes"], [row[2] for row in expected], atol=1e-5)


def test_default_boxes_are_those_of_the_obvious_reference() -> None:
    assert np.allclose(default_boxes().T, reference_default_boxes(), atol=1e-6)


@pytest.mark.parametrize(
    ("place", "centre", "size"),
    [
        (0, 4 / 300, 0.07),
        (5776, 8 / 300, 0.15),
        (7942, 16 / 300, 0.33),
        (8542, 32 / 300, 0.51),
        (8692, 50 / 300, 0.69),
        (8728, 0.5, 0.87),
    ],
)
def test_each_map_begins_with_a_square_in_the_corner(
    place: int, centre: float, size: float
) -> None:
    assert np.allclose(default_boxes()[:, place], [centre, centre, size, size])


def test_no_box_gives_empty_arrays_of_the_right_shapes() -> None:
    found = decode(outputs())
    assert {name: (value.shape, value.dtype.name) for name, value in found.items()} == {
        "boxes": ((0, 4), "float32"),
        "labels": ((0,), "int64"),
        "scores": ((0,), "float32"),
    }


def test_a_zero_offset_gives_the_default_box() -> None:
    found = decode(outputs(c7={8728: 0.9}))
    assert found["labels"].tolist() == [7]
    assert np.allclose(found["scores"], 0.9)
    assert np.allclose(found["boxes"], [[0.065, 0.065, 0.935, 0.935]])


def test_offsets_move_by_a_tenth_and_grow_by_a_fifth_of_the_exponent() -> None:
    found = decode(outputs({8728: [1, 0, 5, 0]}, c7={8728: 0.9}))
    width = 0.87 * math.e
    expected = [0.587 - width / 2, 0.065, 0.587 + width / 2, 0.935]
    assert np.allclose(found["boxes"], [expected], atol=1e-6)


def test_of_overlapping_boxes_of_a_class_the_best_stays() -> None:
    assert np.allclose(decode(outputs(c3={0: 0.6, 1444: 0.8}))["scores"], [0.8, 0.6])
    nudged = outputs({8728: [0, 0, 0, 0], 8729: [0, 0, -0.4, -0.4]}, c3={8728: 0.6, 8729: 0.8})
    assert np.allclose(decode(nudged)["scores"], [0.8])


def test_overlapping_boxes_of_two_classes_both_stay() -> None:
    found = decode(outputs(c3={8728: 0.4}, c4={8728: 0.4}))
    assert sorted(found["labels"].tolist()) == [3, 4]


def test_a_suppressed_box_suppresses_nothing() -> None:
    """A hides B, B overlaps C, A does not: C stays."""
    # Three neighbours of the 5x5 map, 0.21 apart, made wide enough that the nearest overlap.
    places, growth = (8542, 8543, 8544), [0.0, 0.0, 2.0, 0.0]
    width = 0.51 * math.exp(0.4)
    overlaps = [(width - step * 64 / 300) / (width + step * 64 / 300) for step in (1, 2)]
    assert overlaps[0] > 0.5 > overlaps[1]
    made = outputs(
        dict.fromkeys(places, growth), c1=dict(zip(places, (0.9, 0.8, 0.7), strict=True))
    )
    assert np.allclose(decode(made)["scores"], [0.9, 0.7])


def test_scores_of_a_twentieth_or_less_are_left_out() -> None:
    assert np.allclose(decode(outputs(c1={0: 0.051}, c2={5000: 0.049}))["scores"], [0.051])


def test_at_most_200_boxes_are_kept_and_they_are_the_best() -> None:
    made = outputs(c1=dict.fromkeys(range(0, 1444, 4), 0.5), c2=dict.fromkeys(range(150), 0.7))
    made["locs"][0, 2:] = -12  # tiny boxes, none of which overlap
    found = decode(made)
    assert len(found["scores"]) == 200
    assert np.sum(found["labels"] == 2) == 150


def test_absurd_offsets_give_finite_boxes_and_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    offsets = {0: [0.0, 0, 1e6, 1e6], 1: [0.0, 0, -1e6, -1e6], 2: [0.0, 0, -1e6, -1e6]}
    found = decode(outputs(offsets, c1={0: 0.9, 1: 0.8, 2: 0.7}))
    assert np.isfinite(found["boxes"]).all()
    assert not recwarn.list


@pytest.mark.parametrize("wrong", [{}, {"locs": np.zeros((1, 4, 8732), np.float32)}])
def test_outputs_of_another_model_are_refused(wrong: Tensors) -> None:
    with pytest.raises(UsageError, match="8732"):
        decode(wrong)


def test_the_plain_task_gives_outputs_as_they_are() -> None:
    made: Tensors = {"y": np.arange(3)}
    assert TASKS["tensors"].decode(made, ()) is made
