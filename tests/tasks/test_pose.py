"""Key points of PoseNet: planted by hand, and against an obvious reference."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.tasks.pose import CHAIN, KEYPOINTS, RESULTS, decode, on_picture
from splitbed.tensors import TensorInfo, Tensors
from tests.tasks.people import INPUTS, noise, outputs, person


def found_by_reference(made: Tensors) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Scores, key points and their scores, one root and one step at a time, stride 16."""
    heat, offset, forward, backward = (made[name][0].astype(float) for name in made)
    scores = 1 / (1 + np.exp(-heat))

    def cell(x: float, y: float) -> tuple[int, int]:
        row, column = (int(min(max(math.floor(v / 16 + 0.5), 0), 16)) for v in (y, x))
        return row, column

    def place(part: int, row: int, column: int) -> tuple[float, float]:
        y, x = offset[part, row, column], offset[part + 17, row, column]
        return column * 16 + x, row * 16 + y

    def near(a: tuple[float, float], b: tuple[float, float]) -> bool:
        return math.dist(a, b) <= 20

    queue = []
    for part, row, column in np.ndindex(17, 17, 17):
        window = scores[part, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        score = scores[part, row, column]
        if score >= 0.5 and score == window.max():
            queue.append((-score, part, row, column))
    poses: list[tuple[float, dict[int, tuple[float, float]], dict[int, float]]] = []
    for _, root, row, column in sorted(queue):
        start = place(root, row, column)
        if len(poses) == 20 or any(near(start, points[root]) for _, points, _ in poses):
            continue
        points, sure = {root: start}, {root: float(scores[root, row, column])}
        steps = [(edge, child, parent, backward) for edge, (parent, child) in enumerate(CHAIN)]
        steps = steps[::-1] + [
            (e, parent, child, forward) for e, (parent, child) in enumerate(CHAIN)
        ]
        for edge, source, target, moves in steps:
            if source in points and target not in points:
                x, y = points[source]
                at = cell(x, y)
                x, y = x + moves[(edge + 16, *at)], y + moves[(edge, *at)]
                for _ in range(2):
                    x, y = place(target, *cell(x, y))
                points[target], sure[target] = (x, y), float(scores[(target, *cell(x, y))])
        own = [
            sure[part]
            for part in range(17)
            if not any(near(points[part], earlier[part]) for _, earlier, _ in poses)
        ]
        poses.append((sum(own) / 17, points, sure))
    poses.sort(key=lambda pose: -pose[0])
    return [
        (score, np.array([p[k] for k in range(17)]), np.array([s[k] for k in range(17)]))
        for score, p, s in poses
    ]


@pytest.mark.parametrize("seed", range(4))
def test_poses_are_those_of_the_obvious_reference(seed: int) -> None:
    made = noise(seed)
    expected, found = found_by_reference(made), decode(made, INPUTS)
    assert len(expected) == len(found["scores"]) == 20
    for index, (score, points, scores) in enumerate(expected):
        assert np.allclose(found["keypoints"][index], points, atol=1e-3)
        assert np.allclose(found["keypoint_scores"][index], scores, atol=1e-6)
        assert found["scores"][index] == pytest.approx(score, abs=1e-6)


def test_a_person_is_found_where_it_is() -> None:
    planted = person(128.5, 50.25)
    found = decode(outputs(planted), INPUTS)
    assert np.array_equal(found["keypoints"], [planted])
    assert np.allclose(found["keypoint_scores"], 0.9)
    assert np.allclose(found["scores"], [0.9])


@pytest.mark.parametrize("root", range(17), ids=KEYPOINTS)
def test_a_pose_is_followed_from_any_key_point(root: int) -> None:
    planted = person(128.5, 50.25)
    weak = dict.fromkeys(range(17), 0.4)
    found = decode(outputs(planted, scores={**weak, root: 0.7}), INPUTS)
    assert np.array_equal(found["keypoints"], [planted])
    assert found["keypoint_scores"][0, root] == pytest.approx(0.7)


def test_two_persons_are_told_apart_best_first() -> None:
    left, right = person(60, 50), person(190.5, 60.25)
    found = decode(outputs(left, right), INPUTS)
    assert np.array_equal(found["keypoints"], [left, right])
    assert np.allclose(found["scores"], [0.9, 0.8])


@pytest.mark.parametrize(("grid", "stride"), [((9, 9), 32), ((17, 17), 16), ((33, 33), 8)])
def test_the_stride_is_that_of_the_model(grid: tuple[int, int], stride: int) -> None:
    planted = person(128.5, 50.25)
    found = decode(outputs(planted, stride=stride, grid=grid), INPUTS)
    assert np.array_equal(found["keypoints"][0], planted)
    assert np.array_equal(found["best_keypoints"], planted)


def test_an_input_need_not_be_square() -> None:
    planted = person(400.5, 40.25)
    wide = (TensorInfo("image", "FP32", (1, 3, 257, 513)),)
    found = decode(outputs(planted, grid=(33, 17)), wide)
    assert np.array_equal(found["keypoints"], [planted])


@pytest.mark.parametrize("grid", [(17, 17), (34, 34)])
def test_both_layouts_give_the_same(grid: tuple[int, int]) -> None:
    made = outputs(person(128.5, 50.25), grid=grid)
    turned: Tensors = {name: np.moveaxis(value, 1, 3) for name, value in made.items()}
    sides = tuple(16 * (n - 1) + 1 for n in grid)
    first = decode(made, (TensorInfo("image", "FP32", (1, 3, *sides)),))
    last = decode(turned, (TensorInfo("image", "FP32", (1, *sides, 3)),))
    assert all(np.array_equal(first[info.name], last[info.name]) for info in RESULTS)
    assert len(first["scores"]) == 1


def test_official_names_of_the_outputs_are_understood() -> None:
    made = outputs(person(128.5, 50.25))
    official: Tensors = {f"MobilenetV1/{n}/BiasAdd": v for n, v in reversed(made.items())}
    assert len(decode(official, INPUTS)["scores"]) == 1


def test_inexact_displacements_are_put_right_by_the_offsets() -> None:
    planted = person(128.5, 50.25)
    made: dict[str, np.ndarray] = outputs(planted)
    for name in ("displacement_fwd_2", "displacement_bwd_2"):
        made[name] = np.where(made[name] != 0, made[name] + np.float32(7), 0)
    assert np.array_equal(decode(made, INPUTS)["keypoints"], [planted])


def test_nobody_gives_no_pose_of_the_right_shape() -> None:
    found = decode(outputs(), INPUTS)
    assert [found[name].shape for name in ("keypoints", "keypoint_scores", "scores")] == [
        (0, 17, 2),
        (0, 17),
        (0,),
    ]


def test_the_best_places_are_given_however_unsure() -> None:
    planted = person(128.5, 50.25)
    found = decode(outputs(planted, scores=dict.fromkeys(range(17), 0.3)), INPUTS)
    assert len(found["scores"]) == 0
    assert np.array_equal(found["best_keypoints"], planted)
    assert np.allclose(found["best_scores"], 0.3)


def test_the_best_places_are_each_key_points_own_whoever_it_belongs_to() -> None:
    one, other = person(60, 50), person(190.5, 60.25)
    found = decode(outputs(one, other, scores={9: 0.5, 16: 0.6}), INPUTS)
    expected = [other[k] if k in (9, 16) else one[k] for k in range(17)]
    assert np.array_equal(found["best_keypoints"], expected)


@pytest.mark.parametrize(("distance", "poses"), [(20.0, 1), (20.5, 2)])
def test_a_second_nose_is_another_person_beyond_20_pixels(distance: float, poses: int) -> None:
    made = outputs(person(128, 48))
    made["heatmap_2"][0, 0, 3, 10] = 1  # 32 pixels to the right
    made["offset_2"][0, 17, 3, 10] = distance - 32
    assert len(decode(made, INPUTS)["scores"]) == poses


def test_a_pose_is_not_credited_with_key_points_of_a_better_one() -> None:
    made = outputs(person(128, 48))
    made["heatmap_2"][0, 0, 12, 2] = 1  # a nose without a body: whatever it leads to is not its own
    found = decode(made, INPUTS)
    alone = 1 / (1 + math.exp(-1)) / 17
    assert found["scores"][1] == pytest.approx(alone, abs=16 * 1e-4)


def test_at_most_20_poses_are_kept() -> None:
    made = outputs()
    made["heatmap_2"][0, 0, ::2, ::2] = 3
    assert len(decode(made, INPUTS)["scores"]) == 20


def test_results_are_as_declared() -> None:
    found = decode(noise(0), INPUTS)
    assert list(found) == [info.name for info in RESULTS]
    for info in RESULTS:
        assert info.fits(TensorInfo(info.name, "FP32", found[info.name].shape))
        assert found[info.name].dtype == np.float32


def test_what_is_no_number_scores_nothing(recwarn: pytest.WarningsRecorder) -> None:
    made = noise(0)
    for name, value in made.items():
        value[..., 3:9, :] = np.nan
        value[..., 9:12, :] = -np.inf if name == "heatmap_2" else np.inf
    found = decode(made, INPUTS)
    assert all(np.isfinite(value).all() for value in found.values())
    assert not recwarn.list


def changes() -> Iterator[tuple[str, Callable[[Tensors], Tensors]]]:
    yield "none", lambda made: {}
    yield "one missing", lambda made: {n: v for n, v in made.items() if n != "offset_2"}
    yield "one more", lambda made: {**made, "segments": np.zeros((1, 1, 17, 17), np.float32)}
    yield "nameless", lambda made: dict(zip("abcd", made.values(), strict=True))
    yield (
        "two offsets",
        lambda made: {n.replace("displacement_bwd", "offset"): v for n, v in made.items()},
    )
    yield "grids differ", lambda made: {**made, "offset_2": made["offset_2"][..., :16]}
    yield "layouts differ", lambda made: {**made, "offset_2": np.moveaxis(made["offset_2"], 1, 3)}
    yield "a batch", lambda made: {n: np.concatenate([v, v]) for n, v in made.items()}
    yield "quantised", lambda made: {n: v.astype(np.uint8) for n, v in made.items()}


@pytest.mark.parametrize("change", dict(changes()).values(), ids=dict(changes()))
def test_outputs_of_another_model_are_refused(change: Callable[[Tensors], Tensors]) -> None:
    with pytest.raises(UsageError, match="PoseNet gives four"):
        decode(change(outputs()), INPUTS)


@pytest.mark.parametrize("side", [256, 225, 513])
def test_an_input_that_does_not_fit_the_grid_is_refused(side: int) -> None:
    with pytest.raises(UsageError, match="257 = 16"):
        decode(outputs(grid=(16, 16)), (TensorInfo("image", "FP32", (1, 3, side, side)),))


@pytest.mark.parametrize("shape", [(), ((1, 10),), ((1, 3, 257, 257), (1, 3, 257, 257))])
def test_a_model_without_a_picture_is_refused(shape: tuple[tuple[int, ...], ...]) -> None:
    inputs = tuple(TensorInfo(f"input{i}", "FP32", s) for i, s in enumerate(shape))
    with pytest.raises(UsageError, match="one picture"):
        decode(outputs(), inputs)


def test_the_corners_of_the_input_are_those_of_the_picture() -> None:
    """Pixel centres are whole numbers: the edges lie half a pixel outside."""
    edges = np.array([[-0.5, -0.5], [128, 128], [256.5, 256.5]], np.float32)
    expected = [[-0.5, -0.5], [319.5, 239.5], [639.5, 479.5]]
    assert np.allclose(on_picture(edges, INPUTS, 640, 480), expected, atol=1e-4)
