"""The generated video: the same bytes everywhere, and ground truth that is what is drawn."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.media.dice import Dice
from splitbed.media.shapes import HEIGHT, NOBODY, WIDTH, Film, Frame, drawn, sequence
from splitbed.media.shapes.scene import Scene
from splitbed.tasks.classes import SHAPES

SEED_0 = "b84ac54046ec4443be8fc0f372803ebab164ff75974945e674841a1d157a53fd"


@pytest.fixture(scope="module")
def video() -> list[Frame]:
    return list(drawn(seed=4, frames=81))


def test_a_seed_gives_the_same_bytes_on_every_machine() -> None:
    digest = hashlib.sha256()
    for picture, boxes in [*sequence(0, 4, step=25), *sequence(1, 2, 160, 96)]:
        digest.update(picture.tobytes())
        digest.update(repr(boxes).encode())
    assert digest.hexdigest() == SEED_0


def test_another_seed_gives_another_video() -> None:
    (one, _), (other, _) = next(sequence(0, 1)), next(sequence(1, 1))
    assert np.abs(one.astype(int) - other).mean() > 10


def test_every_step_th_frame_of_the_same_video_is_drawn(video: list[Frame]) -> None:
    for (picture, boxes), frame in zip(sequence(4, 3, step=40), video[::40], strict=True):
        assert np.array_equal(picture, frame.picture)
        assert boxes == frame.boxes


def test_pictures_have_the_size_asked_for() -> None:
    ((picture, _),) = sequence(0, 1, width=320, height=240)
    assert picture.shape == (240, 320, 3)
    assert picture.dtype == np.uint8


def test_a_box_is_tight_around_what_is_seen_of_its_object(video: list[Frame]) -> None:
    for frame in video:
        for box in frame.boxes:
            rows, columns = np.nonzero(frame.owners == box.track)
            assert (box.x, box.y) == (columns.min(), rows.min())
            assert (box.x + box.w, box.y + box.h) == (columns.max() + 1, rows.max() + 1)


def test_an_object_owns_the_pixels_that_it_changes() -> None:
    scene = Scene(Dice(7), WIDTH, HEIGHT)
    full = scene.draw(0, scene.first())
    changed = (full.picture != scene.draw(0, []).picture).any(axis=2)
    owned = full.owners != NOBODY
    assert owned.sum() > 2000
    assert changed[owned].mean() > 0.99
    padded = np.pad(owned, 1)
    near = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).any(axis=(2, 3))
    assert not (changed & ~near).any()


def test_a_frame_is_the_same_in_whatever_order_frames_are_asked_for(video: list[Frame]) -> None:
    film = Film(4)
    for index in (80, 3, 3, 41):
        frame = film.frame(index)
        assert np.array_equal(frame.picture, video[index].picture)
        assert frame.boxes == video[index].boxes


def test_a_track_is_one_object_that_moves_a_little_from_frame_to_frame(video: list[Frame]) -> None:
    met = 0
    for before, after in pairwise(video):
        known = {box.track: box for box in before.boxes}
        for box in after.boxes:
            if (last := known.get(box.track)) is not None:
                assert box.label == last.label
                assert box.iou(last) > 0.4
                met += 1
    assert met > 250


def test_objects_come_and_go(video: list[Frame]) -> None:
    first, last = ({box.track for box in video[at].boxes} for at in (0, -1))
    assert first - last
    assert last - first


@pytest.mark.parametrize("shift", range(0, 60, 4))
def test_an_object_of_which_less_than_a_quarter_is_seen_is_no_ground_truth(shift: int) -> None:
    scene = Scene(Dice(4), WIDTH, HEIGHT)
    back = replace(scene.first()[0], track=1, start=(128.0, 96.0), radius=30.0, shape="square")
    front = replace(back, track=2, start=(128.0 + shift, 96.0))
    whole = np.count_nonzero(scene.draw(0, [back]).owners == 1)
    frame = scene.draw(0, [back, front])
    seen = np.count_nonzero(frame.owners == 1)
    assert (1 in {box.track for box in frame.boxes}) == (seen >= whole / 4)


def test_all_shapes_and_sizes_occur() -> None:
    boxes = [box for seed in range(20) for _, boxes in sequence(seed, 1) for box in boxes]
    assert {box.label for box in boxes} == set(SHAPES)
    sides = [max(box.w, box.h) / HEIGHT for box in boxes]
    assert min(sides) < 0.12
    assert 0.4 < max(sides) < 0.65


@pytest.mark.parametrize(
    "asked",
    [{"seed": -1}, {"frames": -1}, {"width": 8}, {"height": 47}, {"step": 0}],
    ids=str,
)
def test_what_cannot_be_drawn_is_refused_at_once(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="cannot draw"):
        sequence(**{"seed": 0, "frames": 1, **asked})
