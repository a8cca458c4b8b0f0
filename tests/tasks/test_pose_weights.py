"""Key points found with the real weights of PoseNet 0.75, where they are at hand."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from splitbed.media.pictures import load_pictures, preprocess
from splitbed.media.recipes import PictureRecipe
from splitbed.tasks.pose import KEYPOINTS, decode, on_picture
from tests.tasks.people import INPUTS
from tests.zoo.reference import real_posenet

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
PICTURES = REFERENCE / "coco_subset_images.zip"

Posenet = Callable[[bytes], dict[str, np.ndarray]]

# Where a human sees the key points, in pixels of the picture.
FRISBEE = [
    (252, 168), (247, 165), (243, 168), (225, 170), (227, 174),
    (192, 203), (240, 208), (163, 228), (283, 243), (145, 229), (335, 247),
    (165, 295), (210, 300), (122, 352), (240, 362), (98, 400), (258, 415),
]  # fmt: skip
FRISBEE_HIDDEN = ("left_eye", "left_ear")
HOPPER = {"nose": (267, 238), "left_eye": (306, 187), "right_eye": (222, 190)}
HOPPER_SHOULDERS = {"left_shoulder": (465, 410), "right_shoulder": (60, 405)}
BENCH_SHOULDERS = [(344, 283), (385, 272), (403, 267), (426, 277)]
PLAYERS = [
    {
        "nose": (308, 45),
        "left_shoulder": (355, 95),
        "left_knee": (345, 305),
        "right_hip": (292, 215),
    },
    {
        "nose": (150, 97),
        "left_shoulder": (213, 130),
        "left_knee": (188, 370),
        "right_hip": (165, 252),
    },
]


@pytest.fixture(scope="module")
def posenet() -> Posenet:
    """Results of the real PoseNet 0.75 for a picture's bytes."""
    import onnxruntime as ort

    model = real_posenet().SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    recipe = PictureRecipe(257, 257, mean=(0.5,) * 3, std=(0.5,) * 3)

    def run(picture: bytes) -> dict[str, np.ndarray]:
        made = session.run(None, {"image": preprocess(picture, recipe)})
        return decode(dict(zip(names, made, strict=True)), INPUTS)

    return run


def picture(name: str) -> bytes:
    if not PICTURES.exists():
        pytest.skip(f"no reference pictures {PICTURES.name} beside the repository")
    with zipfile.ZipFile(PICTURES) as archive:
        return archive.read(f"images/{name}")


def errors(found: np.ndarray, expected: object) -> np.ndarray:
    return np.asarray(np.linalg.norm(found - np.array(expected), axis=-1))


def test_17_of_17_key_points_of_a_clear_person(posenet: Posenet) -> None:
    found = posenet(picture("frisbee.jpg"))
    points = on_picture(found["keypoints"][0], INPUTS, 513, 513)
    # PCK@0.1: within a tenth of the longer side of the person's box, 285 pixels.
    assert np.sum(errors(points, FRISBEE) < 28.5) == 17


def test_the_sure_key_points_are_the_visible_ones(posenet: Posenet) -> None:
    found = posenet(picture("frisbee.jpg"))
    unsure = [KEYPOINTS[k] for k in range(17) if found["keypoint_scores"][0, k] < 0.5]
    assert unsure == list(FRISBEE_HIDDEN)


def test_the_one_person_decoding_finds_a_clear_person(posenet: Posenet) -> None:
    found = posenet(picture("frisbee.jpg"))
    points = on_picture(found["best_keypoints"], INPUTS, 513, 513)
    assert np.sum(errors(points, FRISBEE) < 28.5) == 17


def test_two_players_are_two_poses(posenet: Posenet) -> None:
    found = posenet(picture("soccer.png"))
    assert np.sum(found["scores"] > 0.5) == 2
    for pose, seen in zip(found["keypoints"], PLAYERS, strict=False):
        points = on_picture(pose[[KEYPOINTS.index(name) for name in seen]], INPUTS, 513, 513)
        assert (errors(points, list(seen.values())) < 20).all()


def test_two_on_a_bench_are_two_poses_with_four_shoulders(
    posenet: Posenet,
) -> None:
    """They lean together, and the poses share parts: yet each shoulder is found."""
    found = posenet(picture("two_on_bench.jpg"))
    assert np.sum(found["scores"] > 0.15) == 2
    shoulders = on_picture(found["keypoints"][:2, 5:7].reshape(-1, 2), INPUTS, 515, 513)
    nearest = [errors(shoulders, seen).min() for seen in BENCH_SHOULDERS]
    assert max(nearest) < 12


def test_the_default_picture_shows_one_face_and_two_shoulders(
    posenet: Posenet,
) -> None:
    found = posenet(load_pictures()[0].read())
    assert np.sum(found["scores"] > 0.15) == 1
    points = on_picture(found["keypoints"][0], INPUTS, 512, 600)
    for seen, tolerance in ((HOPPER, 10), (HOPPER_SHOULDERS, 30)):
        rows = [KEYPOINTS.index(name) for name in seen]
        assert (found["keypoint_scores"][0, rows] > 0.5).all()
        assert (errors(points[rows], list(seen.values())) < tolerance).all()
