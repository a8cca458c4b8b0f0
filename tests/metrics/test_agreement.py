"""Split against whole predictions, as clause 10.3.9.1 compares them."""

from dataclasses import replace
from math import nan

import pytest

from splitbed.errors import UsageError
from splitbed.metrics.agreement import agreement
from splitbed.tasks.boxes import Box

ONE = Box("car", 10, 20, 30, 40, 0.8)
TWO = Box("person", 100, 100, 50, 50, 0.6)


def test_the_same_predictions_agree_exactly() -> None:
    row = agreement({"0": [ONE, TWO]}, {"0": [ONE, TWO]}).row()
    assert row == {"frames": 1, "agreeing": 1, "equal_counts": 1, "box_nmse": 0, "score_nmse": 0}


def test_the_error_is_that_of_edges_and_of_scores_by_their_mean_square() -> None:
    (frame,) = agreement({"0": [ONE]}, {"0": [replace(ONE, x=12, score=0.72)]}).frames
    squares = 10**2 + 20**2 + 40**2 + 60**2
    assert frame.box_nmse == pytest.approx((2**2 + 2**2) / squares)
    assert frame.score_nmse == pytest.approx(0.01)
    assert not frame.agrees


def test_boxes_are_paired_whatever_their_order() -> None:
    (frame,) = agreement({"0": [ONE, TWO]}, {"0": [TWO, ONE]}).frames
    assert frame.agrees


def test_another_number_of_boxes_is_borne_and_is_no_agreement() -> None:
    """The published script fails there."""
    compared = agreement({"0": [ONE, TWO], "1": [ONE]}, {"0": [ONE], "1": [ONE]})
    assert (compared.agreeing, compared.equal_counts) == (0.5, 0.5)
    assert compared.frames[0].paired == 1
    assert compared.frames[0].box_nmse == 0


def test_frames_in_which_neither_found_any_agree() -> None:
    """The published script divides by zero there."""
    (frame,) = agreement({"0": []}, {"0": []}).frames
    assert (frame.agrees, frame.box_nmse, frame.score_nmse) == (True, 0, 0)


def test_boxes_against_none_have_no_error_and_do_not_agree() -> None:
    (frame,) = agreement({"0": [ONE]}, {"0": []}).frames
    assert (frame.agrees, frame.box_nmse) == (False, None)


def test_a_box_somewhere_else_is_an_error_not_a_gap() -> None:
    (frame,) = agreement({"0": [ONE]}, {"0": [replace(ONE, x=500)]}).frames
    assert frame.paired == 1
    assert (frame.box_nmse or 0) > 1


def test_another_label_is_no_pair() -> None:
    (frame,) = agreement({"0": [ONE]}, {"0": [replace(ONE, label="bus")]}).frames
    assert (frame.equal_counts, frame.paired, frame.agrees) == (True, 0, False)


def test_boxes_without_an_area_agree_with_themselves() -> None:
    flat = replace(ONE, w=0.0)
    assert agreement({"0": [flat]}, {"0": [flat]}).agreeing == 1


def test_nan_does_not_agree() -> None:
    assert agreement({"0": [ONE]}, {"0": [replace(ONE, x=nan)]}).agreeing == 0


def test_no_frames_have_no_fractions() -> None:
    assert agreement({}, {}).row()["agreeing"] is None


def test_a_frame_that_only_one_has_is_named() -> None:
    with pytest.raises(UsageError, match=r"only one of them has 7 \(1 such"):
        agreement({"0": []}, {"0": [], "7": []})
