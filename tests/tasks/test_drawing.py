"""Drawings: what is painted where, and what is left behind when it cannot be."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitbed.errors import UsageError
from splitbed.media.drawing import COLOURS, check_drawing, draw, paint
from splitbed.tasks import TASKS, Task
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES
from splitbed.tasks.pose import KEYPOINTS
from splitbed.tensors import Tensors
from tests.tasks.people import INPUTS

LABELS = Path(__file__).parents[3] / "shared" / "reference" / "models" / "coco_labels.txt"
BLACK = (0, 0, 0)


def picture(width: int = 514, height: int = 257, orientation: int = 1) -> bytes:
    image, data = Image.new("RGB", (width, height)), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(data, "PNG", exif=exif)
    return data.getvalue()


def poses(*people: dict[str, tuple[float, float]], scores: tuple[float, ...] = ()) -> Tensors:
    """Poses whose named key points are sure, and all others not."""
    points = np.zeros((len(people), 17, 2), np.float32)
    sure = np.zeros((len(people), 17), np.float32)
    for index, named in enumerate(people):
        for name, place in named.items():
            points[index, KEYPOINTS.index(name)] = place
            sure[index, KEYPOINTS.index(name)] = 0.9
    totals = np.array(scores or (0.9,) * len(people), np.float32)
    return {"keypoints": points, "keypoint_scores": sure, "scores": totals}


def boxes(*rows: tuple[float, ...], label: int = 1, score: float = 0.9) -> Tensors:
    return {
        "boxes": np.array(rows, np.float32).reshape(-1, 4),
        "labels": np.full(len(rows), label),
        "scores": np.full(len(rows), score, np.float32),
    }


def pixel(path: Path, x: int, y: int) -> tuple[int, ...]:
    with Image.open(path) as image:
        value = image.convert("RGB").getpixel((x, y))
    assert isinstance(value, tuple)
    return tuple(int(channel) for channel in value)


def colour(place: int) -> tuple[int, ...]:
    return tuple(bytes.fromhex(COLOURS[place][1:]))


def test_a_key_point_is_drawn_where_it_is_on_the_stretched_picture(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    draw(picture(514, 257), poses({"nose": (100, 60)}), INPUTS, "pose", out)
    assert pixel(out, 200, 60) == colour(0)
    assert pixel(out, 100, 60) == BLACK


def test_sure_key_points_are_joined_and_others_are_not(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    body = {"left_hip": (100.0, 60.0), "left_knee": (100.0, 100.0), "left_wrist": (20.0, 100.0)}
    results = poses(body)
    results["keypoints"][0, KEYPOINTS.index("left_ankle")] = (100, 200)
    draw(picture(), results, INPUTS, "pose", out)
    assert pixel(out, 200, 80) == colour(0)
    assert pixel(out, 200, 150) == BLACK
    assert pixel(out, 120, 80) == BLACK


def test_each_person_has_a_colour_and_the_weak_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    people: list[dict[str, tuple[float, float]]] = [{"nose": (x, 60)} for x in (50, 100, 150)]
    results = poses(*people, scores=(0.9, 0.5, 0.1))
    assert draw(picture(), results, INPUTS, "pose", out) == 2
    assert [pixel(out, x, 60) for x in (100, 200, 300)] == [colour(0), colour(1), BLACK]


def test_nobody_leaves_the_picture_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert draw(picture(), poses(), INPUTS, "pose", out) == 0
    with Image.open(out) as image:
        assert image.size == (514, 257)
        assert image.getextrema() == ((0, 0),) * 3


def test_a_box_is_drawn_at_its_fractions(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    draw(picture(400, 200), boxes((0.25, 0.5, 0.75, 0.9), label=3), INPUTS, "ssd", out)
    edges = [(100, 150), (300, 150), (200, 180)]
    assert [pixel(out, *edge) for edge in edges] == [colour(3)] * 3
    assert pixel(out, 200, 150) == BLACK


def test_a_box_bears_its_label(tmp_path: Path) -> None:
    """A longer name makes a longer label, above the box's left end."""
    ends = []
    for label in (3, 10):
        out = tmp_path / f"{label}.png"
        draw(picture(400, 200), boxes((0.25, 0.5, 0.75, 0.9), label=label), INPUTS, "ssd", out)
        with Image.open(out) as image:
            above = np.asarray(image)[:98].any(axis=2)
        ends.append(np.flatnonzero(above.any(axis=0)).max())
        assert np.flatnonzero(above.any(axis=0)).min() == pytest.approx(100, abs=1)
    assert [COCO_CLASSES[2], COCO_CLASSES[9]] == ["car", "traffic light"]
    assert ends[1] > ends[0] + 20


def test_unlikely_boxes_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert draw(picture(), boxes((0.2, 0.2, 0.8, 0.8), score=0.3), INPUTS, "ssd", out) == 0
    with Image.open(out) as image:
        assert image.getextrema() == ((0, 0),) * 3


