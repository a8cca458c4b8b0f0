"""Pictures: finding them, and making model inputs of their bytes."""

import importlib.metadata
import importlib.util
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from splitbed.errors import MachineError, UsageError
from splitbed.media.files import hash_bytes, read_file
from splitbed.media.recipes import PictureRecipe
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors

# Only plain decoders: Pillow's EPS reader, for one, would start Ghostscript on the bytes.
_COMMON = ("JPEG", "PNG", "BMP", "GIF", "PPM")
FORMATS = (*_COMMON, "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".webp")
MAX_PIXELS = 64_000_000
"""Above the largest common camera (61 MP); decoded, this is 192 MB."""
_MOST_READS = 1 << 20
_MOST_SCANS = 100  # those that encoders make of a progressive JPEG are ten
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
"""How a scan begins (T.81, B.2.3): its length is that of its 1 to 4 components, or libjpeg ends.

The marker alone is among any ten million bytes by chance.
"""
_PLAIN = (b"P1", b"P2", b"P3")  # PPM as text, which Pillow reads in a time that is quadratic
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Picture:
    """A picture file and what identifies it in the results."""

    name: str
    path: Path
    sha256: str
    md5: str
    source: str

    def read(self) -> bytes:
        """The file's bytes.

        Raises:
            UsageError: the file has gone or cannot be read.
        """
        return read_file(self.path)


def load_pictures(path: Path | None = None) -> list[Picture]:
    """The pictures of a file, of a folder (sorted by name), or for None the default picture.

    The default is the photograph that matplotlib's wheel carries: always there, in the public
    domain, and the same bytes on every machine. Each file's header is checked here; a file whose
    pixels are damaged fails in :func:`preprocess`.

    Raises:
        UsageError: nothing there, no picture in the folder, or a file that is not a picture.
        MachineError: the default picture is not installed.
    """
    if path is None:
        return [_default_picture()]
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)
        if not files:
            inside = next(
                (p.parent for p in path.glob("*/*") if p.suffix.lower() in SUFFIXES), None
            )
            raise UsageError(
                f"no picture in the folder {path}: expected files ending in {', '.join(SUFFIXES)}"
                + (f"; there are some in {inside}" if inside else "")
            )
        return [_picture(file, str(file)) for file in files]
    return [_picture(path, str(path))]


