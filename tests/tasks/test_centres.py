"""Boxes of ShapesNet: planted by hand."""

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.tasks.centres import CLASSES, decode
from splitbed.tasks.classes import SHAPES
from splitbed.tensors import Tensors

ROWS, COLUMNS = 24, 32
Peak = tuple[str, int, int, float]
"""Shape, row, column and logit."""


def outputs(*peaks: Peak, reach: float = 2.0) -> Tensors:
    heat = np.full((1, len(SHAPES), ROWS, COLUMNS), -10, np.float32)
    for shape, row, column, logit in peaks:
        heat[0, SHAPES.index(shape), row, column] = logit
    return {"heat": heat, "sides": np.full((1, 4, ROWS, COLUMNS), np.log(reach), np.float32)}


def test_an_object_is_found_where_its_heat_peaks() -> None:
    made = outputs(("ring", 12, 8, 2.0))
    made["sides"][0, :, 12, 8] = np.log([0.5, 1.5, 4.5, 6.5])
    found = decode(made)
    assert np.allclose(found["boxes"], [[8 / 32, 11 / 24, 13 / 32, 19 / 24]])
    assert [CLASSES[label] for label in found["labels"]] == ["ring"]
    assert found["scores"] == pytest.approx([1 / (1 + np.exp(-2))])


def test_results_have_the_datatypes_that_a_detection_has() -> None:
    for made in (outputs(), outputs(("disc", 1, 1, 2.0))):
        kinds = {name: value.dtype for name, value in decode(made).items()}
        assert kinds == {"boxes": np.float32, "labels": np.int64, "scores": np.float32}


def test_a_neighbour_of_a_peak_is_no_object() -> None:
    found = decode(outputs(("disc", 5, 5, 2.0), ("disc", 6, 6, 1.0), ("disc", 5, 8, 1.5)))
    assert found["scores"] == pytest.approx(1 / (1 + np.exp([-2, -1.5])))


def test_classes_peak_side_by_side() -> None:
    found = decode(outputs(("star", 5, 5, 1.0), ("disc", 5, 5, 2.0)))
    assert [CLASSES[label] for label in found["labels"]] == ["disc", "star"]


def test_boxes_end_at_the_pictures_edges() -> None:
    found = decode(outputs(("cross", 0, 0, 3.0), ("cross", 23, 31, 2.0), reach=5))
    assert np.allclose(found["boxes"], [[0, 0, 5.5 / 32, 5.5 / 24], [26.5 / 32, 18.5 / 24, 1, 1]])


def test_what_scores_5_percent_or_less_is_no_object() -> None:
    assert len(decode(outputs(("disc", 5, 5, -2.95)))["scores"]) == 0
    assert len(decode(outputs(("disc", 5, 5, -2.9)))["scores"]) == 1


def test_of_many_peaks_the_best_hundred_are_kept() -> None:
    grid = [(row, column) for row in range(0, ROWS, 2) for column in range(0, COLUMNS, 2)]
    peaks = [("disc", row, column, place / 100) for place, (row, column) in enumerate(grid)]
    found = decode(outputs(*peaks))
    assert len(found["scores"]) == 100
    assert np.all(np.diff(found["scores"]) <= 0)
    assert found["scores"][-1] == pytest.approx(1 / (1 + np.exp(-(len(grid) - 100) / 100)))


def test_a_grid_of_another_size_is_read_too() -> None:
    made = {name: values[:, :, :6, :8] for name, values in outputs(("disc", 2, 3, 2.0)).items()}
    assert np.allclose(decode(made)["boxes"], [[1.5 / 8, 0.5 / 6, 5.5 / 8, 4.5 / 6]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"heat": np.zeros((1, 5, 24, 32))},
        {"sides": np.zeros((1, 4, 24, 31))},
        {"heat": np.zeros((1, 6, 24))},
        {"more": np.zeros(1)},
    ],
    ids=lambda wrong: "".join(f"{name}{value.shape}" for name, value in wrong.items()),
)
def test_outputs_of_another_model_are_refused(wrong: Tensors) -> None:
    with pytest.raises(UsageError, match="cannot read boxes"):
        decode({**outputs(), **wrong})
