"""Key points of PoseNet: one person or several, from heatmaps, offsets and displacements.

Follows ``decodeMultiplePoses`` of tfjs-models/posenet, with its default values, after Papandreou
et al., PersonLab (arXiv 1803.08225): the strongest key points are roots, from which each pose is
followed along the tree of ``CHAIN``.
"""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.media.recipes import recipe_for
from splitbed.tensors import TensorInfo, Tensors

Floats = npt.NDArray[np.float32]

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
"""The key points in COCO's order; left is the person's own left."""

CHAIN = (
    (0, 1), (1, 3), (0, 2), (2, 4),
    (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15),
    (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16),
)  # fmt: skip
"""Parent and child of each displacement, in the order of its channels."""

SKELETON = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12),
    (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
"""The pairs that COCO joins when it draws a person."""

HEADS = {"heatmap": 17, "offset": 34, "displacement_fwd": 32, "displacement_bwd": 32}
"""What the name of an output holds, and its channels; y channels come before x channels."""

STRIDES = (8, 16, 32)
MIN_SCORE = 0.5
MAX_POSES = 20
NMS_RADIUS = 20.0
REFINEMENTS = 2

RESULTS = (
    TensorInfo("keypoints", "FP32", (-1, 17, 2)),
    TensorInfo("keypoint_scores", "FP32", (-1, 17)),
    TensorInfo("scores", "FP32", (-1,)),
    TensorInfo("best_keypoints", "FP32", (17, 2)),
    TensorInfo("best_scores", "FP32", (17,)),
)
"""What :func:`decode` gives."""


@dataclass(frozen=True)
class _Maps:
    """The outputs of one picture, by cell of the grid; pairs are x, y in pixels of the input."""

    stride: int
    scores: Floats  # 17 x height x width, 0..1
    points: Floats  # 17 x height x width x 2, where the offsets of a cell point
    forward: Floats  # 16 x height x width x 2, from parent to child
    backward: Floats  # 16 x height x width x 2, from child to parent

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of the nearest cell."""
        height, width = self.scores.shape[1:]
        row, column = math.floor(y / self.stride + 0.5), math.floor(x / self.stride + 0.5)
        return min(max(row, 0), height - 1), min(max(column, 0), width - 1)


def decode(outputs: Tensors, inputs: tuple[TensorInfo, ...]) -> Tensors:
    """Poses of the persons in one picture, and the best place of each key point.

    Takes heatmaps (17 channels, logits), offsets (34) and displacements forward and backward (32
    each), named like ``heatmap_2`` or ``MobilenetV1/heatmap_2/BiasAdd``, all 1xCxHxW or all
    1xHxWxC; and the model's inputs, whose size over the grid's tells the output stride. Gives

    - ``keypoints`` FP32 nx17x2, x and y of each key point, ``keypoint_scores`` FP32 nx17 and
      ``scores`` FP32 n of at most 20 persons; scores are in 0..1 and fall. n is 0 where no key
      point reaches 0.5.
    - ``best_keypoints`` FP32 17x2 and ``best_scores`` FP32 17: where each heatmap is highest,
      whoever it belongs to, and however low. It is the one-person decoding, and what clause
      10.2.8 compares, which needs values for a picture without persons too.

    Coordinates are pixels of the model's input, the centre of the first pixel being 0 (clause
    10.2.8 allows 0.001 of difference); :func:`on_picture` turns them into the picture's.
    What is not a number, as a lossy codec may make it, scores 0.

    Raises:
        UsageError: outputs of other names, types or shapes, or no stride of 8, 16 or 32.
    """
    maps = _read(outputs, inputs)
    points, scores = _poses(maps)
    totals = _own_scores(points, scores)
    order = np.argsort(-totals, kind="stable")
    parts = np.arange(len(KEYPOINTS))
    places = maps.scores.reshape(len(parts), -1).argmax(axis=1)
    return {
        "keypoints": points[order],
        "keypoint_scores": scores[order],
        "scores": totals[order],
        "best_keypoints": maps.points.reshape(len(parts), -1, 2)[parts, places],
        "best_scores": maps.scores.reshape(len(parts), -1)[parts, places],
    }


def on_picture(
    keypoints: npt.NDArray[np.generic], inputs: tuple[TensorInfo, ...], width: int, height: int
) -> Floats:
    """Key points in pixels of the picture that was stretched to the model's input.

    Pixel centres are whole numbers on both sides, as in COCO.

    Raises:
        UsageError: the model's input is no picture.
    """
    scale = np.array((width, height), np.float32) / np.array(_input_size(inputs), np.float32)
    half = np.float32(0.5)
    return np.asarray((keypoints.astype(np.float32) + half) * scale - half, np.float32)


def _read(outputs: Tensors, inputs: tuple[TensorInfo, ...]) -> _Maps:
    heatmap, offset, forward, backward = _channels_first(outputs)
    grid = heatmap.shape[:0:-1]
    stride = _stride(_input_size(inputs), grid)
    cells = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in grid)), axis=-1)
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-heatmap))
    return _Maps(
        stride=stride,
        scores=np.nan_to_num(scores, nan=0),
        points=_pairs(offset) + cells * np.float32(stride),
        forward=_pairs(forward),
        backward=_pairs(backward),
    )


def _channels_first(outputs: Tensors) -> list[Floats]:
    """The four outputs in the order of ``HEADS``, CxHxW."""
    names = [[name for name in outputs if head in name] for head in HEADS]
    if len(outputs) == len(HEADS) and all(len(found) == 1 for found in names):
        arrays = [outputs[name] for (name,) in names]
        # 17, 34 and 32 channels cannot all be on two axes, so that one layout fits at most.
        for axis in (1, 3):
            if all(a.ndim == 4 and a.shape[0] == 1 and a.dtype.kind == "f" for a in arrays):
                maps = [np.moveaxis(a, axis, 1)[0].astype(np.float32) for a in arrays]
                sizes = {a.shape[1:] for a in maps}
                if [len(a) for a in maps] == list(HEADS.values()) and len(sizes) == 1:
                    return maps
    found = {name: (value.dtype.name, value.shape) for name, value in outputs.items()}
    raise UsageError(
        f"cannot read key points from outputs {found}: PoseNet gives four of floating point, of"
        " one grid, 1xCxHxW or 1xHxWxC, whose names hold "
        + ", ".join(f"{head!r} (C {channels})" for head, channels in HEADS.items())
    )


def _pairs(channels: Floats) -> Floats:
    """Half the channels y, half x, to C/2 x height x width x 2 of x, y."""
    y, x = np.split(np.nan_to_num(channels, nan=0), 2)
    return np.stack([x, y], axis=-1)


def _input_size(inputs: tuple[TensorInfo, ...]) -> tuple[int, int]:
    """Width and height of the model's one input, a picture in either layout."""
    recipe = recipe_for(inputs[0]) if len(inputs) == 1 else None
    if recipe is None:
        found = {tensor.name: tensor.shape for tensor in inputs}
        raise UsageError(
            f"cannot place key points for a model with inputs {found}: PoseNet takes one picture,"
            " 1x3xHxW or 1xHxWx3"
        )
    return recipe.width, recipe.height


