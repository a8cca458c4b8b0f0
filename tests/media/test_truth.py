"""Text files of ground truth: what a line can be, and what is refused by file and line."""

from pathlib import Path

import pytest

from splitbed.errors import UsageError
from splitbed.media.datasets.truth import text_truth
from splitbed.tasks.boxes import Box
from splitbed.tasks.classes import COCO_CLASSES

SIZE = (416, 240)


def read(tmp_path: Path, text: str) -> list[Box]:
    path = tmp_path / "a_000.txt"
    path.write_text(text)
    return text_truth(path, COCO_CLASSES, SIZE)


def test_a_label_is_an_id_of_the_clauses_table_or_a_name(tmp_path: Path) -> None:
    boxes = read(tmp_path, "60 1 2 30 40\nDining table 1 2 30 40\n")
    assert boxes == [Box("dining table", 1, 2, 30, 40)] * 2


def test_a_number_behind_the_label_is_the_track(tmp_path: Path) -> None:
    boxes = read(tmp_path, "0 12 1 2 30 40\nsports ball 3 1 2 30 40\n2 -1 1 2 30 40\n")
    assert [(b.label, b.track) for b in boxes] == [
        ("person", 12),
        ("sports ball", 3),
        ("car", None),
    ]


def test_fractions_are_centres_and_sizes(tmp_path: Path) -> None:
    assert read(tmp_path, "0 0.5 0.25 0.25 0.5\n") == [Box("person", 156, 0, 104, 120)]


def test_fractions_among_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a_000\.txt:3: fractions of the picture"):
        read(tmp_path, "0 1 2 30 40\n\n0 0.5 0.25 0.25 0.5\n")


def test_a_box_that_reaches_out_is_kept_as_it_is(tmp_path: Path) -> None:
    assert read(tmp_path, "0 -20 10 100 50\n") == [Box("person", -20, 10, 100, 50)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 1 2 30 40\nferry 1 2 30 40", r"a_000\.txt:2: the label 'ferry' is none of the 80"),
        ("80 1 2 30 40", r"a_000\.txt:1: the label '80'"),
        ("0 1 2 30", r"a_000\.txt:1: not a line of the form"),
        ("0 1 2 nan 40", r"a_000\.txt:1: not a line of the form"),
        ("0 1 2 -30 40", r"a_000\.txt:1: a box of -30 x 40 pixels cannot be"),
        ("0 420 2 30 40", r"a_000\.txt:1: the box 420 2 30 40 lies outside .* 416x240"),
        ("0 -60 2 100 40", r"a_000\.txt:1: the box -60 .* more than half"),
        ("0 100 100 1000 900", r"a_000\.txt:1: .* is it of another picture size"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)
