"""Results and ground truth drawn onto the pictures that they belong to."""

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from splitbed.errors import UsageError
from splitbed.media.pictures import upright
from splitbed.tasks import TASKS
from splitbed.tasks.boxes import Box, boxes_of
from splitbed.tasks.pose import SKELETON, on_picture
from splitbed.tensors import TensorInfo, Tensors

DRAWING_FORMATS = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG"}

MIN_POSE_SCORE = 0.15  # as the demonstrations of tfjs-models/posenet
MIN_KEYPOINT_SCORE = 0.5
MIN_BOX_SCORE = 0.4  # as NVIDIA's demonstration of SSD300

COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#f032e6")


def draw(
    picture: bytes,
    results: Tensors,
    inputs: tuple[TensorInfo, ...],
    task: str,
    path: Path,
    name: str = "the picture",
    truth: Sequence[Box] | None = None,
) -> int:
    """Draw a task's results onto the picture and save it; how many poses or boxes it now shows.

    The picture keeps its size and is turned upright by its EXIF orientation, as it was for the
    model. Shown are poses with a score of at least 0.15, of these the key points of at least 0.5,
    and boxes of at least 0.4; over them the ``truth``, in pixels of the upright picture.
    ``inputs`` are the model's, ``name`` is what an error calls the picture.  The file at ``path``
    is written whole or not at all.

    Raises:
        UsageError: as :func:`check_drawing`; the bytes are no picture; no writing to ``path``.
    """
    check_drawing(task, path)
    image = upright(picture, name).convert("RGB")
    classes = TASKS[task].classes
    boxes = boxes_of(results, classes, *image.size, MIN_BOX_SCORE) if classes else []
    count = len(boxes) if classes else _paint_poses(image, results, inputs)
    paint(image, boxes, truth, classes)
    save_painted(image, path)
    return count


def paint(
    image: Image.Image,
    boxes: Sequence[Box],
    truth: Sequence[Box] | None = None,
    classes: Sequence[str] = (),
) -> None:
    """Paint boxes onto an RGB picture or video frame, each with its label and its score.

    The surest come over the others, above all the ``truth``: dashes of black and white with the
    label under the box. A label's colour goes by its place in ``classes``, else by its letters.
    """
    for box in sorted(boxes, key=lambda box: box.score or 0.0):
        _paint_box(image, box, classes)
    for box in truth or ():
        _paint_truth(image, box)


def check_drawing(task: str, path: Path) -> None:
    """Refuse what :func:`draw` could not do, before anything is computed.

    Raises:
        UsageError: a task that is not drawn, or a path that no picture can be saved at.
    """
    drawn = [name for name, known in TASKS.items() if name == "pose" or known.classes]
    if task not in drawn:
        raise UsageError(
            f"cannot draw the results of the task {task!r}: it is done for " + ", ".join(drawn)
        )
    if path.suffix.lower() not in DRAWING_FORMATS:
        raise UsageError(
            f"cannot save a drawing as {path}: end the name in one of " + ", ".join(DRAWING_FORMATS)
        )
    if path.is_dir():
        raise UsageError(f"cannot save a drawing as {path}: it is a folder, name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"cannot save a drawing as {path}: make the folder {path.parent} first")


def _paint_poses(image: Image.Image, results: Tensors, inputs: tuple[TensorInfo, ...]) -> int:
    brush, width = ImageDraw.Draw(image), _stroke(image)
    shown = np.flatnonzero(_floats(results["scores"]) >= MIN_POSE_SCORE)
    certain = _floats(results["keypoint_scores"]) >= MIN_KEYPOINT_SCORE
    keypoints = on_picture(results["keypoints"], inputs, *image.size)
    for place, pose in enumerate(shown.tolist()):
        colour = COLOURS[place % len(COLOURS)]
        points, sure = _near(keypoints[pose], image), certain[pose]
        for one, other in SKELETON:
            if sure[one] and sure[other]:
                brush.line((*points[one], *points[other]), colour, width)
        for x, y in np.array(points)[sure].tolist():
            brush.circle((x, y), 1.5 * width, colour, "white")
    return len(shown)


def _paint_box(image: Image.Image, box: Box, classes: Sequence[str]) -> None:
    known = box.label in classes
    place = classes.index(box.label) if known else crc32(box.label.encode())
    colour = COLOURS[place % len(COLOURS)]
    left, top, right, bottom = _edges(box, image)
    ImageDraw.Draw(image).rectangle(
        (left, top, right, bottom), outline=colour, width=_stroke(image)
    )
    text = box.label if box.score is None else f"{box.label} {box.score:.2f}"
    _write(image, text, (left, top), ("white", colour), above=True)


def _paint_truth(image: Image.Image, box: Box) -> None:
    brush, width = ImageDraw.Draw(image), max(1, _stroke(image) // 2)
    left, top, right, bottom = _edges(box, image)
    brush.rectangle((left, top, right, bottom), outline="black", width=width)
    dash = 4 * width
    for x in np.arange(left, right, 2 * dash).tolist():
        for y in (top, bottom - width + 1):
            brush.rectangle((x, y, min(x + dash, right), y + width - 1), "white")
    for y in np.arange(top, bottom, 2 * dash).tolist():
        for x in (left, right - width + 1):
            brush.rectangle((x, y, x + width - 1, min(y + dash, bottom)), "white")
    _write(image, box.label, (left, bottom + 1), ("black", "white"), above=False)


def _write(
    image: Image.Image,
    text: str,
    corner: tuple[float, float],
    colours: tuple[str, str],
    *,
    above: bool,
) -> None:
    """Text on a plate, from a corner to the right and up or down, but on the picture."""
    brush, font = ImageDraw.Draw(image), _font(max(12, 5 * _stroke(image)))
    wide, high = font.getbbox(text)[2:]
    left = max(min(corner[0], image.width - wide), 0)
    top = corner[1] - high if above else min(corner[1], image.height - high)
    top = max(top, 0)
    brush.rectangle((left, top, left + wide, top + high), colours[1])
    brush.text((left, top), text, colours[0], font)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _edges(box: Box, image: Image.Image) -> list[float]:
    """Left, top, right and bottom, on the picture."""
    corners = np.array([(box.x, box.y), (box.x + box.w, box.y + box.h)], np.float32)
    edges: list[float] = np.sort(_near(corners, image, margin=0), axis=0).reshape(-1).tolist()
    return edges


def _floats(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    return values.astype(np.float32)


def _stroke(image: Image.Image) -> int:
    return max(2, round(max(image.size) / 200))


def _near(
    points: npt.NDArray[np.float32], image: Image.Image, margin: int = 1
) -> list[list[float]]:
    """Points at most ``margin`` sizes off the picture, since Pillow walks every pixel of a line."""
    size = np.array(image.size)
    limits = (-margin * size, (margin + 1) * size - 1)
    near: list[list[float]] = np.clip(np.nan_to_num(points), *limits).tolist()
    return near


def save_painted(image: Image.Image, path: Path) -> None:
    """Save a picture whole or not at all; UsageError where that fails."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        image.save(draft, DRAWING_FORMATS[path.suffix.lower()], quality=95)
        draft.replace(path)
    except (OSError, ValueError) as error:  # ValueError: more than JPEG can hold, or a NUL in path
        raise UsageError(f"cannot save the drawing as {path}: {error}") from error
    finally:
        with suppress(OSError, ValueError):
            draft.unlink(missing_ok=True)