def _stride(size: tuple[int, int], grid: tuple[int, ...]) -> int:
    """Pixels of the input from cell to cell, whose corners are the input's corners."""
    for stride in STRIDES:
        if all(stride * (n - 1) + 1 == side for side, n in zip(size, grid, strict=True)):
            return stride
    raise UsageError(
        f"cannot place key points of a {grid[0]}x{grid[1]} grid in a {size[0]}x{size[1]} input:"
        " sides of PoseNet's input are the output stride (8, 16 or 32) times one less than the"
        " grid's, plus 1, as 257 = 16 * (17 - 1) + 1"
    )


def _poses(maps: _Maps) -> tuple[Floats, Floats]:
    """Points nx17x2 and scores nx17 of at most ``MAX_POSES`` poses, strongest root first."""
    roots = np.argwhere(_is_peak(maps.scores))
    roots = roots[np.argsort(-maps.scores[tuple(roots.T)], kind="stable")]
    points = np.empty((MAX_POSES, len(KEYPOINTS), 2), np.float32)
    scores = np.empty((MAX_POSES, len(KEYPOINTS)), np.float32)
    count = 0
    while count < MAX_POSES and len(roots):
        points[count], scores[count] = _follow(maps, *roots[0].tolist())
        kinds, places = roots[:, 0], maps.points[tuple(roots.T)]
        apart = ~_near(points[count, kinds], places)
        apart[0] = False
        roots = roots[apart]
        count += 1
    return points[:count], scores[:count]


def _is_peak(scores: Floats) -> npt.NDArray[np.bool_]:
    """Where a score reaches ``MIN_SCORE`` and is the highest of its 3x3 cells."""
    _, height, width = scores.shape
    padded = np.pad(scores, ((0, 0), (1, 1), (1, 1)))
    shifts = itertools.product(range(3), repeat=2)
    around = [padded[:, y : y + height, x : x + width] for y, x in shifts]
    return np.asarray((scores >= MIN_SCORE) & (scores == np.maximum.reduce(around)))


def _follow(maps: _Maps, root: int, row: int, column: int) -> tuple[Floats, Floats]:
    """Points 17x2 and scores 17 of the pose that has this root, along the tree."""
    points = np.empty((len(KEYPOINTS), 2), np.float32)
    scores = np.empty(len(KEYPOINTS), np.float32)
    points[root], scores[root] = maps.points[root, row, column], maps.scores[root, row, column]
    for edge, source, target, downwards in _steps(root):
        x, y = points[source].tolist()
        displacements = maps.forward if downwards else maps.backward
        dx, dy = displacements[(edge, *maps.cell(x, y))].tolist()
        x, y = x + dx, y + dy
        for _ in range(REFINEMENTS):
            x, y = maps.points[(target, *maps.cell(x, y))].tolist()
        points[target] = x, y
        scores[target] = maps.scores[(target, *maps.cell(x, y))]
    return points, scores


@cache
def _steps(root: int) -> tuple[tuple[int, int, int, bool], ...]:
    """Edge, source, target and whether parent to child, in the order to follow from a root."""
    known, steps = {root}, []
    upwards = [(edge, *CHAIN[edge][::-1], False) for edge in reversed(range(len(CHAIN)))]
    downwards = [(edge, *CHAIN[edge], True) for edge in range(len(CHAIN))]
    for step in upwards + downwards:
        _, source, target, _ = step
        if source in known and target not in known:
            known.add(target)
            steps.append(step)
    return tuple(steps)


def _near(one: Floats, other: Floats) -> npt.NDArray[np.bool_]:
    """Whether two key points of the same kind are within ``NMS_RADIUS``."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(((one - other) ** 2).sum(axis=-1) <= NMS_RADIUS**2)


def _own_scores(points: Floats, scores: Floats) -> Floats:
    """Each pose's mean over 17 of the scores that no earlier pose claims by a near key point."""
    near = _near(points[:, np.newaxis], points)  # pose x pose x 17
    claimed = (near & np.tri(len(points), k=-1, dtype=bool)[..., np.newaxis]).any(axis=1)
    return np.asarray(np.where(claimed, 0, scores).sum(axis=1) / len(KEYPOINTS), np.float32)
