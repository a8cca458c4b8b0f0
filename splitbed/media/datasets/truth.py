"""Ground truth as people write it down: class names, text files, and what cannot be.

A text file is that of clause 2.1.1.1, ``label x y w h`` in pixels, or one as SFU itself hands its
labels out (YOLO's form): the same columns, as fractions of the picture, x and y being the centre.
A file is taken for the latter when no number in it is above 1.  A label is a class id or a name of
the class table: ``classes.txt`` in the folder (a name per line), else COCO's 80.  Behind it may
stand the number of the object (SFU-HW-Tracks).

Real boxes reach out of the picture, by up to 12 % of its width in SFU-HW-Objects, and are kept as
they are, so that other scripts find the same overlaps.  One of which not even half is inside is
refused.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.files import read_file, text_in
from splitbed.tasks.boxes import Box, read_boxes

MIN_INSIDE = 0.5
MARGIN_PX = 1.0
CLASSES_FILE = "classes.txt"
SYNONYMS = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}
"""PASCAL VOC's names, which Darknet uses as well, and COCO's."""
_SYNONYMS = SYNONYMS | {new.replace(" ", ""): old for old, new in SYNONYMS.items()}


def class_named(text: str, classes: Sequence[str]) -> str | None:
    """The one of ``classes`` that ``text`` means, whatever its case and spaces, else None.

    "Potted plant", "pottedplant" and "potted_plant" are one; VOC's names and COCO's, as "sofa" and
    "couch", are found from each other.
    """
    if text in classes:
        return text
    known = {_plain(name): name for name in classes}
    plain = _plain(text)
    return known.get(plain) or known.get(_plain(_SYNONYMS.get(plain, "")))


def _plain(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).casefold()


def class_table(folder: Path, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The names in ``classes.txt`` of the folder, where there is one, else the ``usual``."""
    file = folder / CLASSES_FILE
    if not file.is_file():
        return usual
    lines = (line.strip() for line in read_file(file).decode(errors="replace").splitlines())
    names = tuple(line for line in lines if line)
    if not names:
        raise UsageError(f"{file} names no class: write a name on each line, or remove it")
    return names


def text_truth(path: Path, classes: Sequence[str], size: tuple[int, int]) -> list[Box]:
    """The boxes in a text file on a picture of ``size``, width and height, in pixels.

    Raises:
        UsageError: as read_boxes; a label that is not of ``classes``, a box that is mostly outside
            the picture, or fractions among pixels: each names file and line.
    """
    boxes = read_boxes(path, scored=False)
    lines = [n for n, line in enumerate(text_in(path).splitlines(), 1) if line.strip()]
    small = [max(box.x, box.y, box.w, box.h) <= 1 for box in boxes]
    if any(small) and not all(small):
        line = lines[small.index(True)]
        raise UsageError(
            f"{path}:{line}: fractions of the picture, in a file that has pixels elsewhere"
        )
    found = []
    for line, box in zip(lines, boxes, strict=True):
        where = f"{path}:{line}"
        label, track = _label(box.label, classes, where)
        in_pixels = _from_fractions(box, *size) if any(small) else box
        found.append(inside(replace(in_pixels, label=label, track=track), size, where))
    return found


def named(box: Box, classes: Sequence[str]) -> Box:
    """The box under the name that ``classes`` have for its label or id, else as it is."""
    try:
        label, track = _label(box.label, classes, "")
    except UsageError:
        return box
    return replace(box, label=label, track=track)


def inside(box: Box, size: tuple[int, int], where: str) -> Box:
    """The box itself, at least half of which lies in a picture of ``size``, give or take a pixel.

    Raises:
        UsageError: it does not, or its width or height is negative.
    """
    if box.w < 0 or box.h < 0:
        raise UsageError(f"{where}: a box of {box.w:g} x {box.h:g} pixels cannot be")
    width, height = size
    wide = _common(box.x, box.w, width) / max(box.w, MARGIN_PX)
    high = _common(box.y, box.h, height) / max(box.h, MARGIN_PX)
    if wide * high < MIN_INSIDE:
        raise UsageError(
            f"{where}: the box {box.x:g} {box.y:g} {box.w:g} {box.h:g} lies outside the picture of"
            f" {width}x{height}, more than half of it; is it of another picture size?"
        )
    return box


def _common(start: float, length: float, limit: int) -> float:
    """What of a side is inside; at least a pixel's worth where it is within a pixel of the edge."""
    low, high = max(start, -MARGIN_PX), min(start + length, limit + MARGIN_PX)
    return max(high - low, MARGIN_PX) if high >= low else 0.0


def _from_fractions(box: Box, width: int, height: int) -> Box:
    left, top = (box.x - box.w / 2) * width, (box.y - box.h / 2) * height
    return replace(box, x=left, y=top, w=box.w * width, h=box.h * height)


def _label(text: str, classes: Sequence[str], where: str) -> tuple[str, int | None]:
    """The class, and the number of the object behind it, which is None where it is negative."""
    if name := _class(text, classes):
        return name, None
    first, _, last = text.rpartition(" ")
    name = _class(first.strip(), classes)
    if name is None or not re.fullmatch(r"-?\d{1,9}", last):
        raise UsageError(f"{where}: the label {text!r} is none of {_listed(classes)}")
    return name, int(last) if int(last) >= 0 else None


def _class(text: str, classes: Sequence[str]) -> str | None:
    if re.fullmatch(r"\d{1,9}", text):
        return classes[int(text)] if int(text) < len(classes) else None
    return class_named(text, classes) if text else None


def _listed(classes: Sequence[str]) -> str:
    names = ", ".join(classes[:3]) + (", …" if len(classes) > 3 else "")
    return f"the {len(classes)} classes ({names}) nor of their ids 0 to {len(classes) - 1}"


def numbered(files: Iterable[Path], frames: int, video: Path) -> list[Path]:
    """A file per frame of a video, by the number at the end of its stem; the first is 0 or 1.

    Files without a number there (``classes.txt``) are none of them.

    Raises:
        UsageError: a frame without a file, a file without a frame, or two for one frame.
    """
    places: dict[int, Path] = {}
    for file in sorted(files):
        if digits := re.search(r"(\d{1,9})$", file.stem):
            number = int(digits[1])
            if number in places:
                raise UsageError(f"{file} and {places[number]} are both for frame {number}")
            places[number] = file
    first = 0 if 0 in places else 1
    for index in range(frames):
        if first + index not in places:
            some = next(iter(places.values()), None)
            raise UsageError(
                f"frame {index} of {video} has no annotation file (number {first + index})"
                + (f" beside {some}" if some else "")
                + f": there are {len(places)} for {frames} frames; an empty file says no objects"
            )
    if extra := sorted(number for number in places if number >= first + frames):
        raise UsageError(
            f"{places[extra[0]]} is for frame {extra[0] - first}, but {video} ends early, after"
            f" {frames} frames: is the video complete?"
        )
    return [places[first + index] for index in range(frames)]
