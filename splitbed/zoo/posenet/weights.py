"""Trained weights for PoseNet, from a .tflite, .onnx or .npz file.

By name, in the spellings of the published files (``MobilenetV1/Conv2d_0/weights``,
``Conv2d_1_depthwise/depthwise_weights``, ``MobilenetV1__heatmap_2__biases``). Where not all names
are there, and the file holds a graph of 31 convolutions, by structure: the trunk in the file's
order, then the heads by their channels, of which the displacements must say which is which.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, numpy_helper

from splitbed.errors import UsageError
from splitbed.graphs.onnx import graph as onnx_graph
from splitbed.graphs.tflite.file import parse
from splitbed.graphs.tflite.tables import WIRE_TYPES, operator_name, type_name
from splitbed.tensors import NUMPY_TYPES
from splitbed.zoo import checkpoints
from splitbed.zoo.checkpoints import State
from splitbed.zoo.layers import Floats, Weights
from splitbed.zoo.posenet.layers import HEADS, WIDTHS, PoseLayer, layers

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
            named, and the width that the file has.
    """
    rows = layers(width)
    held = _READERS[checkpoints.suffix(path, _READERS)](path)
    names, doubts = _find(held, rows, path)
    state = {name: held.arrays[source] for name, source in names.items()}
    expected = {name: shape for row in rows for name, shape in _shapes(row, held, state).items()}
    used = set(names.values())
    unused = [n for n, a in held.arrays.items() if a.ndim and a.dtype.kind == "f" and n not in used]
    if misfits := checkpoints.misfits(state, expected):
        _check_width(path, state, width)
        misfits = [*doubts, *misfits]
    checkpoints.check(path, misfits, unused)
    return {row.name: _weights(row, held, state) for row in rows}, checkpoints.origin(path, unused)


def _find(held: Held, rows: Sequence[PoseLayer], path: Path) -> tuple[dict[str, str], list[str]]:
    """Our names -> the file's, as far as they can be told, and what cannot."""
    named = _by_name(held, path)
    wanted = [f"{row.name}/{kind}" for row in rows for kind in KINDS]
    names = {name: named[name] for name in wanted if name in named}
    if len(names) == len(wanted):
        return names, []
    if len(held.convolutions) == len(rows):
        return _by_structure(held, rows)
    if held.convolutions and not names:
        raise UsageError(
            f"the weights in {path} are not PoseNet's: it has {len(held.convolutions)}"
            f" convolutions, not {len(rows)}, and none of PoseNet's names"
        )
    return names, []


def _by_name(held: Held, path: Path) -> dict[str, str]:
    """Our names -> the file's, where they are the same but for the spelling."""
    names: dict[str, str] = {}
    for name in held.arrays:
        if match := _NAME.fullmatch(name):
            layer, kind = match.groups()
            ours = f"MobilenetV1/{layer}/{kind}" if layer in HEADS else f"{layer}/{kind}"
            if ours in names:
                raise UsageError(
                    f"cannot tell which are the {ours} in {path}: {names[ours]} or {name}?"
                    " Give a file with one of them"
                )
            names[ours] = name
    return names


def _by_structure(held: Held, rows: Sequence[PoseLayer]) -> tuple[dict[str, str], list[str]]:
    """As :func:`_find`, by the order of the convolutions and the channels of the last four."""
    trunk, heads = rows[: -len(HEADS)], rows[-len(HEADS) :]
    pairs = list(zip(trunk, held.convolutions, strict=False))
    doubts = []
    for head in heads:
        of_shape = [
            convolution
            for convolution in held.convolutions[len(trunk) :]
            if held.arrays[convolution.weight].shape in _orders(head, held)
        ]
        side = _SIDES.get(head.output, "")
        found = [convolution for convolution in of_shape if re.search(side, convolution.context)]
        if len(found) == 1:
            pairs.append((head, found[0]))
        elif of_shape:
            doubts.append(
                f"{len(of_shape)} heads have {head.outputs} channels, and their names do not say"
                f" which is {head.output}"
            )
    found_names = {
        f"{row.name}/{kind}": name
        for row, convolution in pairs
        for kind, name in zip(KINDS, (convolution.weight, convolution.bias), strict=True)
        if name in held.arrays
    }
    return found_names, doubts


