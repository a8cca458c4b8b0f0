"""Ground truth as PASCAL VOC has it: an XML file per picture.

Corners count pixels from 1, both ends included (VOC development kit, clause 2.2): a box from 1 to
10 is 10 pixels wide and begins at 0 here.  A ``difficult`` object is a crowd.
"""

import math
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.media.datasets.frames import Dataset, picture_frame, picture_size
from splitbed.media.datasets.truth import inside
from splitbed.media.files import read_file
from splitbed.media.pictures import SUFFIXES
from splitbed.tasks.boxes import Box

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip
MAX_XML_BYTES = 1_000_000


def open_voc(path: Path, image_set: str | None = None) -> Dataset:
    """The folder of ``JPEGImages`` and ``Annotations``: all pictures, or those of a set.

    ``image_set`` is the name of a file in ``ImageSets/Main``, as ``test``. A picture without XML
    has no ground truth.

    Raises:
        UsageError: no such set, no picture, or an annotation without its picture.
    """
    pictures = {
        file.stem: file
        for file in sorted((path / "JPEGImages").iterdir())
        if file.suffix.lower() in SUFFIXES
    }
    xmls = {file.stem: file for file in sorted((path / "Annotations").glob("*.xml"))}
    stems = _image_set(path, image_set) if image_set else sorted({*pictures, *xmls})
    if missing := [stem for stem in stems if stem not in pictures]:
        raise UsageError(
            f"{path} lacks {len(missing)} of {len(stems)} pictures, JPEGImages/{missing[0]}.jpg"
            " for one"
        )
    if not stems:
        raise UsageError(f"no picture in {path / 'JPEGImages'}")
    return Dataset(
        name=f"{path.resolve().name}{f':{image_set}' if image_set else ''}",
        kind="voc",
        source=str(path),
        frames=[
            picture_frame(
                pictures[stem],
                truth=partial(read_xml, xmls[stem], pictures[stem]) if stem in xmls else None,
            )
            for stem in stems
        ],
        classes=CLASSES,
        truth_files=tuple(xmls[stem] for stem in stems if stem in xmls),
    )


def read_xml(path: Path, picture: Path) -> list[Box]:
    """The boxes in an annotation of ``picture``.

    Raises:
        UsageError: it is no such XML, gives another size, or a class that VOC lacks; the file and
            the object are named.
    """
    root = _parse(path)
    size = picture_size(picture)
    stated = tuple(_number(root, f"size/{side}", str(path)) for side in ("width", "height"))
    if stated != size:
        raise UsageError(
            f"{path} is for a picture of {stated[0]:g}x{stated[1]:g}, but {picture} has"
            f" {size[0]}x{size[1]}"
        )
    return [
        _box(found, size, f"{path}: object {number}")
        for number, found in enumerate(root.iter("object"), start=1)
    ]


def _box(found: ET.Element, size: tuple[int, int], where: str) -> Box:
    label = (found.findtext("name") or "").strip()
    if label not in CLASSES:
        raise UsageError(f"{where}: the class {label!r} is none of VOC's 20")
    left, top, right, bottom = (
        _number(found, f"bndbox/{edge}", where) for edge in ("xmin", "ymin", "xmax", "ymax")
    )
    crowd = (found.findtext("difficult") or "").strip() == "1"
    box = Box(label, left - 1, top - 1, right - left + 1, bottom - top + 1, crowd=crowd)
    return inside(box, size, where)


def _number(found: ET.Element, place: str, where: str) -> float:
    text = found.findtext(place) or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {place} is no number but {text!r}")
    return value


class _Builder(ET.TreeBuilder):
    """Refuses a DOCTYPE when it begins, so that no entity is ever defined or expanded."""

    def doctype(self, *_: object) -> None:
        raise UsageError("a DOCTYPE")


def _parse(path: Path) -> ET.Element:
    data = read_file(path)
    if len(data) > MAX_XML_BYTES:
        raise UsageError(f"will not read {path}: an annotation has less than 1 MB")
    try:
        root: ET.Element = ET.fromstring(data, ET.XMLParser(target=_Builder()))  # noqa: S314 - above
    except UsageError as error:
        raise UsageError(f"will not read {path}: it holds {error}") from None
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UsageError(f"{path} is not XML: {error}") from None
    return root


def _image_set(path: Path, name: str) -> list[str]:
    file = path / "ImageSets/Main" / f"{name}.txt"
    if "/" in name or not file.is_file():
        sets = sorted(p.stem for p in file.parent.glob("*.txt")) if file.parent.is_dir() else []
        raise UsageError(
            f"{path} has no image set {name!r}; there are: {', '.join(sets) or 'none'}"
        )
    lines = read_file(file).decode(errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip()]