def test_the_names_are_the_tasks_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same box of a task with a longer name for it bears a longer label."""
    task = Task(lambda outputs, _: outputs, None, ("background", "a very long name indeed"))
    monkeypatch.setitem(TASKS.own, "shapes", task)
    ends = []
    for name in ("ssd", "shapes"):
        out = tmp_path / f"{name}.png"
        assert draw(picture(400, 200), boxes((0.25, 0.5, 0.75, 0.9)), INPUTS, name, out) == 1
        with Image.open(out) as image:
            above = np.asarray(image)[:98].any(axis=(0, 2))
        ends.append(np.flatnonzero(above).max())
    assert ends[1] > ends[0] + 50


def test_the_truth_is_dashed_in_black_and_white_with_its_label_below(tmp_path: Path) -> None:
    image = Image.new("RGB", (400, 200), "#808080")
    paint(image, [], [Box("car", 100, 50, 200, 80)])
    pixels = np.asarray(image)
    edge = {tuple(pixel) for pixel in pixels[50, 100:300].tolist()}
    assert edge == {(0, 0, 0), (255, 255, 255)}
    changed = (pixels != 128).any(axis=2)
    assert not changed[:50].any()
    assert not changed[60:120, 110:290].any()
    assert changed[132:140, 100:110].all()


def test_the_truth_is_drawn_over_the_results_and_not_counted(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    truth = [Box("car", 100, 100, 200, 80)]
    results = boxes((0.25, 0.5, 0.75, 0.9), label=3)
    assert draw(picture(400, 200), results, INPUTS, "ssd", out, truth=truth) == 1
    assert {pixel(out, x, 180) for x in range(150, 300)} == {BLACK, (255, 255, 255)}
    assert pixel(out, 101, 150) == colour(3)  # thinner, so that the result shows inside it


def test_the_surest_box_lies_above_the_others(tmp_path: Path) -> None:
    for scores in ((0.9, 0.5), (0.5, 0.9)):
        image = Image.new("RGB", (200, 200))
        same = [Box(label, 50, 50, 100, 100, s) for label, s in zip("ab", scores, strict=True)]
        paint(image, same, classes=("a", "b"))
        assert image.getpixel((150, 100)) == colour(0 if scores[0] > scores[1] else 1)


def test_a_label_that_no_class_has_keeps_its_colour(tmp_path: Path) -> None:
    seen = set()
    for others in ([], [Box("another", 120, 120, 20, 20, 0.1)]):
        image = Image.new("RGB", (200, 200))
        paint(image, [*others, Box("dining table", 50, 50, 100, 100, 0.5)])
        seen.add(image.getpixel((150, 60)))
    assert len(seen) == 1
    assert BLACK not in seen


@pytest.mark.parametrize("far", [-1e30, 1e30, float("nan")])
def test_places_far_off_the_picture_are_borne(far: float, tmp_path: Path) -> None:
    results = poses({"left_hip": (far, 50), "left_knee": (50, far)})
    assert draw(picture(), results, INPUTS, "pose", tmp_path / "pose.png") == 1
    box = boxes((far, 0.1, 0.5, far))
    expected = 0 if math.isnan(far) else 1
    assert draw(picture(), box, INPUTS, "ssd", tmp_path / "ssd.png") == expected


def test_a_picture_on_its_side_is_drawn_on_upright(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    sideways = picture(514, 257, orientation=6)
    draw(sideways, poses({"nose": (50, 100)}), INPUTS, "pose", out)
    with Image.open(out) as image:
        assert image.size == (257, 514)
    assert pixel(out, 50, 200) == colour(0)


@pytest.mark.parametrize(
    ("suffix", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".jpeg", "JPEG"), (".PNG", "PNG")]
)
def test_the_suffix_says_the_format(suffix: str, kind: str, tmp_path: Path) -> None:
    out = tmp_path / f"out{suffix}"
    draw(picture(), poses(), INPUTS, "pose", out)
    with Image.open(out) as image:
        assert image.format == kind
    assert list(tmp_path.iterdir()) == [out]


def test_a_drawing_replaces_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_text("older")
    draw(picture(), poses(), INPUTS, "pose", out)
    assert pixel(out, 0, 0) == BLACK


@pytest.mark.parametrize("name", ["out.gif", "out", "missing/out.png", "folder.png"])
def test_a_path_that_cannot_be_saved_at_is_refused_before_anything(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UsageError, match="cannot save a drawing"):
        check_drawing("pose", tmp_path / name)


def test_a_failed_write_leaves_the_older_drawing_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    out.write_text("older")
    with pytest.raises(UsageError, match="cannot save the drawing"):
        draw(picture(70_000, 2), poses(), INPUTS, "pose", out)  # too wide for JPEG
    assert [file.read_text() for file in tmp_path.iterdir()] == ["older"]


def test_a_task_without_a_drawing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pose, ssd"):
        draw(picture(), {}, INPUTS, "tensors", tmp_path / "out.png")


def test_a_damaged_picture_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot decode cat"):
        draw(picture()[:150], poses(), INPUTS, "pose", tmp_path / "out.png", "cat")
    assert list(tmp_path.iterdir()) == []


def test_the_classes_are_those_of_coco_in_its_order() -> None:
    if not LABELS.exists():
        pytest.skip(f"no {LABELS.name} beside the repository")
    assert list(COCO_CLASSES) == [row for row in LABELS.read_text().splitlines() if row != "n/a"]
