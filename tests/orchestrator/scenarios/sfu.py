"""A folder in the layout of SFU-HW-Objects, its annotations in the form of MPEG's (m59143).

The pictures are generated ones: those of SFU are not ours to have here.
"""

import io
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from splitbed.media.datasets import open_dataset


def sequence(folder: Path, name: str, source: str, frames: int) -> None:
    """A sequence of the first frames of a dataset, without loss, and their boxes."""
    taken = open_dataset(source).frames[:frames]
    (videos := folder / "videos").mkdir(parents=True, exist_ok=True)
    (truth := folder / "ground-truth").mkdir(exist_ok=True)
    pictures = [Image.open(io.BytesIO(frame.read())).convert("RGB") for frame in taken]
    width, height = pictures[0].size
    with av.open(str(videos / f"{name}.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=50)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    boxes = [(place, box) for place, frame in enumerate(taken) for box in frame.boxes or ()]
    instances = {
        "images": [
            {
                "file_name": f"{name}_val_{place:03}.png", "width": width, "height": height,
                "id": float(place),
            }
            for place in range(frames)
        ],
        "annotations": [
            {
                "bbox": [box.x, box.y, box.w, box.h], "bbox_mode": 0, "category_id": 0,
                "class": box.label, "id": number, "image_id": float(place), "iscrowd": 0,
                "area": box.w * box.h,
            }
            for number, (place, box) in enumerate(boxes)
        ],
        "categories": [{"id": 0, "name": "Another"}],
    }  # fmt: skip
    (truth / f"{name}.json").write_text(json.dumps(instances))
