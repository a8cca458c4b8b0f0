"""Boxes of detectors whose graph ends in boxes: pixels to fractions, COCO's ids to places."""

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.tasks import TASKS
from splitbed.tasks.classes import COCO_CLASSES
from splitbed.tensors import TensorInfo, Tensors

PICTURE = (TensorInfo("images", "FP32", (1, 3, 800, 1280)),)
TASK = TASKS["detections"]


def outputs(*labels: int) -> Tensors:
    count = len(labels)
    return {
        "boxes": np.full((count, 4), (640, 200, 1280, 800), np.float32),
        "labels": np.array(labels, np.int64),
        "scores": np.linspace(0.9, 0.5, count, dtype=np.float32),
    }


def names(*labels: int) -> list[str]:
    return [TASK.classes[place] for place in TASK.decode(outputs(*labels), PICTURE)["labels"]]


def test_boxes_become_fractions_of_the_input() -> None:
    assert TASK.decode(outputs(1), PICTURE)["boxes"].tolist() == [[0.5, 0.25, 1.0, 1.0]]


def test_an_input_with_channels_last_has_its_size_too() -> None:
    turned = (TensorInfo("images", "FP32", (1, 800, 1280, 3)),)
    assert TASK.decode(outputs(1), turned)["boxes"].tolist() == [[0.5, 0.25, 1.0, 1.0]]


def test_cocos_ids_become_places_among_its_80_classes() -> None:
    assert names(1, 11, 13, 44, 90) == [
        "person",
        "fire hydrant",
        "stop sign",
        "bottle",
        "toothbrush",
    ]


def test_every_class_has_an_id() -> None:
    assert names(*range(1, 91)) == list(COCO_CLASSES)


def test_labels_that_name_no_class_are_left_out_with_their_boxes() -> None:
    found = TASK.decode(outputs(0, 18, 12, 91, -1, 83), PICTURE)
    assert [value.tolist() for value in found.values()] == [
        [[0.5, 0.25, 1.0, 1.0]], [17], [pytest.approx(0.82)]
    ]  # fmt: skip


def test_no_box_gives_empty_arrays_that_fit_the_results() -> None:
    found = TASK.decode(outputs(), PICTURE)
    assert TASK.results
    for info in TASK.results:
        value = found[info.name]
        assert info.fits(TensorInfo(info.name, info.datatype, value.shape))
        assert value.size == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"boxes": np.zeros((2, 4), np.float32), "labels": np.zeros(2, np.int64)},
        outputs(1, 2) | {"boxes": np.zeros((3, 4), np.float32)},
        outputs(1) | {"boxes": np.zeros((1, 5), np.float32)},
    ],
)
def test_outputs_of_another_kind_are_refused(wrong: Tensors) -> None:
    with pytest.raises(UsageError, match="expected boxes"):
        TASK.decode(wrong, PICTURE)


def test_boxes_of_no_picture_are_refused() -> None:
    with pytest.raises(UsageError, match="what size of picture"):
        TASK.decode(outputs(1), (TensorInfo("x", "FP32", (1, 7)),))


def post_processed(count: float, *classes: float) -> Tensors:
    name, most = "TFLite_Detection_PostProcess", len(classes)
    return {
        name: np.full((1, most, 4), (0.25, 0.5, 1, 0.75), np.float32),
        f"{name}:1": np.array([classes], np.float32),
        f"{name}:2": np.full((1, most), 0.5, np.float32),
        f"{name}:3": np.array([count], np.float32),
    }


def test_tflites_own_boxes_are_fractions_with_the_top_first_and_count_classes_from_0() -> None:
    found = TASK.decode(post_processed(2, 0, 89, 0), PICTURE)
    assert [TASK.classes[place] for place in found["labels"]] == ["person", "toothbrush"]
    assert found["boxes"].tolist() == [[0.5, 0.25, 0.75, 1.0]] * 2


def test_what_tflites_operator_cannot_have_said_names_no_box() -> None:
    found = TASK.decode(post_processed(1e9, np.nan, -np.inf, np.inf, 11), PICTURE)
    assert not found["labels"].size
    assert not TASK.decode(post_processed(np.nan, 0), PICTURE)["labels"].size


def test_tflites_outputs_of_other_shapes_are_told() -> None:
    outputs = post_processed(1, 0) | {"TFLite_Detection_PostProcess:3": np.zeros(2, np.float32)}
    with pytest.raises(UsageError, match="and how many there are"):
        TASK.decode(outputs, PICTURE)
