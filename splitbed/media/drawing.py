"""Results drawn onto the pictures that they were found in."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from splitbed.errors import UsageError
from splitbed.media.pictures import upright
from splitbed.tasks.classes import COCO_CLASSES
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
) -> int:
    """Draw a task's results onto the picture and save it; how many poses or boxes it now shows.

    The picture keeps its size and is turned upright by its EXIF orientation, as it was for the
    model. Shown are poses with a score of at least 0.15, of these the key points of at least 0.5,
    and boxes of at least 0.4. ``inputs`` are the model's, ``name`` is what an error calls the
    picture.  The file at ``path`` is written whole or not at all.

    Raises:
        UsageError: as :func:`check_drawing`; the bytes are no picture; no writing to ``path``.
    """
    check_drawing(task, path)
    image = upright(picture, name).convert("RGB")
    count = _PAINTERS[task](image, results, inputs)
    _save(image, path)
    return count


def check_drawing(task: str, path: Path) -> None:
    """Refuse what :func:`draw` could not do, before anything is computed.

    Raises:
        UsageError: a task that is not drawn, or a path that no picture can be saved at.
    """
    if task not in _PAINTERS:
        raise UsageError(
            f"cannot draw the results of the task {task!r}: it is done for " + ", ".join(_PAINTERS)
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


def _paint_boxes(image: Image.Image, results: Tensors, _inputs: tuple[TensorInfo, ...]) -> int:
    brush, width = ImageDraw.Draw(image), _stroke(image)
    font = ImageFont.load_default(max(12, 5 * width))
    shown = np.flatnonzero(_floats(results["scores"]) >= MIN_BOX_SCORE)
    edges = _floats(results["boxes"]).reshape(-1, 2) * np.array(image.size, np.float32)
    corners = np.reshape(_near(edges, image, margin=0), (-1, 2, 2))
    for box in shown[::-1].tolist():  # the surest comes last, over the others
        label = int(results["labels"][box])
        colour = COLOURS[label % len(COLOURS)]
        (left, top), (right, bottom) = np.sort(corners[box], axis=0).tolist()
        brush.rectangle((left, top, right, bottom), outline=colour, width=width)
        text = f"{COCO_CLASSES[label - 1]} {results['scores'][box]:.2f}"
        wide, high = font.getbbox(text)[2:]
        left, top = max(min(left, image.width - wide), 0), max(top - high, 0)
        brush.rectangle((left, top, left + wide, top + high), colour)
        brush.text((left, top), text, "white", font)
    return len(shown)


_PAINTERS: dict[str, Callable[[Image.Image, Tensors, tuple[TensorInfo, ...]], int]] = {
    "pose": _paint_poses,
    "ssd": _paint_boxes,
}


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


def _save(image: Image.Image, path: Path) -> None:
    draft = path.with_name(f".{path.name}.draft")
    try:
        image.save(draft, DRAWING_FORMATS[path.suffix.lower()], quality=95)
        draft.replace(path)
    except (OSError, ValueError) as error:  # ValueError: more than JPEG can hold, or a NUL in path
        raise UsageError(f"cannot save the drawing as {path}: {error}") from error
    finally:
        with suppress(OSError, ValueError):
            draft.unlink(missing_ok=True)
