"""Emblems: generated pictures of one class each, the same on every machine."""

import hashlib
from collections import Counter

import pytest

from splitbed.errors import UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.emblems import EMBLEMS, emblem, label

SEED_0 = "346bcfd6968baaa522e655c892945680340400aa379f0cabc452163fcfb66d33"


def test_a_seed_gives_the_same_pictures_on_every_machine() -> None:
    together = hashlib.sha256()
    for place in range(20):
        together.update(emblem(0, place).picture.tobytes())
    assert together.hexdigest() == SEED_0


def test_each_class_comes_about_as_often_as_another() -> None:
    frames = open_dataset("emblems").frames
    counts = Counter(frame.label for frame in frames)
    assert set(counts) == set(EMBLEMS)
    assert 20 < min(counts.values()) <= max(counts.values()) < 70


def test_a_label_is_known_without_the_picture() -> None:
    assert all(label(3, place) == emblem(3, place).label for place in range(30))


def test_another_seed_gives_others() -> None:
    assert open_dataset("emblems:7").frames[0].read() != open_dataset("emblems").frames[0].read()


@pytest.mark.parametrize("part", ["x", "-1", "1@64x64", "7" * 5000])
def test_what_is_no_seed_is_refused(part: str) -> None:
    with pytest.raises(UsageError, match="a whole number is the seed"):
        open_dataset(f"emblems:{part}")