def preprocess(
    data: bytes,
    recipe: PictureRecipe,
    name: str = "the picture",
    most_bytes: int | None = None,
) -> npt.NDArray[np.generic]:
    """The model input of shape ``recipe.shape`` made of an encoded picture's bytes.

    Decoded as RGB, turned upright by its EXIF orientation, stretched to height x width with
    Pillow's antialiased bilinear filter (as torchvision resizes, and the SSD300 code with it),
    then normalised. ``name`` is what an error calls the picture; decoded it has up to
    ``most_bytes``, by default those of ``MAX_PIXELS``.

    Raises:
        UsageError: the bytes are no picture, are damaged, or hold more than ``MAX_PIXELS``; nor can
            an input of no pixels or of more than that be made.
    """
    if not 0 < recipe.width * recipe.height <= MAX_PIXELS:
        raise UsageError(
            f"cannot make an input of {recipe.width}x{recipe.height} pixels of {name}:"
            f" 1 to {MAX_PIXELS / 1e6:.0f} million can be"
        )
    most_pixels = MAX_PIXELS if most_bytes is None else min(MAX_PIXELS, most_bytes // 3)
    coloured = upright(data, name, most_pixels).convert("RGB" if len(recipe.mean) == 3 else "L")
    resized = coloured.resize((recipe.width, recipe.height), Image.Resampling.BILINEAR)
    return normalise(np.asarray(resized).reshape(recipe.height, recipe.width, -1), recipe)


def normalise(pixels: npt.NDArray[np.uint8], recipe: PictureRecipe) -> npt.NDArray[np.generic]:
    """The model input of shape ``recipe.shape``, of UINT8 pixels height x width x channels."""
    mean, std = np.array(recipe.mean, np.float32), np.array(recipe.std, np.float32)
    scaled = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    if recipe.layout == "NCHW":
        scaled = scaled.transpose(2, 0, 1)
    if np.dtype(NUMPY_TYPES[recipe.datatype]).kind != "f":
        scaled = np.rint(scaled)
    return np.ascontiguousarray(scaled[np.newaxis], NUMPY_TYPES[recipe.datatype])


def pixels_of(tensor: npt.NDArray[np.generic], recipe: PictureRecipe) -> npt.NDArray[np.uint8]:
    """The pixels, UINT8 height x width x channels, of which :func:`normalise` made ``tensor``.

    Exact for such a tensor; other values go to the nearest pixel. All must be finite.
    """
    scaled = tensor[0].astype(np.float32)
    if recipe.layout == "NCHW":
        scaled = scaled.transpose(1, 2, 0)
    mean, std = np.array(recipe.mean, np.float32), np.array(recipe.std, np.float32)
    pixels = np.rint((scaled * std + mean) * np.float32(255))
    return np.ascontiguousarray(pixels.clip(0, 255), np.uint8)


def upright(data: bytes, name: str, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture of an encoded picture's bytes, turned by its EXIF orientation, 8 bits deep.

    Raises:
        UsageError: as :func:`preprocess`.
    """
    with open_picture(data, name, most_pixels) as image:
        try:
            return _to_8_bit(ImageOps.exif_transpose(image))
        except Exception as error:  # Pillow raises whatever damaged EXIF leads it to
            raise UsageError(f"cannot decode {name}: {error}; is the file complete?") from error


def random_inputs(inputs: Sequence[TensorInfo], seed: int) -> Tensors:
    """Seeded tensors for inputs that are not pictures.

    Floating point is standard normal, 8-bit integers span their range (they are quantised
    pictures as a rule), wider integers are 0 or 1, which any index, length or mask bears.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    return {tensor.name: _random(tensor, rng) for tensor in inputs}


def _random(tensor: TensorInfo, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """In blocks, which are drawn at eight bytes a value: beside the tensor there is but one."""
    made = np.empty(math.prod(tensor.shape), NUMPY_TYPES[tensor.datatype])
    for first in range(0, made.size, _BLOCK):
        block = made[first : first + _BLOCK]
        if made.dtype.kind == "f":
            block[:] = rng.standard_normal(block.size)
        elif made.dtype.kind in "iu" and made.itemsize == 1:
            limits = np.iinfo(made.dtype)
            block[:] = rng.integers(limits.min, limits.max + 1, block.size)
        else:
            block[:] = rng.integers(0, 2, block.size)
    return made.reshape(tensor.shape)


def _default_picture() -> Picture:
    # find_spec, because importlib.resources.files would import matplotlib, a second's work.
    spec = importlib.util.find_spec("matplotlib")
    roots = spec.submodule_search_locations if spec else None
    path = Path(roots[0]) / "mpl-data/sample_data/grace_hopper.jpg" if roots else None
    if path is None or not path.is_file():
        raise MachineError(
            "the default picture, grace_hopper.jpg of the package matplotlib, is not installed"
            f" ({path or 'no matplotlib'}): run 'pip install --force-reinstall matplotlib',"
            " or give a picture of your own with --input"
        )
    return _picture(path, f"matplotlib {importlib.metadata.version('matplotlib')}")


def _picture(path: Path, source: str) -> Picture:
    data = read_file(path)
    open_picture(data, str(path)).close()
    return Picture(path.name, path, **hash_bytes(data), source=source)


class _EndlessError(OSError):
    """A picture that would take very long, whatever its size."""


class _Encoded(io.BytesIO):
    """A picture's bytes, for a decoder that does not go through them in tiny pieces for long."""

    def __init__(self, data: bytes) -> None:
        if data.startswith(_PLAIN) or any(islice(_SCAN.finditer(data), _MOST_SCANS, None)):
            raise _EndlessError("it is text, or has very many scans; save it as PNG first")
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise _EndlessError("it is in very many pieces; save it as PNG first")
        return super().read(size)


def open_picture(data: bytes, name: str, most_pixels: int = MAX_PIXELS) -> Image.Image:
    """The picture in some bytes, not decoded yet; UsageError where it should not be."""
    try:
        image = Image.open(_Encoded(data), formats=_formats(data))
    except (Image.DecompressionBombError, _EndlessError) as error:
        raise UsageError(f"will not decode {name}: {error}") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UsageError(f"{name} is not a picture that can be read ({', '.join(FORMATS)})") from (
            error
        )
    if image.width * image.height > most_pixels:
        image.close()
        raise UsageError(
            f"will not decode {name}: {image.width}x{image.height} is more than"
            f" {most_pixels / 1e6:.3g} million pixels; make it smaller first"
        )
    return image


def _formats(data: bytes) -> tuple[str, ...]:
    """Those that it may be of. Pillow would import all that it has, to find one that it has not."""
    if data[:4] + data[8:12] != b"RIFFWEBP":
        return _COMMON
    from PIL import WebPImagePlugin

    return (WebPImagePlugin.WebPImageFile.format,)


def _to_8_bit(image: Image.Image) -> Image.Image:
    # Pillow would clip 16-bit grey at 255, which makes almost every pixel white.
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image
