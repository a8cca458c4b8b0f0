"""Clause 6's tracking precision and recall."""

from dataclasses import replace

import pytest

from splitbed.errors import UsageError
from splitbed.metrics.tracking import tracking_accuracy
from splitbed.tasks.boxes import Box

CAR = Box("car", 0, 0, 10, 10, track=1)
OTHER = Box("car", 100, 0, 10, 10, track=2)
FRAMES = {str(index): [replace(CAR, x=index), replace(OTHER, x=100 + index)] for index in range(4)}


def surely(*boxes: Box) -> list[Box]:
    return [replace(box, score=0.9, track=None) for box in boxes]


def test_objects_that_are_followed_throughout_score_1() -> None:
    accuracy = tracking_accuracy(FRAMES, {name: surely(*boxes) for name, boxes in FRAMES.items()})
    assert accuracy.row() == {"tp": 1, "tr": 1, "frame_iou": 1}
    assert accuracy.tracks == {1: 1, 2: 1}


def test_an_object_that_is_lost_costs_recall_and_not_precision() -> None:
    found = {name: surely(*boxes) for name, boxes in FRAMES.items()}
    found["2"] = surely(replace(CAR, x=2))
    del found["3"]
    accuracy = tracking_accuracy(FRAMES, found)
    assert (accuracy.tp, accuracy.tr) == (1, 5 / 8)
    assert accuracy.tracks == {1: 3 / 4, 2: 2 / 4}
    assert accuracy.frame_iou == (1, 1, 0.5, 0)


def test_a_ghost_costs_the_precision_of_its_frame() -> None:
    found = {name: surely(*boxes) for name, boxes in FRAMES.items()}
    found["0"] += surely(replace(CAR, y=50), replace(CAR, label="person"))
    accuracy = tracking_accuracy(FRAMES, found)
    assert (accuracy.tp, accuracy.tr) == ((0.5 + 3) / 4, 1)


def test_a_box_that_overlaps_too_little_follows_nothing() -> None:
    accuracy = tracking_accuracy({"0": [CAR]}, {"0": surely(replace(CAR, x=5))})
    assert (accuracy.tp, accuracy.tr, accuracy.tracks) == (0, 0, {1: 0})
    assert accuracy.frame_iou == pytest.approx((1 / 3,))


def test_the_nearest_are_paired_whatever_their_order() -> None:
    truth = {"0": [CAR, replace(CAR, x=4, track=2)]}
    accuracy = tracking_accuracy(truth, {"0": surely(*truth["0"][::-1])})
    assert accuracy.frame_iou == (1,)


def test_a_crowd_need_not_be_found_and_covers_the_boxes_on_it() -> None:
    crowd = Box("car", 0, 100, 100, 100, crowd=True)
    found = {"0": surely(CAR, Box("car", 20, 120, 10, 10))}
    accuracy = tracking_accuracy({"0": [CAR, crowd]}, found)
    assert (accuracy.tp, accuracy.tr) == (1, 1)


def test_a_frame_without_objects_has_no_overlap_and_ghosts_in_it_cost() -> None:
    accuracy = tracking_accuracy({"0": [CAR], "1": []}, {"0": surely(CAR), "1": surely(CAR)})
    assert accuracy.frame_iou == (1, None)
    assert (accuracy.tp, accuracy.mean_iou) == (0.5, 1)


def test_without_objects_there_are_no_values() -> None:
    accuracy = tracking_accuracy({"0": []}, {"0": surely(CAR)})
    assert accuracy.row() == {"tp": None, "tr": None, "frame_iou": None}
    assert accuracy.reason == "no object is annotated in the 1 frames"


def test_nothing_found_follows_nothing() -> None:
    accuracy = tracking_accuracy(FRAMES, {})
    assert accuracy.row() == {"tp": None, "tr": 0, "frame_iou": 0}
    assert "no box was found" in (accuracy.reason or "")


def test_a_frame_that_nobody_annotated_is_named() -> None:
    with pytest.raises(UsageError, match="found in 9"):
        tracking_accuracy(FRAMES, {"9": []})
