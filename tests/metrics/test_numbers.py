"""Classification, regression and image metrics: what is said where a library would warn or fail."""

from math import nan

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.metrics.classification import classification_accuracy
from splitbed.metrics.images import image_quality
from splitbed.metrics.regression import normalised_mse, regression_accuracy

TRUTH = ["cat", "cat", "dog", "hot dog"]
SAID = ["cat", "dog", "dog", "cat"]


def test_precision_recall_and_f1_weigh_each_label_the_same() -> None:
    accuracy = classification_accuracy(TRUTH, SAID)
    assert accuracy.accuracy == 0.5
    assert accuracy.precision == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)
    assert accuracy.recall == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert accuracy.f1 == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


def test_the_confusion_matrix_has_the_truth_in_rows() -> None:
    accuracy = classification_accuracy(TRUTH, SAID)
    assert accuracy.labels == ("cat", "dog", "hot dog")
    assert accuracy.confusion == ((1, 1, 0), (0, 1, 0), (1, 0, 0))


@pytest.mark.filterwarnings("error")
def test_pictures_of_one_class_are_no_reason_to_warn() -> None:
    assert classification_accuracy(["cat"] * 2, ["cat"] * 2).confusion == ((2,),)


def test_a_label_among_the_first_five_counts_and_the_sixth_does_not() -> None:
    ranked = [["a", "b", "c", "d", "cat", "f"], ["a", "b", "c", "d", "e", "cat"]]
    accuracy = classification_accuracy(["cat", "cat"], ["a", "a"], ranked)
    assert (accuracy.top5, accuracy.accuracy) == (0.5, 0)
    assert classification_accuracy(TRUTH, SAID).top5 is None


def test_no_pictures_have_no_accuracy() -> None:
    accuracy = classification_accuracy([], [])
    assert set(accuracy.row().values()) == {None}
    assert accuracy.reason == "no picture was classified"


def test_labels_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(UsageError, match="3 pictures with the truth of 4"):
        classification_accuracy(TRUTH, SAID[:3])
    with pytest.raises(UsageError, match="5 ranked labels of a picture, not 2"):
        classification_accuracy(["cat"], ["cat"], [["cat", "dog"]])


def test_the_errors_of_numbers() -> None:
    errors = regression_accuracy(np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 2], [3, 6]]))
    pearson = np.corrcoef([1, 2, 3, 4], [1, 2, 3, 6])[0, 1]
    expected = {
        "mse": 1, "rmse": 1, "mae": 0.5, "r2": 1 - 4 / 5, "nmse": 4 / 30, "pearson": pearson,
    }  # fmt: skip
    assert errors.row() == pytest.approx(expected)


def test_r2_of_a_truth_that_does_not_vary_is_none() -> None:
    errors = regression_accuracy(np.ones(3), np.array([1.0, 1, 4]))
    assert (errors.mse, errors.r2) == (3, None)
    assert "R2 is not defined" in (errors.reason or "")


@pytest.mark.parametrize("values", [[], [1.0, nan]])
def test_numbers_that_cannot_be_judged_have_a_reason(values: list[float]) -> None:
    errors = regression_accuracy(np.zeros(len(values)), np.array(values))
    assert set(errors.row().values()) == {None}
    assert errors.reason in ("there are no values", "a value is NaN or infinite")


def test_integers_do_not_wrap() -> None:
    assert regression_accuracy(np.array([0], np.uint8), np.array([255], np.uint8)).mae == 255


def test_nothing_against_nothing_is_a_normalised_error_of_0() -> None:
    assert normalised_mse(np.zeros(3), np.zeros(3)) == 0
    assert normalised_mse(np.zeros((0, 4)), np.zeros((0, 4))) == 0
    assert normalised_mse(np.zeros(3), np.ones(3)) is None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"shape \(2,\) with \(3,\)"):
        regression_accuracy(np.zeros(3), np.zeros(2))


def picture(seed: int = 0, size: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 200, (size, size, 3), np.uint8)


def test_pictures_a_step_apart_have_the_psnr_of_that_step() -> None:
    quality = image_quality(picture(), picture() + np.uint8(10))
    assert quality.psnr_db == pytest.approx(20 * np.log10(255 / 10))
    assert 0.9 < (quality.ssim or 0) < 1


def test_the_data_range_counts() -> None:
    fractions = image_quality(picture() / 255, (picture() + 10.0) / 255, data_range=1)
    assert fractions.psnr_db == pytest.approx(20 * np.log10(255 / 10))


def test_pictures_that_are_the_same_have_no_psnr_and_say_so() -> None:
    quality = image_quality(picture(), picture())
    assert quality.row() == {"psnr_db": None, "ssim": pytest.approx(1)}
    assert quality.identical
    assert "PSNR is infinite" in (quality.reason or "")


def test_a_picture_smaller_than_the_window_has_no_ssim() -> None:
    quality = image_quality(picture(0, 8), picture(1, 8))
    assert quality.psnr_db is not None
    assert (quality.ssim, quality.reason) == (None, "SSIM needs 11 pixels on each side")


@pytest.mark.parametrize(
    ("other", "data_range", "words"),
    [
        (picture(0, 16), 255, "cannot compare pictures of shapes"),
        (picture(), 0, "data range of 0"),
        (np.full((32, 32, 3), nan), 255, "NaN"),
    ],
)
def test_pictures_that_cannot_be_compared_are_refused(
    other: np.ndarray, data_range: float, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        image_quality(picture(), other, data_range)
