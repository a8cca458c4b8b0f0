"""What a result is held against, by the task of its model."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.accuracy import Judge
from orchestrator.testbed.model import SweptModel, load_model
from splitbed.errors import UsageError
from splitbed.tasks import TASKS
from splitbed.tensors import Tensors
from tests.node.loopback import SIDE, small_model

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen")


def loaded(folder: Path, **options: Any) -> SweptModel:
    (stored := folder / "stored").mkdir()
    model = str(small_model(folder / "small.onnx"))
    return load_model(sweep_config({"model": model, "runs": 8, **options}), stored)


def pictures(folder: Path) -> Path:
    """A picture in each of eight class folders."""
    for index, name in enumerate(CLASSES):
        (place := folder / "pictures" / name).mkdir(parents=True)
        colour = (index * 30, 255 - index * 30, 90)
        Image.new("RGB", (SIDE, SIDE), colour).save(place / f"{name}.png")
    return folder / "pictures"


def ranked(*labels: int) -> Tensors:
    return {
        "labels": np.array(labels, np.int64),
        "scores": np.linspace(1, 0, len(labels), dtype=np.float32),
    }


def test_classes_are_held_against_the_folders_that_pictures_lie_in(tmp_path: Path) -> None:
    model = loaded(tmp_path, task="classification", input=str(pictures(tmp_path)))
    right = {place: ranked(place, *(i for i in range(8) if i != place)) for place in range(8)}
    judge = Judge(model, dict(right))
    assert judge.whole.metric == "accuracy"
    assert judge.whole.value == 1
    right[7] = ranked(0, 1, 2, 3, 4)
    judged = judge.judge(right)
    assert judged.value == pytest.approx(7 / 8)
    assert judged.more["top5"] == pytest.approx(7 / 8)
    assert judged.more["confusion hen as ant"] == 1
    assert (judged.frames, judge.judge({7: right[7]}).frames) == (8, 1)
    assert (judge.whole.frames, judge.whole_of(3).frames) == (8, 3)


def test_a_picture_whose_boxes_are_of_one_class_shows_it_and_others_are_left_out(
    tmp_path: Path,
) -> None:
    """As PASCAL VOC's pictures are for clause 10.6's classifiers."""
    (folder := tmp_path / "boxes").mkdir()
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    said = {"a": [0, 0], "b": [1], "c": [1, 2], "d": []}
    for name, classes in said.items():
        Image.new("RGB", (SIDE, SIDE)).save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text("".join(f"{one} 1 1 5 5\n" for one in classes))
    model = loaded(tmp_path, task="classification", input=str(folder))
    right = [ranked(0, *range(1, 8)), *(ranked(1, 0, *range(2, 8)) for _ in range(3))]
    judge = Judge(model, dict(enumerate(right)))
    assert (judge.whole.metric, judge.whole.value, judge.whole.frames) == ("accuracy", 1, 2)
    wrong = judge.judge({0: ranked(3, *range(3)), 1: right[1], 2: right[2]})
    assert (wrong.value, wrong.frames, wrong.drop) == (0.5, 2, 0.5)


def test_without_ground_truth_the_whole_models_classes_are_it(tmp_path: Path) -> None:
    model = loaded(tmp_path, task="classification")
    judged = Judge(model, {0: ranked(3, 1, 2, 4, 5)}).judge({0: ranked(1, 3, 2, 4, 5)})
    assert judged.metric == "accuracy, the whole model's classes as truth"
    assert (judged.value, judged.more["top5"]) == (0, 1)


def test_images_are_judged_as_pictures(tmp_path: Path) -> None:
    model = loaded(tmp_path, task="image")
    rng = np.random.default_rng(0)
    whole = rng.random((1, 3, 32, 32)).astype(np.float32)
    judge = Judge(model, {0: {"y": whole}})
    assert judge.whole.value == pytest.approx(1)
    near = judge.judge({0: {"y": whole + np.float32(0.01)}})
    far = judge.judge({0: {"y": whole + rng.normal(0, 0.1, whole.shape).astype(np.float32)}})
    assert near.value is not None
    assert far.value is not None
    assert near.value > far.value
    assert near.more["psnr_db"] == pytest.approx(40, abs=0.5)  # 20 log10(range / 0.01)


def test_super_resolution_is_held_against_the_source_not_the_whole_model(tmp_path: Path) -> None:
    (stored := tmp_path / "stored").mkdir()
    size = "luma=1x1x96x128"
    config = sweep_config({"model": "espcn", "input": "shapes", "runs": 3, "shape": size})
    model = load_model(config, stored)
    sources = [Image.open(io.BytesIO(one.frame.read())) for one in model.inputs if one.frame]
    luma = [image.convert("L") for image in sources]
    exact = {place: pixels(image) for place, image in enumerate(luma)}
    blurred = [image.resize((64, 48)).resize(image.size) for image in luma]
    small = {place: pixels(image) for place, image in enumerate(blurred)}
    judge = Judge(model, exact)
    assert (judge.whole.metric, judge.whole.value) == ("SSIM against the source", 1)
    judged = judge.judge(small)
    pairs = [
        (np.asarray(a, float), np.asarray(b, float)) for a, b in zip(luma, blurred, strict=True)
    ]
    psnr = [10 * np.log10(255**2 / np.mean((a - b) ** 2)) for a, b in pairs]
    assert judged.more["psnr_db"] == pytest.approx(np.mean(psnr))
    assert judged.value is not None
    assert judged.drop == pytest.approx(1 - judged.value)


def test_a_source_smaller_than_what_is_made_of_it_judges_nothing(tmp_path: Path) -> None:
    (stored := tmp_path / "stored").mkdir()
    model = load_model(sweep_config({"model": "espcn", "input": "shapes"}), stored)
    made: Tensors = {"pixels": np.zeros((540, 960, 1), np.uint8)}
    judged = Judge(model, {0: made}).whole
    assert (judged.metric, judged.value) == ("none: 000000.png has fewer than 960x540 pixels", None)


def pixels(image: Image.Image) -> Tensors:
    return {"pixels": np.asarray(image)[..., np.newaxis]}


def test_other_outputs_are_numbers_to_come_near_to(tmp_path: Path) -> None:
    model = loaded(tmp_path)
    whole: Tensors = {"scores": np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)}
    judge = Judge(model, {0: whole})
    assert judge.whole.value == 1
    judged = judge.judge({0: {"scores": np.add(whole["scores"], 1)}})
    assert judged.more["mae"] == pytest.approx(1)
    assert judged.value is not None
    assert judged.value < 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"task": "guessing"}, "no task is called 'guessing'"),
        ({"model": "posenet", "task": "image"}, "posenet does pose"),
    ],
)
def test_a_task_that_cannot_be_is_refused(
    tmp_path: Path, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        loaded(tmp_path, **options)


def test_annotations_are_in_the_classes_of_the_model(tmp_path: Path) -> None:
    Image.new("RGB", (256, 192)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("disc 10 10 20 20\n1 50 50 20 20\n")
    (stored := tmp_path / "stored").mkdir()
    config = sweep_config({"model": "shapesnet", "input": str(tmp_path / "a.png")})
    boxes = load_model(config, stored).inputs[0].boxes
    assert boxes is not None
    assert [box.label for box in boxes] == list(TASKS["centres"].classes[1:3])
