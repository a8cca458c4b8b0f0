"""Accuracy of boxes, through pycocotools."""

import io
import tracemalloc
from contextlib import redirect_stdout
from dataclasses import replace
from math import inf, nan

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from splitbed.errors import UsageError
from splitbed.metrics.detection import COLUMNS, detection_accuracy
from splitbed.tasks.boxes import Box

CAR = Box("car", 10, 20, 30, 40)
TABLE = Box("dining table", 100, 100, 80, 50)
TRUTH = {"one.jpg": [CAR, TABLE], "two.jpg": [replace(CAR, x=200)], "empty.jpg": []}


def surely(box: Box, score: float = 0.9) -> Box:
    return replace(box, score=score)


FOUND = {name: [surely(box) for box in boxes] for name, boxes in TRUTH.items()}


def test_what_was_annotated_scores_1_in_every_column() -> None:
    assert detection_accuracy(TRUTH, FOUND).row() == pytest.approx(dict.fromkeys(COLUMNS, 1.0))


def test_nothing_found_scores_0_and_has_no_precision() -> None:
    accuracy = detection_accuracy(TRUTH, {})
    assert (accuracy.ap, accuracy.voc_ap50, accuracy.recall, accuracy.f1) == (0, 0, 0, 0)
    assert (accuracy.precision, accuracy.mean_iou) == (None, None)
    assert accuracy.reason == "no box was found with a score of 0.5 or more"


@pytest.mark.parametrize("truth", [{"one.jpg": []}, {"one.jpg": [replace(CAR, crowd=True)]}, {}])
def test_without_an_annotated_object_there_are_no_values(truth: dict[str, list[Box]]) -> None:
    accuracy = detection_accuracy(truth, {name: [surely(CAR)] for name in truth})
    assert accuracy.row() == dict.fromkeys(COLUMNS)
    assert accuracy.reason == f"no object is annotated in the {len(truth)} pictures"


def test_a_detection_takes_one_object_only() -> None:
    """calc_map lets it take all that it overlaps."""
    accuracy = detection_accuracy({"one.jpg": [CAR, CAR]}, {"one.jpg": [surely(CAR)]})
    assert (accuracy.recall, accuracy.precision) == (0.5, 1)
    assert accuracy.voc_ap50 == pytest.approx(0.5)


def test_an_object_is_found_once_only() -> None:
    accuracy = detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [surely(CAR), surely(CAR, 0.8)]})
    assert (accuracy.recall, accuracy.precision, accuracy.boxes) == (1, 0.5, 2)


def test_the_third_and_fourth_numbers_are_a_size_not_a_corner() -> None:
    """calc_map reads x y w h of the truth as two corners."""
    right, bottom = CAR.w, CAR.h
    corners = Box("car", CAR.x, CAR.y, right - CAR.x, bottom - CAR.y, 0.9)
    accuracy = detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [corners]})
    assert (accuracy.ap50, accuracy.recall) == (0, 0)
    assert detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [surely(CAR)]}).ap == pytest.approx(1)


def test_average_precision_is_the_area_under_precision_over_recall() -> None:
    """Found, ghost, found: precision 1 up to a recall of 0.5, then 2/3 (calc_map: a point each)."""
    other = replace(CAR, x=300)
    found = [surely(CAR), surely(replace(CAR, y=500), 0.8), surely(other, 0.7)]
    accuracy = detection_accuracy({"one.jpg": [CAR, other]}, {"one.jpg": found})
    assert accuracy.ap50 == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert accuracy.voc_ap50 == pytest.approx((1 + 2 / 3) / 2)


def test_a_box_a_little_off_counts_at_the_lower_overlaps() -> None:
    wide = surely(replace(CAR, w=CAR.w / 0.72))  # 0.72: found at 0.50, 0.55 ... 0.70
    accuracy = detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [wide]})
    assert (accuracy.ap50, accuracy.ap75) == pytest.approx((1, 0))
    assert (accuracy.ap, accuracy.mean_iou) == pytest.approx((0.5, 0.72))


def test_average_precision_is_that_of_cocos_own_summary() -> None:
    truth, found = random_pictures(np.random.default_rng(4))
    accuracy = detection_accuracy(truth, found)
    assert (accuracy.ap, accuracy.ap50, accuracy.ap75) == pytest.approx(summary(truth, found)[:3])
    assert 0.05 < (accuracy.ap or 0) < 0.95


def random_pictures(
    rng: np.random.Generator,
) -> tuple[dict[str, list[Box]], dict[str, list[Box]]]:
    truth: dict[str, list[Box]] = {}
    found: dict[str, list[Box]] = {}
    for index in range(12):
        rows = [
            Box(str(rng.choice(["car", "bus", "sports ball"])), *rng.uniform(5, 90, 4).tolist())
            for _ in range(8)
        ]
        rows[0] = replace(rows[0], crowd=True)
        truth[f"{index}.jpg"] = rows
        found[f"{index}.jpg"] = [
            replace(b, x=b.x + float(rng.normal(0, 5)), score=float(rng.uniform()), crowd=False)
            for b in [*rows[:6], *rows[:2]]
        ]
    return truth, found


