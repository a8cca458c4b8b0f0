"""What `orchestrate infer` finds, draws and judges."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitbed.media.datasets import open_dataset
from splitbed.media.pictures import load_pictures
from splitbed.media.video import Video
from splitbed.tasks.boxes import read_boxes, write_boxes
from splitbed.tasks.classes import SHAPES as SHAPES_CLASSES
from splitbed.tasks.pose import KEYPOINTS
from tests.orchestrator.commands import orchestrate
from tests.zoo.reference import reference

POSENET = ("--model", "posenet", "--width", "0.5")  # the quickest


def test_the_drawing_has_the_size_of_the_picture(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert orchestrate("infer", *POSENET, "--draw", str(out)).code == 0
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
    words = ["infer", *POSENET, "--input", str(pictures)]
    assert orchestrate(*words, "--draw", str(tmp_path / "out")).code == 0
    drawn = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert drawn == ["a.jpg", "a.png", "b.bmp.png"]


def test_a_picture_is_never_drawn_over(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", "a.png", "b.png")
    before = (pictures / "a.png").read_bytes()
    for given, place in ((pictures, pictures), (pictures / "a.png", pictures / "a.png")):
        done = orchestrate("infer", *POSENET, "--input", str(given), "--draw", str(place))
        assert done.code == 2
        assert "would overwrite the picture itself" in done.err
    assert (pictures / "a.png").read_bytes() == before


@pytest.mark.parametrize("bad", ["picture", "annotations"])
def test_nothing_is_drawn_where_something_is_bad(tmp_path: Path, bad: str) -> None:
    pictures = saved(tmp_path / "in", *(f"{n}.png" for n in range(7)))
    words = ["infer", *POSENET, "--input", str(pictures)]
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
    words = ["infer", *POSENET, "--input", str(picture), "--json"]
    done = orchestrate(*words, "--annotations", str(annotations))
    assert done.code == 0, done.err
    assert json.loads(done.out)["precision"]["AP"] == 0  # nobody is on a blank picture


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([*POSENET, "--draw", "out.txt"], "end the name in one of"),
        (["--model", "shapesnet", "--annotations", "x.json"], "key points, which shapesnet"),
        ([*POSENET, "--annotations", "none.json"], "none.json"),
        ([*POSENET, "--input", "none.png"], "none.png"),
        ([*POSENET, "--draw", "out.mp4"], "only boxes are painted on videos"),
        ([*POSENET, "--predictions", "out"], "posenet gives no boxes"),
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


SHAPES = ("infer", "--model", "shapesnet", "--input", "shapes", "--frames", "4")


def test_a_sequence_is_drawn_as_a_video_at_its_own_rate(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    done = orchestrate(*SHAPES, "--draw", str(out))
    assert done.code == 0, done.err
    video = Video(out)
    assert (len(video), video.rate_hz) == (4, 25)
    with Image.open(io.BytesIO(open_dataset("shapes").frames[0].read())) as frame:
        assert (video.width, video.height) == frame.size
        moved = np.abs(video.pixels(0).astype(int) - np.asarray(frame.convert("RGB")))
    assert moved.max() > 100  # boxes are painted


def test_ground_truth_is_drawn_beside_what_was_found(tmp_path: Path) -> None:
    frames = open_dataset("shapes").frames
    drawings = []
    for told in ("with", "without"):
        pictures = saved(tmp_path / told)
        (pictures / "a.png").write_bytes(frames[0].read())
        if told == "with":
            (pictures / "classes.txt").write_text("\n".join(SHAPES_CLASSES))
            (pictures / "a.txt").write_text(write_boxes(frames[0].boxes or ()))
        out = tmp_path / f"{told}.png"
        words = ["infer", "--model", "shapesnet", "--input", str(pictures), "--draw", str(out)]
        done = orchestrate(*words)
        assert done.code == 0, done.err
        with Image.open(out) as drawn:
            drawings.append(np.asarray(drawn))
    assert (drawings[0] != drawings[1]).any()


def test_frames_are_drawn_into_a_folder_and_judged_by_the_ground_truth(tmp_path: Path) -> None:
    done = orchestrate(*SHAPES, "--draw", str(tmp_path / "out"), "--json")
    assert done.code == 0, done.err
    assert len(list((tmp_path / "out").iterdir())) == 4
    accuracy = json.loads(done.out)["accuracy"]
    assert accuracy["ap50"] > 0.5
    frames = open_dataset("shapes").frames[:4]
    classes = {box.label for frame in frames for box in frame.boxes or ()}
    assert {label for label, ap in accuracy["classes"].items() if ap is not None} == classes


def test_predictions_are_files_that_give_the_boxes_back(tmp_path: Path) -> None:
    folder = tmp_path / "boxes"
    done = orchestrate(*SHAPES, "--predictions", str(folder), "--json")
    assert done.code == 0, done.err
    results = json.loads(done.out)["results"]
    assert {f"{name}.txt" for name in results} == {file.name for file in folder.iterdir()}
    for name, found in results.items():
        scores = [box.score for box in read_boxes(folder / f"{name}.txt", scored=True)]
        assert scores == pytest.approx(found["scores"], abs=1e-6)


def test_boxes_already_there_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("")
    done = orchestrate(*SHAPES, "--predictions", str(tmp_path))
    assert done.code == 2
    assert "not an empty folder" in done.err


def test_no_accuracy_is_told_by_ground_truth_of_other_classes(tmp_path: Path) -> None:
    pictures = saved(tmp_path / "in", "a.png")
    (pictures / "classes.txt").write_text("dining table\n")
    (pictures / "a.txt").write_text("dining table 1 2 30 40\n")
    done = orchestrate("infer", "--model", "shapesnet", "--input", str(pictures), "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["accuracy"] is None
    assert "knows none of the classes" in done.err


def test_a_video_is_never_drawn_over(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert orchestrate(*SHAPES, "--draw", str(out)).code == 0
    before = out.read_bytes()
    done = orchestrate("infer", "--model", "shapesnet", "--input", str(out), "--draw", str(out))
    assert done.code == 2
    assert "would overwrite" in done.err
    assert out.read_bytes() == before
