"""COCO's average precision of key points, through pycocotools."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.metrics.keypoints import NUMBERS, keypoint_precision
from splitbed.tasks.pose import KEYPOINTS
from splitbed.tensors import Tensors
from tests.tasks.people import INPUTS, person

# Twice as wide and as high as the model's input: u becomes 2 u + 0.5.
SIDE = 514
PEOPLE = {"one.jpg": [person(128, 50)], "two.jpg": [person(60, 50), person(190, 60, 0.35)]}


def annotations(people: dict[str, list[np.ndarray]] = PEOPLE) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for index, (name, bodies) in enumerate(people.items()):
        images.append({"id": index, "file_name": name, "width": SIDE, "height": SIDE})
        for body in bodies:
            points = body * 2 + 0.5
            size = points.max(axis=0) - points.min(axis=0)
            seen = np.concatenate([points, np.full((17, 1), 2)], axis=1)
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": index,
                    "category_id": 1,
                    "keypoints": seen.reshape(-1).tolist(),
                    "num_keypoints": 17,
                    "bbox": [*points.min(axis=0).tolist(), *size.tolist()],
                    "area": float(size.prod()),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}]
    return {"images": images, "annotations": rows, "categories": categories}


def found(*bodies: np.ndarray) -> Tensors:
    return {
        "keypoints": np.array(bodies, np.float32).reshape(-1, 17, 2),
        "keypoint_scores": np.ones((len(bodies), 17), np.float32),
        "scores": np.linspace(0.9, 0.5, len(bodies), dtype=np.float32),
    }


def judged(folder: Path, results: dict[str, Tensors], described: object = None) -> dict[str, float]:
    file = folder / "person_keypoints.json"
    file.write_text(json.dumps(annotations() if described is None else described))
    return keypoint_precision(file, results, INPUTS)


def perfect() -> dict[str, Tensors]:
    return {name: found(*bodies) for name, bodies in PEOPLE.items()}


def test_perfect_key_points_score_1(tmp_path: Path) -> None:
    assert judged(tmp_path, perfect()) == pytest.approx(dict.fromkeys(NUMBERS, 1.0))


def test_further_off_scores_lower(tmp_path: Path) -> None:
    precision = [
        judged(tmp_path, {n: found(*(b + shift for b in bodies)) for n, bodies in PEOPLE.items()})
        for shift in (0, 3, 6, 12)
    ]
    averages = [numbers["AP"] for numbers in precision]
    assert averages == sorted(averages, reverse=True)
    assert 1 > averages[1] > averages[2] > averages[3]


def test_nothing_found_scores_0(tmp_path: Path) -> None:
    numbers = judged(tmp_path, {"one.jpg": found(), "two.jpg": found()})
    assert numbers == pytest.approx(dict.fromkeys(NUMBERS, 0.0))


def test_a_person_missed_costs_recall(tmp_path: Path) -> None:
    numbers = judged(tmp_path, {**perfect(), "two.jpg": found(PEOPLE["two.jpg"][0])})
    assert numbers["AR"] == pytest.approx(2 / 3)


def test_a_surer_ghost_costs_precision(tmp_path: Path) -> None:
    ghost = found(person(60, 50, 0.3), *PEOPLE["one.jpg"])
    numbers = judged(tmp_path, {**perfect(), "one.jpg": ghost})
    assert numbers["AR"] == pytest.approx(1)
    assert numbers["AP"] < 1


def test_pictures_without_a_result_are_left_out(tmp_path: Path) -> None:
    numbers = judged(tmp_path, {"one.jpg": found(*PEOPLE["one.jpg"])})
    assert numbers["AP"] == pytest.approx(1)


def test_a_size_of_which_nobody_is_annotated_is_minus_1(tmp_path: Path) -> None:
    numbers = judged(tmp_path, {"one.jpg": found(*PEOPLE["one.jpg"])})
    assert numbers["APm"] == -1
    assert numbers["APl"] == pytest.approx(1)


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    judged(tmp_path, perfect())
    assert capfd.readouterr() == ("", "")


def test_other_categories_are_left_alone(tmp_path: Path) -> None:
    described = annotations()
    described["categories"].insert(0, {"id": 18, "name": "dog"})
    described["annotations"].append({"id": 99, "image_id": 0, "category_id": 18})
    assert judged(tmp_path, perfect(), described)["AP"] == pytest.approx(1)


def test_an_image_in_a_folder_is_found_by_its_name(tmp_path: Path) -> None:
    described = annotations()
    for image in described["images"]:
        image["file_name"] = f"val2017/{image['file_name']}"
    assert judged(tmp_path, perfect(), described)["AP"] == pytest.approx(1)


@pytest.mark.parametrize("name", ["three.jpg", "one.png"])
def test_a_picture_that_is_not_annotated_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{name} nowhere"):
        judged(tmp_path, {**perfect(), name: found()})


def test_a_name_annotated_twice_is_refused(tmp_path: Path) -> None:
    described = annotations()
    described["images"].append({**described["images"][0], "id": 7})
    with pytest.raises(UsageError, match=r"one\.jpg 2 times"):
        judged(tmp_path, perfect(), described)


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no pictures"):
        judged(tmp_path, {})


@pytest.mark.parametrize(
    "categories",
    [
        [],
        [{"id": 1, "name": "person"}],
        [{"id": 1, "name": "dog", "keypoints": list(KEYPOINTS)}],
        [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS[::-1])}],
    ],
)
def test_annotations_without_persons_key_points_are_refused(
    categories: list[object], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="give a person_keypoints file"):
        judged(tmp_path, perfect(), {**annotations(), "categories": categories})


@pytest.mark.parametrize("described", [[], {}, {"images": 3}, "text", {"images": [{"id": "x"}]}])
def test_json_of_another_kind_is_refused(described: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="person_keypoints format"):
        judged(tmp_path, perfect(), described)


@pytest.mark.parametrize(
    ("field", "value"), [("area", None), ("keypoints", [1, 2, 3]), ("bbox", [1, 2, "x", 4])]
)
def test_a_person_annotated_wrongly_is_refused(field: str, value: object, tmp_path: Path) -> None:
    described = annotations()
    described["annotations"][1][field] = value
    with pytest.raises(UsageError, match=field):
        judged(tmp_path, perfect(), described)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_file_that_is_not_json_is_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(data)
    with pytest.raises(UsageError, match=r"broken\.json"):
        keypoint_precision(file, perfect(), INPUTS)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        keypoint_precision(tmp_path / "missing.json", perfect(), INPUTS)
