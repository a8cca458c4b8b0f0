"""Feature maps painted as pictures: what crosses a cut, and what is lost of it, for the eye."""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from splitbed.errors import UsageError
from splitbed.tensors import Tensors

Array = npt.NDArray[Any]
Limits = tuple[float, float]
"""The values that are black and white."""

MAX_SIDE = 4096
"""Of a mosaic, in pixels."""
MAX_TILES = 1024
MIN_TILE = 24  # pixels: smaller maps are enlarged by a whole factor
STRIP = 1024  # values in a row of a tensor that is no map
BORDER = (96, 96, 160)
BAD = (255, 0, 0)


@dataclass(frozen=True)
class Mosaic:
    """A picture of ``shown`` of the ``channels`` of a tensor."""

    image: Image.Image
    shown: int
    channels: int


@dataclass(frozen=True)
class SavedMosaic:
    """A mosaic on disk: ``shown`` of the ``channels`` of ``tensor``."""

    tensor: str
    path: Path
    shown: int
    channels: int


def paint_features(
    array: Array,
    channels_last: bool = False,
    columns: int | None = None,
    *,
    each_channel: bool = False,
    limits: Limits | None = None,
) -> Mosaic:
    """The channels of a tensor as grey tiles, row by row, with a thin border between them.

    Black is the least value of the tensor (``each_channel``: of the tile) and white the greatest,
    or what the ``limits`` say; NaN and infinity are red. Channels are at axis 1, or last where
    ``channels_last``; of three dimensions the first, if it is not 1, counts tiles. Fewer
    dimensions give a strip: rows of up to 1024 values. Small maps are enlarged, large ones scaled
    down until the mosaic fits 4096x4096 pixels; more than 1024 channels are cut off, and the
    mosaic tells.

    Raises:
        UsageError: an array without values, ``columns`` below 1.
    """
    if not array.size:
        raise UsageError(f"cannot paint features of shape {array.shape}: there are no values")
    if columns is not None and columns < 1:
        raise UsageError(f"cannot paint features in {columns} columns: 1 is the least")
    tiles = _tiles(array, channels_last)
    shown = tiles[:MAX_TILES]
    count, (high, wide) = len(shown), shown[0].shape
    columns = 1 if array.ndim < 3 else min(columns or _near_square(count, high, wide), count)
    rows = math.ceil(count / columns)
    size = _tile_size(wide, high, columns, rows)
    step_x, step_y = size[0] + 1, size[1] + 1
    image = Image.new("RGB", (columns * step_x + 1, rows * step_y + 1), BORDER)
    whole = limits or _range(array)
    for index, tile in enumerate(shown):
        place = index % columns * step_x + 1, index // columns * step_y + 1
        painted = _tones(tile, _range(tile) if each_channel else whole)
        image.paste(_resized(painted, size), place)
    last = array.size % wide if array.ndim < 3 else 0
    if last:  # the strip's last row ends early
        end = 1 + round(last * size[0] / wide)
        image.paste(BORDER, (end, image.height - step_y, image.width, image.height))
    return Mosaic(image, count, len(tiles))


def save_features(
    tensors: Tensors,
    folder: Path,
    channels_last: bool = False,
    columns: int | None = None,
    *,
    each_channel: bool = False,
    decoded: Tensors | None = None,
) -> list[SavedMosaic]:
    """Save a PNG of each tensor in ``folder``, which is made; named after the tensor.

    Characters of a name other than letters, digits, ``.``, ``-`` and ``_`` become ``_``.  Of what a
    codec ``decoded``, NAME-decoded.png has the greys of NAME.png, and NAME-lost.png the difference:
    what is middle grey was kept, what is darker has become less, what is brighter more.

    Raises:
        UsageError: as :func:`paint_features`; no writing there.
    """
    saved: list[SavedMosaic] = []
    taken: set[str] = set()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for tensor, array in tensors.items():
            mosaic = paint_features(array, channels_last, columns, each_channel=each_channel)
            path = folder / f"{_file_name(tensor, taken)}.png"
            _save(mosaic.image, path)
            saved.append(SavedMosaic(tensor, path, mosaic.shown, mosaic.channels))
            for what, values, limits in _of_codec(array, decoded[tensor] if decoded else None):
                painted = paint_features(values, channels_last, columns, limits=limits)
                _save(painted.image, path.with_stem(f"{path.stem}-{what}"))
    except OSError as error:
        raise UsageError(
            f"cannot save feature maps in {folder}: {error.strerror or error}"
        ) from error
    return saved


def lost(array: Array, decoded: Array) -> Array:
    """How much more each value has become; FP64."""
    with np.errstate(invalid="ignore"):  # of infinities: NaN, which is painted so
        return decoded.astype(np.float64) - array.astype(np.float64)


def _of_codec(array: Array, decoded: Array | None) -> Iterator[tuple[str, Array, Limits]]:
    if decoded is not None:
        difference = lost(array, decoded)
        most = max(map(abs, _range(difference))) or 1.0
        yield "decoded", decoded, _range(array)
        yield "lost", difference, (-most, most)


def _tiles(array: Array, channels_last: bool) -> Array:
    """The maps, tile x height x width."""
    if array.ndim < 3:
        values = array.reshape(-1)
        wide = min(len(values), STRIP)
        rows = -(-len(values) // wide)
        filled = np.full(rows * wide, values[0], values.dtype)
        filled[: len(values)] = values
        return filled.reshape(rows, 1, wide)
    if channels_last and (array.ndim > 3 or array.shape[0] != 1):
        array = np.moveaxis(array, -1, 1 if array.ndim > 3 else 0)
    return array.reshape(-1, *array.shape[-2:])


def _near_square(count: int, high: int, wide: int) -> int:
    """Columns of so many tiles that make about a square."""
    return math.ceil(math.sqrt(count * high / wide))


def _tile_size(wide: int, high: int, columns: int, rows: int) -> tuple[int, int]:
    room_x, room_y = (MAX_SIDE - 1) / columns - 1, (MAX_SIDE - 1) / rows - 1
    factor = min(room_x / wide, room_y / high)
    if factor >= 1:
        factor = max(1, min(int(factor), math.ceil(MIN_TILE / min(wide, high))))
    # A map too long to be enlarged evenly is stretched across.
    return (
        max(1, int(wide * factor), min(MIN_TILE, int(room_x))),
        max(1, int(high * factor), min(MIN_TILE, int(room_y))),
    )


def _range(array: Array) -> Limits:
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _tones(tile: Array, limits: Limits) -> npt.NDArray[np.uint8]:
    low, high = limits
    values = tile.astype(np.float64)
    finite = np.isfinite(values)
    values = np.clip(values, low, high)
    shifted = np.where(finite, values, low) / 2 - low / 2  # halves, so that none overflows
    span = high / 2 - low / 2
    grey = np.rint(255 * (shifted / span if span > 0 else 0 * shifted)).astype(np.uint8)
    painted = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    painted[~finite] = BAD
    return painted


def _resized(painted: npt.NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    image = Image.fromarray(painted)
    shrinks = size[0] < image.width or size[1] < image.height
    return image.resize(size, Image.Resampling.BOX if shrinks else Image.Resampling.NEAREST)


def _file_name(tensor: str, taken: set[str]) -> str:
    """A name that leaves the folder in no way, and is no other's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", tensor).strip("._-")[:100] or "tensor"
    name, number = plain, 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}_{number}"
    taken.add(name.lower())
    return name


def _save(image: Image.Image, path: Path) -> None:
    draft = path.with_name(f".{path.name}.draft")
    try:
        image.save(draft, "PNG")
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
