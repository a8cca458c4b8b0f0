"""Predictions in files, scored and painted, as the scripts of clause 10.3.8 do one by one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.orchestrator.commands import orchestrate

TRUTH = "dining table 10 20 30 40\ncar 50 50 20 10\n"
FOUND = "dining table 0.9 10 20 30 40\ncar 0.8 90 90 5 5\n"
CORNERS = "dining table 10 20 40 60 0.9\ncar 90 90 95 95 0.8\n"


def folder(path: Path, **texts: str) -> str:
    path.mkdir()
    for name, text in texts.items():
        (path / f"{name}.txt").write_text(text)
    return str(path)


@pytest.fixture
def truth(tmp_path: Path) -> str:
    return folder(tmp_path / "truth", a=TRUTH, b="")


def scored(*words: str) -> dict[str, object]:
    done = orchestrate("score", *words, "--json")
    assert done.code == 0, done.err
    found: dict[str, object] = json.loads(done.out)
    return found


@pytest.mark.parametrize(("columns", "text"), [("2.1.1.1", FOUND), ("10.3.8", CORNERS)])
def test_predictions_of_either_clause_score_alike(
    tmp_path: Path, truth: str, columns: str, text: str
) -> None:
    found = scored(folder(tmp_path / "found", a=text), truth, "--columns", columns)
    assert (found["objects"], found["boxes"]) == (2, 2)
    assert [found[name] for name in ("ap50", "precision", "recall")] == pytest.approx([0.5] * 3)
    classes = {one["class"]: one["ap"] for one in found["classes"]}  # type: ignore[attr-defined]
    assert classes == {"car": 0, "dining table": pytest.approx(1)}


def test_a_class_is_the_same_by_its_id_and_its_name(tmp_path: Path, truth: str) -> None:
    found = scored(folder(tmp_path / "found", a="60 0.9 10 20 30 40\n2 0.9 50 50 20 10\n"), truth)
    assert found["ap"] == pytest.approx(1)


def test_what_infer_writes_is_scored_against_the_dataset_itself(tmp_path: Path) -> None:
    words = ["--model", "shapesnet", "--input", "shapes", "--frames", "8"]
    told = orchestrate("infer", *words, "--predictions", str(tmp_path / "found"), "--json")
    assert told.code == 0, told.err
    found = scored(str(tmp_path / "found"), "shapes")
    assert found["boxes"] == pytest.approx(found["objects"], rel=1)


def test_a_picture_without_a_file_is_left_out_aloud_or_counted_as_empty(tmp_path: Path) -> None:
    truth = folder(tmp_path / "truth", a=TRUTH, b=TRUTH)
    found = folder(tmp_path / "found", a=FOUND)
    done = orchestrate("score", found, truth, "--json")
    assert "1 of 2 pictures have no file" in done.err
    assert json.loads(done.out)["objects"] == 2
    assert scored(found, truth, "--all")["objects"] == 4
    (tmp_path / "found/b.txt").touch()  # as a detector that found nothing writes
    done = orchestrate("score", found, truth, "--json")
    assert (json.loads(done.out)["objects"], done.err) == (4, "")


def test_files_that_are_numbered_from_1_are_those_of_a_videos_frames(tmp_path: Path) -> None:
    words = ["--model", "shapesnet", "--input", "shapes", "--frames", "8"]
    orchestrate("infer", *words, "--predictions", str(tmp_path / "found"))
    own = scored(str(tmp_path / "found"), "shapes")
    for number, file in enumerate(sorted((tmp_path / "found").iterdir()), start=1):
        file.rename(file.with_name(f"clip_{number:03}.txt"))
    assert scored(str(tmp_path / "found"), "shapes") == own


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        ("car 1 2 3 4\n", [], "a.txt:1: not a line of the form 'label confidence x y w h'"),
        ("car 0.9 10 20\n", ["--columns", "10.3.8"], "label left top right bottom confidence"),
        ("car 40 20 10 60 0.9\n", ["--columns", "10.3.8"], "-30 x 40 pixels cannot be"),
        (FOUND, ["--columns", "x"], "choose 2.1.1.1 or 10.3.8"),
    ],
)
def test_a_line_of_another_form_is_refused_by_its_place(
    tmp_path: Path, truth: str, text: str, words: list[str], says: str
) -> None:
    done = orchestrate("score", folder(tmp_path / "found", a=text), truth, *words)
    assert done.code == 2
    assert says in done.err


def test_boxes_of_a_picture_without_truth_are_refused(tmp_path: Path, truth: str) -> None:
    done = orchestrate("score", folder(tmp_path / "found", c=FOUND), truth)
    assert done.code == 2
    assert "nothing is annotated" in done.err


def test_fractions_need_the_pictures(tmp_path: Path) -> None:
    where = folder(tmp_path / "truth", a="car 0.5 0.5 0.1 0.1\n")
    done = orchestrate("score", folder(tmp_path / "found", a=FOUND), where)
    assert done.code == 2
    assert "fractions of the picture" in done.err


def test_boxes_are_painted_onto_their_pictures(tmp_path: Path, truth: str) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (120, 120), "white").save(pictures / f"{name}.png")
    found = folder(tmp_path / "found", a=FOUND)
    words = [found, str(pictures), "--truth", truth, "--out", str(tmp_path / "painted")]
    done = orchestrate("draw", *words)
    assert done.code == 0, done.err
    painted = {one.name: np.array(Image.open(one)) for one in (tmp_path / "painted").iterdir()}
    assert (painted["a.png"] != 255).any()
    assert (painted["b.png"] == 255).all()
    assert orchestrate("draw", found, str(pictures), "--out", str(pictures)).code == 2


def test_boxes_of_no_picture_are_refused(tmp_path: Path) -> None:
    (pictures := tmp_path / "pictures").mkdir()
    Image.new("RGB", (120, 120)).save(pictures / "z.png")
    found = folder(tmp_path / "found", a=FOUND)
    done = orchestrate("draw", found, str(pictures), "--out", str(tmp_path / "painted"))
    assert done.code == 2
    assert "has no picture a" in done.err