def summary(truth: dict[str, list[Box]], found: dict[str, list[Box]]) -> list[float]:
    names, labels = list(truth), ["bus", "car", "sports ball"]
    rows = [
        {"id": 0, "image_id": names.index(name), "category_id": labels.index(box.label),
         "bbox": [box.x, box.y, box.w, box.h], "area": box.w * box.h, "iscrowd": int(box.crowd),
         "score": box.score}
        for pictures in (truth, found) for name, boxes in pictures.items() for box in boxes
    ]  # fmt: skip
    api = COCO()
    api.dataset = {
        "images": [{"id": index} for index in range(len(names))],
        "categories": [{"id": index} for index in range(len(labels))],
        "annotations": [{**row, "id": n} for n, row in enumerate(rows, 1) if row["score"] is None],
    }
    with redirect_stdout(io.StringIO()):
        api.createIndex()
        results = [row for row in rows if row["score"] is not None]
        evaluation = COCOeval(api, api.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats]


def test_each_class_has_its_scores_and_the_mean_is_theirs() -> None:
    accuracy = detection_accuracy(TRUTH, {**FOUND, "one.jpg": [surely(CAR)]})
    assert accuracy.class_row() == pytest.approx({"car": 1, "dining table": 0})
    assert accuracy.ap == pytest.approx(0.5)
    assert [scores.objects for scores in accuracy.classes.values()] == [2, 1]


def test_a_class_that_is_annotated_nowhere_costs_precision_and_no_average() -> None:
    ghost = replace(CAR, label="fire hydrant", score=0.9)
    accuracy = detection_accuracy(TRUTH, {**FOUND, "empty.jpg": [ghost]})
    assert accuracy.ap == pytest.approx(1)
    assert accuracy.precision == 0.75
    assert accuracy.classes["fire hydrant"].ap is None


def test_boxes_below_the_score_count_for_average_precision_only() -> None:
    accuracy = detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [surely(CAR, 0.3)]})
    assert accuracy.ap == pytest.approx(1)
    assert (accuracy.recall, accuracy.boxes) == (0, 0)
    assert detection_accuracy({"a": [CAR]}, {"a": [surely(CAR, 0.3)]}, min_score=0.3).recall == 1


def test_a_crowd_is_no_miss_and_boxes_on_it_are_no_ghosts() -> None:
    crowd = Box("car", 200, 200, 300, 300, crowd=True)
    inside = Box("car", 250, 250, 20, 20, 0.95)
    accuracy = detection_accuracy({"a": [CAR, crowd]}, {"a": [surely(CAR), inside]})
    assert (accuracy.precision, accuracy.recall, accuracy.objects) == (1, 1, 1)
    assert accuracy.ap == pytest.approx(1)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_a_box_that_is_not_finite_is_a_miss(bad: float) -> None:
    for found in (surely(replace(CAR, w=bad)), surely(replace(CAR, x=bad))):
        accuracy = detection_accuracy({"one.jpg": [CAR]}, {"one.jpg": [found]})
        assert (accuracy.precision, accuracy.recall, accuracy.ap) == (0, 0, 0)


def test_a_picture_that_nobody_annotated_is_named() -> None:
    with pytest.raises(UsageError, match=r"three\.jpg \(1 of 2 pictures\)"):
        detection_accuracy(TRUTH, {"one.jpg": [], "three.jpg": []})


def test_a_found_box_without_a_score_is_refused() -> None:
    with pytest.raises(UsageError, match=r"one\.jpg: 'car' at 10, 20 has no score"):
        detection_accuracy(TRUTH, {"one.jpg": [CAR]})


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    detection_accuracy(TRUTH, FOUND)
    assert capfd.readouterr() == ("", "")


def drawn_pictures(seed: int, pictures: int = 12) -> tuple[dict[str, list[Box]], ...]:
    """Truth of two classes and what was found of it: moved, missed, made up; a crowd among it."""
    dice = np.random.default_rng(seed)
    truth: dict[str, list[Box]] = {}
    found: dict[str, list[Box]] = {}
    for place in range(pictures):
        name = f"{place}.png"
        corners = dice.uniform(0, 80, (dice.integers(0, 5), 2))
        truth[name] = [
            Box("ab"[i % 2], x, y, 20, 20, crowd=i == 4) for i, (x, y) in enumerate(corners)
        ]
        moved = [
            Box(box.label, box.x + dice.normal(0, 3), box.y, 20, 20, score=dice.uniform())
            for box in truth[name]
            if dice.uniform() < 0.8
        ]
        made_up = [Box("a", dice.uniform(0, 80), 9, 20, 20, score=dice.uniform()) for _ in "xx"]
        found[name] = moved + made_up
    return truth, found


def test_a_resample_has_the_average_precision_of_its_pictures() -> None:
    truth, found = drawn_pictures(1)
    judged = detection_accuracy(truth, found)
    dice = np.random.default_rng(2)
    names = list(truth)
    drawn = np.array([np.ones(12), *dice.multinomial(12, np.full(12, 1 / 12), 5)], np.float64)
    for counts, ap in zip(drawn, judged.resampled_ap(drawn), strict=True):
        again = [
            (f"{turn} {name}", name)
            for name, count in zip(names, counts, strict=True)
            for turn in range(int(count))
        ]
        told = detection_accuracy(
            {new: truth[old] for new, old in again}, {new: found[old] for new, old in again}
        )
        assert ap == pytest.approx(told.ap, abs=0.002)  # equal scores stand in another order
    assert judged.resampled_ap(drawn)[0] == pytest.approx(judged.ap, abs=1e-12)


def test_four_times_the_pictures_take_four_times_the_memory() -> None:
    def peak(count: int) -> int:
        truth = {str(name): [CAR, replace(CAR, x=100)] for name in range(count)}
        found = {name: [surely(box, 0.5) for box in boxes] for name, boxes in truth.items()}
        tracemalloc.start()
        detection_accuracy(truth, found)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)  # what is imported
    assert peak(400) < 6 * peak(100)
