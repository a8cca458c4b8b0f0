"""Ground truth in COCO's instances format: one JSON file for many pictures.

An annotation's own ``class`` text comes before its category's name: the SFU-HW-Objects files of
MPEG-FCM have right texts and wrong names.  ``iscrowd`` and ``ignore`` make a crowd, ``track_id`` a
track.  Ids may be written as whole floating-point numbers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from splitbed.errors import UsageError
from splitbed.media.datasets.frames import Dataset, Frame, picture_frame, picture_size
from splitbed.media.datasets.truth import class_named, inside
from splitbed.media.files import read_file
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES

_Json = Mapping[str, Any]
MAX_PX = 1e9


@dataclass(frozen=True)
class Image:
    """An annotated picture: its file's name, width and height, and its annotations."""

    file_name: str
    size: tuple[int, int]
    annotations: tuple[_Json, ...]


@dataclass(frozen=True)
class Instances:
    """A file of annotations, its images sorted by file name."""

    path: Path
    images: tuple[Image, ...]
    categories: Mapping[int, str]
    classes: tuple[str, ...]

    def boxes(self, image: Image, size: tuple[int, int]) -> list[Box]:
        """The ground truth of an image of ``size``, width and height in pixels.

        Raises:
            UsageError: the file gives another size, or an annotation that cannot be; it is named.
        """
        if size != image.size:
            raise UsageError(
                f"{self.path} is for {image.file_name} of {image.size[0]}x{image.size[1]},"
                f" but that has {size[0]}x{size[1]}"
            )
        return [self._box(one, size) for one in image.annotations]

    def _box(self, annotation: _Json, size: tuple[int, int]) -> Box:
        where = f"{self.path}: annotation {annotation.get('id', 'without id')}"
        label = _label(annotation, self.categories)
        if label is None:
            raise UsageError(f"{where}: no category has the id {annotation.get('category_id')!r}")
        corners = annotation.get("bbox")
        if not isinstance(corners, list) or len(corners) != 4 or not all(map(_of_pixels, corners)):
            raise UsageError(f"{where}: bbox is not 'x y w h' but {corners!r}")
        crowd = bool(annotation.get("iscrowd") or annotation.get("ignore"))
        track = _whole(annotation.get("track_id"))
        x, y, w, h = map(float, corners)
        return inside(Box(label, x, y, w, h, crowd=crowd, track=track), size, where)


def looks_like_instances(path: Path) -> bool:
    """Whether the JSON file has the lists that annotations have."""
    try:
        found = json.loads(read_file(path))
    except (UsageError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"images", "annotations"} <= found.keys()


def read_instances(path: Path) -> Instances:
    """Read and check which annotation is of which image; boxes are checked when asked for.

    Raises:
        UsageError: the file cannot be read or is no such JSON; ids that are no numbers, are given
            twice or lead nowhere.
    """
    try:
        found = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from None
    lists = found if isinstance(found, dict) else {}
    images, annotations = _list(lists, "images", path), _list(lists, "annotations", path)
    categories = {
        _id(one, "id", f"{path}: category"): str(one.get("name"))
        for one in _list({"categories": [], **lists}, "categories", path)
    }
    by_image: dict[int, list[_Json]] = {_id(one, "id", f"{path}: image"): [] for one in images}
    if len(by_image) < len(images):
        raise UsageError(f"{path}: two of its {len(images)} images have the same id")
    for one in annotations:
        where = f"{path}: annotation {one.get('id', 'without id')}"
        image_id = _id(one, "image_id", where)
        if image_id not in by_image:
            raise UsageError(f"{where}: no image has the id {image_id}")
        by_image[image_id].append(one)
    return Instances(
        path,
        tuple(sorted(
            (_image(one, by_image[_id(one, "id", "")], path) for one in images),
            key=lambda image: image.file_name,
        )),
        categories,
        _classes(annotations, categories),
    )  # fmt: skip


