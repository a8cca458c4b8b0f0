"""Folders of predictions, a text file for each picture: scored against a truth, or painted.

A line is of one of these forms, coordinates in pixels of the upright picture:

    2.1.1.1   label confidence x y w h
    10.3.8    label left top right bottom confidence
    truth     label x y w h
"""

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal, cast, get_args

from PIL import Image

from orchestrator.offline.infer import VIDEO_SUFFIX, drawing_name
from splitbed.errors import UsageError
from splitbed.media.datasets import Dataset, Frame, open_dataset
from splitbed.media.datasets.truth import class_table, named
from splitbed.media.drawing import paint, save_painted
from splitbed.media.drawn_video import check_drawn_video, write_video
from splitbed.media.pictures import SUFFIXES, upright
from splitbed.metrics.detection import DetectionAccuracy, detection_accuracy
from splitbed.tasks.boxes import Box, read_boxes, read_corners
from splitbed.tasks.classes import COCO_CLASSES

_NUMBER = re.compile(r"\d{1,9}$")
Columns = Literal["2.1.1.1", "10.3.8"]
Boxes = Mapping[str, list[Box]]
"""By the name of their picture, without its suffix."""


def columns_named(text: str) -> Columns:
    """The columns that a clause has. Raises UsageError."""
    for known in get_args(Columns):
        if text == known:
            return cast(Columns, known)
    raise UsageError(f"--columns {text}: choose {' or '.join(get_args(Columns))}")


def read_predictions(folder: Path, columns: Columns) -> dict[str, list[Box]]:
    """The boxes in every .txt of a folder. Raises UsageError for what is none."""
    classes = class_table(folder, COCO_CLASSES)
    read = read_corners if columns == "10.3.8" else _scored
    return {_stem(file): _named(read(file), classes) for file in _texts(folder)}


def read_truth(place: Path | str) -> dict[str, list[Box]]:
    """The ground truth in a folder of text files; else that of a dataset. Raises UsageError."""
    folder = Path(place)
    here = {file.suffix.lower() for file in folder.iterdir()} if folder.is_dir() else set()
    if ".txt" in here and not here & set(SUFFIXES):
        classes = class_table(folder, COCO_CLASSES)
        return {_stem(file): _truth(file, classes) for file in _texts(folder)}
    frames = open_dataset(place).frames
    found = {_stem(Path(one.name)): list(one.boxes) for one in frames if one.boxes is not None}
    if not found:
        raise UsageError(f"{place} has no ground truth: give a folder of files label x y w h")
    return found


def covered(predictions: Boxes, truth: Boxes) -> dict[str, list[Box]]:
    """The truth of the pictures that have a file of predictions, which is empty of no object."""
    known = _aligned(predictions, truth)
    return {name: boxes for name, boxes in truth.items() if name in known}


def score(predictions: Boxes, truth: Boxes, threshold: float) -> DetectionAccuracy:
    """How well the boxes are found; precision and recall are of those surer than `threshold`."""
    return detection_accuracy(truth, _aligned(predictions, truth), threshold)


def draw(
    dataset: Dataset, predictions: Boxes, truth: Boxes | None, out: Path, threshold: float
) -> int:
    """Paint the boxes onto the dataset's pictures, into the folder or as the .mp4 `out`.

    The truth is painted over them: its own, where none is given. Gives the number of pictures.
    Raises UsageError for boxes of no picture of it, and for what cannot be written.
    """
    frames = {_stem(Path(one.name)): one for one in dataset.frames}
    predictions = _aligned(predictions, frames)
    truth = None if truth is None else _aligned(truth, frames)
    if unknown := [name for name in (*predictions, *(truth or ())) if name not in frames]:
        raise UsageError(
            f"{dataset.source} has no picture {unknown[0]}, of which there are boxes: give the "
            "pictures that the boxes are of"
        )

    def painted() -> Iterator[tuple[Frame, Image.Image]]:
        for name, frame in frames.items():
            image = upright(frame.read(), frame.name).convert("RGB")
            shown = [box for box in predictions.get(name, ()) if (box.score or 0) >= threshold]
            real = frame.boxes if truth is None else truth.get(name, ())
            paint(image, shown, real, dataset.classes or COCO_CLASSES)
            yield frame, image

    if out.suffix.lower() == VIDEO_SUFFIX:
        check_drawn_video(out)
        return write_video((image for _, image in painted()), out, dataset.rate_hz or 25.0)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--out {out}: cannot make the folder: {error.strerror}") from None
    for frame, image in painted():
        save_painted(image, _free(out / drawing_name(frame.name), frame))
    return len(frames)


def _aligned(boxes: Boxes, names: Collection[str]) -> Boxes:
    """By `names`; where these are a video's numbers, of files NAME_NUMBER from 0 or 1, as SFU's."""
    if all(name in names for name in boxes) or not all(name.isdigit() for name in names):
        return boxes
    numbers = {name: int(found[0]) for name in boxes if (found := _NUMBER.search(name))}
    first = 0 if 0 in numbers.values() else 1
    frames = {int(name): name for name in names}
    return {frames.get(numbers.get(name, -1) - first, name): boxes[name] for name in boxes}


def _free(place: Path, frame: Frame) -> Path:
    if frame.path is not None and place.exists() and place.samefile(frame.path):
        raise UsageError(f"--out {place.parent} is where the pictures are: choose another folder")
    return place


def _texts(folder: Path) -> list[Path]:
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix == ".txt")
    except OSError as error:
        raise UsageError(f"cannot read the folder {folder}: {error.strerror}") from None
    texts = [file for file in found if file.name != "classes.txt"]
    if not texts:
        raise UsageError(f"{folder} has no .txt file: give the folder of files, one a picture")
    return texts


def _stem(file: Path) -> str:
    """Of a picture or of its text file, which is called NAME.txt or NAME.png.txt."""
    bare = file.with_suffix("") if file.suffix == ".txt" else file
    return bare.stem if bare.suffix.lower() in SUFFIXES else bare.name


def _scored(file: Path) -> list[Box]:
    return read_boxes(file, scored=True)


def _truth(file: Path, classes: tuple[str, ...]) -> list[Box]:
    boxes = read_boxes(file, scored=False)
    if boxes and all(max(box.x, box.y, box.w, box.h) <= 1 for box in boxes):
        raise UsageError(
            f"{file} has fractions of the picture: give the folder that has the pictures beside it"
        )
    return _named(boxes, classes)


def _named(boxes: list[Box], classes: tuple[str, ...]) -> list[Box]:
    """With the names of `classes`, so that an id and a name are one."""
    return [named(box, classes) for box in boxes]
