"""Trained weights for PoseNet, from a .tflite, .onnx or .npz file.

By name, in the spellings of the published files (``MobilenetV1/Conv2d_0/weights``,
``Conv2d_1_depthwise/depthwise_weights``, ``MobilenetV1__heatmap_2__biases``). Where not all names
are there and the file holds a graph, by structure: the trunk's convolutions in the file's order,
then the heads by their channels, of which the two displacements must say which is which.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs import onnx_graph, tflite_file
from splitbed.tensors import NUMPY_TYPES
from splitbed.zoo import checkpoints
from splitbed.zoo.checkpoints import State
from splitbed.zoo.layers import Floats, Weights
from splitbed.zoo.posenet_layers import HEADS, WIDTHS, PoseLayer, layers

AXES = {
    "OIHW": ((0, 1, 2, 3), (0, 1, 2, 3)),
    "OHWI": ((0, 3, 1, 2), (3, 0, 1, 2)),
    "HWIO": ((3, 2, 0, 1), (2, 3, 0, 1)),
}
"""Where a file has a weight's axes O, I, H and W; the second is for a depthwise one."""

KINDS = ("weights", "biases")
_LAYER = "|".join((r"Conv2d_0|Conv2d_\d+_(?:depth|point)wise", *HEADS))
_NAME = re.compile(rf"(?:.*[/_])?({_LAYER})[/_]+(?:depthwise_)?(weights|biases)(?:/read)?(?::0)?")
_SIDES = {"displacement_fwd_2": "fwd|forward", "displacement_bwd_2": "bwd|backward"}


@dataclass(frozen=True)
class Convolution:
    """Names of its weight and its bias (empty if it has none), and all names around it."""

    weight: str
    bias: str
    context: str


@dataclass(frozen=True)
class Held:
    """What a file holds: arrays by name, and in a graph its convolutions in order."""

    arrays: State
    convolutions: Sequence[Convolution]
    orders: Sequence[str]
    """Keys of ``AXES`` that its weights may have, the usual one first."""


def load(path: Path, width: float) -> tuple[Weights, str]:
    """The weights in ``path`` for PoseNet of ``width``, and a line that says what they are.

    Raises:
        UsageError: no such width; or the file cannot be read or does not fit: every misfit is
            named, and the width that it has.
    """
    rows = layers(width)
    held = _READERS[checkpoints.suffix(path, _READERS)](path)
    names = _find(held, rows)
    state = {name: held.arrays[source] for name, source in names.items()}
    expected: dict[str, tuple[int, ...]] = {}
    for row in rows:
        shapes = _shapes(row, held)
        found = state.get(f"{row.name}/weights")
        fits = found is not None and found.shape in shapes
        expected[f"{row.name}/weights"] = found.shape if fits else next(iter(shapes))
        expected[f"{row.name}/biases"] = (row.outputs,)
    used = set(names.values())
    unused = [n for n, a in held.arrays.items() if a.ndim and a.dtype.kind == "f" and n not in used]
    misfits = checkpoints.misfits(state, expected)
    checkpoints.check(path, misfits and [*_width_hint(state, width), *misfits], unused)
    return {row.name: _weights(row, held, state) for row in rows}, checkpoints.origin(path, unused)


def _find(held: Held, rows: Sequence[PoseLayer]) -> dict[str, str]:
    """Our name -> the file's, of all weights and biases or of those that can be told."""
    named: dict[str, str] = {}
    for name in held.arrays:
        if match := _NAME.fullmatch(name):
            layer, kind = match.groups()
            prefix = "MobilenetV1/" if layer in HEADS else ""
            named.setdefault(f"{prefix}{layer}/{kind}", name)
    wanted = [f"{row.name}/{kind}" for row in rows for kind in KINDS]
    if any(name not in named for name in wanted):
        pairs = _by_structure(held, rows)
        if pairs:
            return {
                f"{row.name}/{kind}": name
                for row, convolution in pairs
                for kind, name in zip(KINDS, (convolution.weight, convolution.bias), strict=True)
            }
    return {name: named[name] for name in wanted if name in named}