def find_instances(folder: Path) -> Path | None:
    """The JSON file of a folder that holds pictures' instances, in it or in ``annotations/``.

    Of COCO's own several, it is the ``instances_NAME.json`` whose pictures are there, in ``NAME/``.

    Raises:
        UsageError: there are several.
    """
    here = [p for p in sorted(folder.glob("*.json")) if looks_like_instances(p)]
    inner = sorted(folder.glob("annotations/instances_*.json"))
    with_pictures = [p for p in inner if (folder / p.stem.removeprefix("instances_")).is_dir()]
    found = here or with_pictures or inner
    if len(found) > 1:
        raise UsageError(
            f"{folder} has several annotations, name one: {', '.join(map(str, found))}"
        )
    return found[0] if found else None


def open_coco(path: Path) -> Dataset:
    """The pictures of an instances file.

    They are sought in the folder of the file and the folders in it; where that folder is named
    ``annotations``, then in the one above and those in it.

    Raises:
        UsageError: as read_instances; a picture that is not there, or outside of these folders.
    """
    instances = read_instances(path)
    if not instances.images:
        raise UsageError(f"{path} names no pictures")
    folder = _picture_folder(instances)
    missing = [i.file_name for i in instances.images if not (folder / i.file_name).is_file()]
    if missing:
        raise UsageError(
            f"{path} names {len(instances.images)} pictures, of which {len(missing)} are not in"
            f" {folder}, {missing[0]} for one; for a video, put it beside that as VIDEO.json"
        )
    return Dataset(
        name=_name(path),
        kind="coco",
        source=str(path),
        frames=[_frame(instances, image, folder) for image in instances.images],
        classes=instances.classes,
        truth_files=(path,),
    )


def _name(path: Path) -> str:
    plain = path.stem.removeprefix("instances_")
    return path.resolve().parent.name if plain.startswith("annotations") else plain


def _frame(instances: Instances, image: Image, folder: Path) -> Frame:
    file = folder / image.file_name
    return picture_frame(
        file,
        image.file_name.replace("/", "_"),
        truth=lambda: instances.boxes(image, picture_size(file)),
    )


def _picture_folder(instances: Instances) -> Path:
    home = instances.path.parent
    homes = [home, home.parent] if home.resolve().name == "annotations" else [home]
    candidates = [c for h in homes for c in (h, *sorted(p for p in h.iterdir() if p.is_dir()))]
    first = instances.images[0].file_name
    return next((c for c in candidates if (c / first).is_file()), home)


def _image(found: _Json, annotations: list[_Json], path: Path) -> Image:
    name, width, height = found.get("file_name"), _whole(found.get("width")), _whole(
        found.get("height")
    )  # fmt: skip
    if not isinstance(name, str) or not width or not height:
        raise UsageError(f"{path}: an image lacks file_name, width or height: {dict(found)!r:.200}")
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\0" in name or not pure.name:
        raise UsageError(f"{path}: the picture {name!r} would be outside the folder")
    return Image(name, (width, height), tuple(annotations))


def _classes(annotations: list[_Json], categories: Mapping[int, str]) -> tuple[str, ...]:
    """The categories; where annotations have a text, the labels that occur, by category id."""
    if not any("class" in one for one in annotations):
        return tuple(dict.fromkeys(categories.values()))
    seen = {(_whole(one.get("category_id")) or 0, _label(one, categories)) for one in annotations}
    return tuple(
        dict.fromkeys(
            label for _, label in sorted(seen, key=lambda pair: (pair[0], pair[1] or "")) if label
        )
    )


def _label(annotation: _Json, categories: Mapping[int, str]) -> str | None:
    if isinstance(text := annotation.get("class"), str):
        return class_named(text, COCO_CLASSES) or text
    number = _whole(annotation.get("category_id"))
    return None if number is None else categories.get(number)


def _list(found: _Json, key: str, path: Path) -> list[_Json]:
    values = found.get(key)
    if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
        raise UsageError(f"{path} is no file of COCO annotations: it lacks a list {key!r}")
    return values


def _id(found: _Json, key: str, where: str) -> int:
    number = _whole(found.get(key))
    if number is None:
        raise UsageError(f"{where}: {key} is no whole number but {found.get(key)!r}")
    return number


def _whole(value: object) -> int | None:
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    return None


def _of_pixels(value: object) -> bool:
    return isinstance(value, int | float) and -MAX_PX < value < MAX_PX