def _orders(row: PoseLayer, held: Held) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Shapes that the file may give the weight -> where its axes O, I, H and W then are."""
    axes = (AXES[order][row.depthwise] for order in held.orders)
    return {tuple(row.shape[where.index(place)] for place in range(4)): where for where in axes}


def _shapes(row: PoseLayer, held: Held, state: State) -> dict[str, tuple[int, ...]]:
    """What the file must hold; of several shapes of a weight the one it has, else the usual."""
    weight, bias = (f"{row.name}/{kind}" for kind in KINDS)
    shapes = [*_orders(row, held)]
    found = state[weight].shape if weight in state else ()
    return {weight: found if found in shapes else shapes[0], bias: (row.outputs,)}


def _weights(row: PoseLayer, held: Held, state: State) -> tuple[Floats, Floats]:
    weight, bias = (state[f"{row.name}/{kind}"].astype(np.float32) for kind in KINDS)
    axes = _orders(row, held)[weight.shape]
    return np.ascontiguousarray(weight.transpose(axes)), bias


def _check_width(path: Path, state: State, width: float) -> None:
    """Say it at once where the first layer has another width's channels: all are wrong then."""
    first = state.get("Conv2d_0/biases", np.empty(0))
    for other in WIDTHS:
        if other != width and first.shape == (layers(other)[0].outputs,):
            raise UsageError(
                f"the weights in {path} are of width {other:g}, not {width:g}:"
                f" give --width {other:g}"
            )


def _read_npz(path: Path) -> Held:
    return Held(checkpoints.read_npz(path), (), ("HWIO", "OIHW"))


def _read_onnx(path: Path) -> Held:
    graph = onnx_graph.parse(path).graph
    arrays = {}
    for tensor in graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise UsageError(
                f"the weights of {path} are in another file, {tensor.name} for one:"
                " put them into it with onnx.save(onnx.load(FILE), OTHER)"
            )
        try:
            arrays[tensor.name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise UsageError(f"cannot read {tensor.name} in {path}: {error}") from error
    convolutions = [
        Convolution(weight, bias, " ".join((node.name, *node.input, *node.output)))
        for node in graph.node
        if node.op_type == "Conv"
        for weight, bias in [(*node.input, "", "")[1:3]]
        if weight in arrays
    ]
    return Held(arrays, convolutions, ("OIHW",))


def _read_tflite(path: Path) -> Held:
    model = parse(path)
    graph = model.subgraphs[0]
    names = [tensor.name.decode() for tensor in graph.tensors]
    arrays = {}
    for name, tensor in zip(names, graph.tensors, strict=True):
        buffer, kind = model.buffers[tensor.buffer], type_name(tensor)
        known = kind in WIRE_TYPES and not tensor.sparsity
        if buffer.data is not None and len(buffer.data) and known:
            dtype = np.dtype(NUMPY_TYPES[WIRE_TYPES[kind]])
            shape = [] if tensor.shape is None else tensor.shape
            arrays[name] = np.frombuffer(buffer.data.tobytes(), dtype).reshape(shape)
    halves: dict[str, str] = {}
    convolutions = []
    for operator in graph.operators:
        read = [names[place] if place >= 0 else "" for place in operator.inputs]
        written = [names[place] for place in operator.outputs]
        match operator_name(model, operator):
            case "DEQUANTIZE":  # of weights kept in half precision
                halves[written[0]] = read[0]
            case "CONV_2D" | "DEPTHWISE_CONV_2D":
                weight, bias = (halves.get(name, name) for name in (*read, "")[1:3])
                if weight in arrays:
                    convolutions.append(Convolution(weight, bias, " ".join((*read, *written))))
    return Held(arrays, convolutions, ("OHWI",))


_READERS: dict[str, Callable[[Path], Held]] = {
    ".tflite": _read_tflite,
    ".onnx": _read_onnx,
    ".npz": _read_npz,
}
