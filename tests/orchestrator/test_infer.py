"""What `orchestrate infer` finds, draws and judges."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitbed.media.pictures import load_pictures
from splitbed.tasks.pose import KEYPOINTS
from tests.orchestrator.commands import orchestrate
from tests.zoo.reference import reference


def test_the_drawing_has_the_size_of_the_picture(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert orchestrate("infer", "--model", "posenet", "--draw", str(out)).code == 0
    (picture,) = load_pictures()
    with Image.open(out) as drawn, Image.open(picture.path) as original:
        assert drawn.size == original.size


def test_the_real_weights_find_and_draw_the_person(tmp_path: Path) -> None:
    weights = reference("posenet_mobilenet_v1_075_257x257_os16.onnx")
    out = tmp_path / "out.png"
    words = ["infer", "--model", "posenet", "--width", "0.75", "--weights", str(weights)]
    done = orchestrate(*words, "--draw", str(out), "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (results,) = found["results"].values()
    assert len(results["keypoints"]) == 1
    assert "sha256:" in found["weights"]
    (picture,) = load_pictures()
    with Image.open(out) as drawn, Image.open(picture.path) as original:
        assert (np.asarray(drawn) != np.asarray(original.convert("RGB"))).any()


def saved(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        Image.new("RGB", (80, 60)).save(folder / name)
    return folder


def test_several_pictures_are_drawn_into_a_folder_under_names_of_their_own(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", "a.png", "a.jpg", "b.bmp")
    words = ["infer", "--model", "posenet", "--input", str(pictures)]
    assert orchestrate(*words, "--draw", str(tmp_path / "out")).code == 0
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert drawn == ["a.jpg", "a.png", "b.bmp.png"]


def test_a_picture_is_never_drawn_over(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", "a.png", "b.png")
    before = (pictures / "a.png").read_bytes()
    for given, place in ((pictures, pictures), (pictures / "a.png", pictures / "a.png")):
        done = orchestrate(
            "infer", "--model", "posenet", "--input", str(given), "--draw", str(place)
        )
        assert done.code == 2
        assert "would overwrite the picture itself" in done.err
    assert (pictures / "a.png").read_bytes() == before


@pytest.mark.parametrize("bad", ["picture", "annotations"])
def test_nothing_is_drawn_where_something_is_bad(tmp_path: Path, bad: str) -> None:
    pictures = saved(tmp_path / "in", *(f"{n}.png" for n in range(7)))
    words = ["infer", "--model", "posenet", "--input", str(pictures)]
    words += ["--draw", str(tmp_path / "out")]
    if bad == "picture":
        torn = pictures / "6.png"
        torn.write_bytes(torn.read_bytes()[:60])
    else:
        words += ["--annotations", str(tmp_path / "none.json")]
    done = orchestrate(*words)
    assert done.code == 2
    assert not (tmp_path / "out").exists()


def test_average_precision_is_given_where_annotations_are(tmp_path: Path) -> None:
    picture = tmp_path / "blank.png"
    Image.new("RGB", (257, 257)).save(picture)
    person = {
        "id": 1, "image_id": 1, "category_id": 1, "num_keypoints": 17, "iscrowd": 0,
        "area": 10_000, "bbox": [0, 0, 100, 100], "keypoints": [50, 50, 2] * 17,
    }  # fmt: skip
    annotations = tmp_path / "persons.json"
    annotations.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "blank.png", "width": 257, "height": 257}],
                "categories": [{"id": 1, "name": "person", "keypoints": list(KEYPOINTS)}],
                "annotations": [person],
            }
        )
    )
    words = ["infer", "--model", "posenet", "--input", str(picture), "--json"]
    done = orchestrate(*words, "--annotations", str(annotations))
    assert done.code == 0, done.err
    assert json.loads(done.out)["precision"]["AP"] == 0  # nobody is on a blank picture


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "posenet", "--draw", "out.txt"], "end the name in one of"),
        (["--model", "ssd300", "--annotations", "x.json"], "key points, which ssd300"),
        (["--model", "posenet", "--annotations", "none.json"], "none.json"),
        (["--model", "posenet", "--input", "none.png"], "none.png"),
        (["--model", "posenet", "--width", "0.6"], "comes in 1, 0.75, 0.5"),
        (["--model", "ssd300", "--runtime", "tflite"], "comes as onnx"),
        (["--model", "posenet", "--weights", "none.tflite"], "none.tflite"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(words: list[str], says: str) -> None:
    done = orchestrate("infer", *words)
    assert done.code == 2
    assert says in done.err
    assert len(done.err.strip().splitlines()) == 1
