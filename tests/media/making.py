"""Tiny pictures, videos and annotations to open."""

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

WIDTH, HEIGHT = 64, 48


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT, **options: Any) -> Path:
    """A grey picture file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (90, 90, 90)).save(path, **options)
    return path


def pixels(index: int) -> npt.NDArray[np.uint8]:
    """What a video shows in frame ``index``: noise of its own."""
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def video(path: Path, frames: int = 6, codec: str = "ffv1", form: str = "bgr0") -> Path:
    """A video of :func:`pixels`, lossless where ``codec`` is ffv1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=50)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, form
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(pixels(index), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def texts(folder: Path, frames: int = 6, first: int = 0, line: str = "0 1 2 30 40\n") -> Path:
    """A text file per frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        (folder / f"clip_seq_{first + index:03}.txt").write_text(line)
    return folder


def instances(path: Path, names: list[str], **annotation: Any) -> Path:
    """An instances file with a box in each picture."""
    box = {"bbox": [1, 2, 30, 40], "category_id": 7, "iscrowd": 0} | annotation
    found = {
        "images": [
            {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT}
            for n, name in enumerate(names)
        ],
        "annotations": [{"id": 100 + n, "image_id": n} | box for n in range(len(names))],
        "categories": [{"id": 7, "name": "tram"}],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return path


OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>1</xmin><ymin>11</ymin><xmax>10</xmax><ymax>30</ymax></bndbox></object>"""


def voc(folder: Path, stem: str, name: str = "dog", difficult: int = 0, head: str = "") -> Path:
    """A picture with its XML; the XML's path."""
    picture(folder / "JPEGImages" / f"{stem}.jpg")
    path = folder / "Annotations" / f"{stem}.xml"
    path.parent.mkdir(exist_ok=True)
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
    found = OBJECT.format(name=name, difficult=difficult)
    path.write_text(f"{head}<annotation>{size}{found}</annotation>")
    return path
