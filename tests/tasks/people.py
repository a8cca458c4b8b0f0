"""Made-up outputs of PoseNet with persons at known places, and the real model's outputs."""

import numpy as np

from splitbed.tasks.pose import CHAIN
from splitbed.tensors import TensorInfo, Tensors

INPUTS = (TensorInfo("image", "FP32", (1, 3, 257, 257)),)

# A person's key points, x and y in pixels from the nose: each in a cell of its own at stride 16.
BODY = np.array(
    [
        [0, 0], [16.25, -16.5], [-16.75, -16], [32, 0.25], [-32, 0],
        [24, 32], [-24, 32.5], [40, 56], [-40, 56], [44.5, 80], [-44.5, 80],
        [16, 88], [-16, 88], [20, 120.5], [-20, 120], [24, 152], [-24, 152.75],
    ]
)  # fmt: skip


def person(x: float, y: float, size: float = 1) -> np.ndarray:
    """Key points 17x2 of a person with the nose at x, y."""
    return np.array([x, y]) + BODY * size


def outputs(
    *people: np.ndarray,
    scores: dict[int, float] | None = None,
    stride: int = 16,
    grid: tuple[int, int] = (17, 17),
) -> Tensors:
    """Outputs NCHW over `grid` (width, height): 0.9 at the cells of key points, else 1e-4.

    `scores` has other scores by key point, of the first person.  Offsets and displacements are
    right in the 3x3 cells about each key point and 0 elsewhere.
    """
    width, height = grid
    heat = np.full((17, height, width), 1e-4)
    offsets = np.zeros((2, 17, height, width))
    forward, backward = np.zeros((2, 2, 16, height, width))
    for index, points in enumerate(people):
        cells = np.floor(points / stride + 0.5).astype(int)
        for part, (x, y) in enumerate(points):
            column, row = cells[part]
            heat[part, row, column] = (scores or {}).get(part, 0.9) if index == 0 else 0.8
            for r in range(max(row - 1, 0), min(row + 2, height)):
                for c in range(max(column - 1, 0), min(column + 2, width)):
                    offsets[:, part, r, c] = y - r * stride, x - c * stride
        for edge, (parent, child) in enumerate(CHAIN):
            step = (points[child] - points[parent])[::-1]
            forward[:, edge, cells[parent][1], cells[parent][0]] = step
            backward[:, edge, cells[child][1], cells[child][0]] = -step
    made = {
        "heatmap_2": np.log(heat / (1 - heat)),
        "offset_2": offsets.reshape(34, height, width),
        "displacement_fwd_2": forward.reshape(32, height, width),
        "displacement_bwd_2": backward.reshape(32, height, width),
    }
    return {name: value[np.newaxis].astype(np.float32) for name, value in made.items()}


def noise(seed: int) -> Tensors:
    """Outputs that mean nothing, with many strong key points."""
    rng = np.random.default_rng(seed)
    channels = {"heatmap": 17, "offset": 34, "displacement_fwd": 32, "displacement_bwd": 32}
    return {
        f"{name}_2": rng.normal(0, 1.5 if name == "heatmap" else 25, (1, count, 17, 17)).astype(
            np.float32
        )
        for name, count in channels.items()
    }
