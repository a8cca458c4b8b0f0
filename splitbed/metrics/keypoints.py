"""Average precision of key points, as COCO counts it."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from splitbed.errors import UsageError
from splitbed.media.files import read_file
from splitbed.metrics.coco import evaluation, quiet
from splitbed.tasks.pose import KEYPOINTS, on_picture
from splitbed.tensors import TensorInfo, Tensors

NUMBERS = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
"""What pycocotools tells of key points, in its order."""


class _Image(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: int
    file_name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class _Category(BaseModel):
    model_config = ConfigDict(frozen=True)

    id: int
    name: str
    keypoints: tuple[str, ...] = ()


class _Person(BaseModel):
    """One annotated person; pycocotools wants every field."""

    model_config = ConfigDict(frozen=True)

    id: int
    image_id: int
    category_id: int
    keypoints: Annotated[list[FiniteFloat], Field(min_length=51, max_length=51)]
    num_keypoints: int
    bbox: Annotated[list[FiniteFloat], Field(min_length=4, max_length=4)]
    area: FiniteFloat
    iscrowd: int = 0


class _Annotations(BaseModel):
    model_config = ConfigDict(frozen=True)

    images: list[_Image]
    categories: list[_Category]
    annotations: list[dict[str, Any]]


def keypoint_precision(
    annotations: Path, results: Mapping[str, Tensors], inputs: tuple[TensorInfo, ...]
) -> dict[str, float]:
    """COCO's ten numbers for the pictures in ``results``, by pycocotools.

    ``annotations`` is a file in the format of COCO's ``person_keypoints_*.json``; a picture is
    found in it by its file name, and those without a result are left out. ``results`` are what
    :func:`splitbed.tasks.pose.decode` gives, by file name, and ``inputs`` the model's. Gives AP
    and AR over similarities (OKS) 0.50:0.95, at 0.50 and 0.75, and of medium and large persons;
    -1 where no such person is annotated.

    Raises:
        UsageError: annotations that cannot be read, or hold no key points of persons, or not
            all the pictures; no results at all.
    """
    described = _read(annotations)
    person = _person(described, annotations)
    images = _images(described, annotations, results)
    persons = [a for a in described.annotations if a.get("category_id") == person.id]
    truth = {
        "images": [image.model_dump() for image in described.images],
        "categories": [person.model_dump()],
        "annotations": [_checked(row, annotations).model_dump() for row in persons],
    }
    found = [
        row
        for name, image in images.items()
        for row in _detections(results[name], image, person.id, inputs)
    ]
    return _evaluate(truth, found, [image.id for image in images.values()])


def _read(path: Path) -> _Annotations:
    try:
        return _Annotations.model_validate(json.loads(read_file(path)))
    except ValidationError as error:
        raise _malformed(path, error) from error
    except (ValueError, RecursionError) as error:  # JSON's and Unicode's errors are ValueErrors
        raise UsageError(f"cannot read the annotations {path}: not JSON: {error}") from error


def _malformed(path: Path, error: ValidationError) -> UsageError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"])) or "the whole"
    return UsageError(
        f"the annotations {path} are not in COCO's person_keypoints format: {place}: {first['msg']}"
    )


def _person(described: _Annotations, path: Path) -> _Category:
    for category in described.categories:
        if category.name == "person" and category.keypoints == KEYPOINTS:
            return category
    raise UsageError(
        f"the annotations {path} have no category 'person' with COCO's 17 key points: give a"
        " person_keypoints file"
    )


def _images(
    described: _Annotations, path: Path, results: Mapping[str, Tensors]
) -> dict[str, _Image]:
    """The annotated image of each picture in ``results``."""
    if not results:
        raise UsageError(f"no pictures were given to be judged by the annotations {path}")
    named = {Path(image.file_name).name: image for image in described.images}
    counts = Counter(Path(image.file_name).name for image in described.images)
    missing = [name for name in results if counts[name] != 1]
    if missing:
        count = counts[missing[0]]
        raise UsageError(
            f"the annotations {path} name {missing[0]} {f'{count} times' if count else 'nowhere'}"
            f" ({len(missing)} of {len(results)} pictures): each picture must be there once"
        )
    return {name: named[name] for name in results}


def _checked(row: dict[str, Any], path: Path) -> _Person:
    try:
        return _Person.model_validate(row)
    except ValidationError as error:
        raise _malformed(path, error) from error


def _detections(
    result: Tensors, image: _Image, category: int, inputs: tuple[TensorInfo, ...]
) -> list[dict[str, Any]]:
    points = on_picture(result["keypoints"], inputs, image.width, image.height)
    triples = np.concatenate([points, result["keypoint_scores"][..., np.newaxis]], axis=-1)
    return [
        {"image_id": image.id, "category_id": category, "keypoints": row, "score": score}
        for row, score in zip(
            triples.reshape(-1, 3 * len(KEYPOINTS)).tolist(), result["scores"].tolist(), strict=True
        )
    ]


def _evaluate(
    truth: dict[str, Any], found: list[dict[str, Any]], image_ids: list[int]
) -> dict[str, float]:
    judged = evaluation(
        truth["images"], truth["categories"], truth["annotations"], found, "keypoints"
    )
    with quiet():
        judged.params.imgIds = image_ids
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return dict(zip(NUMBERS, map(float, judged.stats), strict=True))
