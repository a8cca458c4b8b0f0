"""What pages take for the reader's own: small files of the names that they use."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from splitbed.media.sounds import wave_file
from splitbed.tasks.pose import KEYPOINTS
from splitbed.zoo.posenet import model as posenet
from tests.graphs import models, tflite_models
from tests.media.making import picture
from tests.orchestrator.made_runs import made_run
from tests.orchestrator.results.test_summary import add_cell


def make(names: Sequence[str], folder: Path) -> None:
    """Make those of that name in `folder`."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        STAND_INS[name](path)


def _onnx(path: Path) -> None:
    """A picture of any size, two convolutions."""
    weights = {"w1": models.whole(1, 8, 3, 3, 3), "w2": models.whole(2, 5, 8, 3, 3)}
    layers = [
        models.conv("image", "a", "w1"),
        models.node("Relu", "a", "b"),
        models.conv("b", "y", "w2"),
    ]
    open_sizes: models.Dims = [1, 3, "height", "width"]
    models.save(models.model(layers, {"image": open_sizes}, {"y": None}, weights), path)


def _pictures(folder: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        picture(folder / name)


def _read(folder: Path) -> None:
    """A sound in LibriSpeech's layout: a second of silence that is said to be a word."""
    (chapter := folder / "1" / "2").mkdir(parents=True)
    (chapter / "1-2-0000.wav").write_bytes(wave_file(np.zeros(16_000, np.int16), 16_000))
    (chapter / "1-2.trans.txt").write_text("1-2-0000 STOP\n")


def _predictions(folder: Path) -> None:
    """A disc in the first of the shapes."""
    folder.mkdir()
    (folder / "000000.png.txt").write_text("disc 0.9 20 20 30 30\n")


def _posenet(path: Path) -> None:
    path.write_bytes(posenet.build(width=0.75, model_format="onnx")[0])


def _annotations(path: Path) -> None:
    """A person in the first picture."""
    person: dict[str, object] = {
        "id": 1,
        "image_id": 0,
        "category_id": 1,
        "iscrowd": 0,
        "area": 900.0,
    }
    person |= {"bbox": [10, 10, 30, 30], "num_keypoints": 17, "keypoints": [20, 20, 2] * 17}
    names = ("one.jpg", "two.jpg")
    images = [{"id": i, "file_name": n, "width": 64, "height": 48} for i, n in enumerate(names)]
    kinds = [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}]
    path.write_text(json.dumps({"images": images, "annotations": [person], "categories": kinds}))


def _run(path: Path) -> None:
    """Three cuts of a small model, and one that is called as one of SSD300's."""
    add_cell(made_run(path), "3:140", [200, 201, 202], split_name="split_node_3")


def _phone(path: Path) -> None:
    """A device with a model of what it takes."""
    path.write_text(
        "name: phone\ntitle: A phone\nsource: made up\nslowdown: 4\n"
        "power: {idle_w: 0.8, cpu_w: 1.6, sending_w: 1.2, receiving_w: 0.9, source: made up}\n"
    )


STAND_INS: dict[str, Callable[[Path], object]] = {
    "me.jpg": picture,
    "my.onnx": _onnx,
    "my.tflite": lambda path: tflite_models.save(tflite_models.residual(), path),
    "person_keypoints.json": _annotations,
    "phone.yaml": _phone,
    "pictures/": _pictures,
    "posenet_075.onnx": _posenet,
    "predictions/": _predictions,
    "read/": _read,
    "runs/after": _run,
    "runs/before": _run,
    "runs/mine": _run,
}
