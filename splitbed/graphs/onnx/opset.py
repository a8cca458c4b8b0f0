"""Files of old opsets, whose operators keep in attributes what now are inputs: converted."""

import numpy as np
import onnx
from onnx import version_converter

from splitbed.errors import UsageError
from splitbed.graphs.onnx import trial
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.layers import drawing
from splitbed.graphs.onnx.normal import normalise
from splitbed.graphs.onnx.weights import Weights

OLDEST_OPSET = 11
_PRELU_BROADCASTS = 7
MAX_DIFFERENCE = 1e-3
"""Of what the converted model gives from what the original gives, as clause 10.2.8 allows parts."""


def opset(model: onnx.ModelProto) -> int | None:
    """The opset of ONNX's own operators that ``model`` is of; None where it uses none."""
    versions = (o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    return max(versions, default=None)


def modernise(model: onnx.ModelProto, weights: Weights) -> str:
    """Convert ``model``, in normal form and with static inputs, to opset 11 where it is older.

    What was done, in a sentence; empty where nothing was. Raises UsageError where the conversion
    fails, or what it gives differs from what ONNX Runtime makes of the original.
    """
    old = opset(model)
    if old is None or old >= OLDEST_OPSET:
        return ""
    original = onnx.ModelProto()
    original.CopyFrom(model)
    try:
        converted = version_converter.convert_version(weights_file.as_inputs(model), OLDEST_OPSET)
        if old < _PRELU_BROADCASTS:
            _spread_slopes(converted)
    except Exception as error:  # the converter's errors share no other base
        raise UsageError(
            f"the model is of opset {old}; {OLDEST_OPSET} is the oldest that can be cut, and "
            f"onnx.version_converter cannot convert it: {error}; export it again, of a newer opset"
        ) from error
    _take_over(model, converted)
    told = f"of opset {old}, converted to {OLDEST_OPSET}"
    before, after = _run(original, weights), _run(model, weights)
    if before is None:
        return f"{told} and not compared, as ONNX Runtime does not run the original"
    if drawing(model.graph):
        return f"{told} and not compared, as random numbers are drawn in it"
    worst = _difference(before, after) if after is not None else np.inf
    if worst > MAX_DIFFERENCE:
        raise UsageError(
            f"the model is of opset {old}; converted to {OLDEST_OPSET}, it gives results that "
            f"differ by {worst:.2g} from the original's; export it again, of a newer opset"
        )
    return told


def _take_over(model: onnx.ModelProto, converted: onnx.ModelProto) -> None:
    """Give ``model`` the opset and nodes of ``converted``, and the weights that are new there."""
    known = {tensor.name for tensor in model.graph.initializer}
    made = [tensor for tensor in converted.graph.initializer if tensor.name not in known]
    del model.opset_import[:], model.graph.node[:]
    model.opset_import.extend(converted.opset_import)
    model.graph.node.extend(converted.graph.node)
    model.graph.initializer.extend(made)
    normalise(model)


def _spread_slopes(model: onnx.ModelProto) -> None:
    """Give slopes of channels the rank that PRelu asks for from opset 7 on, where it broadcasts."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    known = [*inferred.value_info, *inferred.input, *inferred.output]
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in known}
    ranks |= {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        axes = list(range(1, ranks.get(node.input[0], 2) - 1)) if node.input else []
        if node.op_type == "PRelu" and ranks.get(node.input[1]) == 1 and axes:
            spread = f"{node.output[0]}/slope"
            slope = onnx.helper.make_node("Unsqueeze", [node.input[1]], [spread], axes=axes)
            nodes.append(slope)
            node.input[1] = spread
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _run(model: onnx.ModelProto, weights: Weights) -> list[object] | None:
    """What ``model`` makes of noise; None where ONNX Runtime does not run it."""
    try:
        with trial.opened(model, weights) as session:
            return trial.run(session, trial.made_up(model.graph))
    except UsageError:
        return None


def _difference(left: list[object], right: list[object]) -> float:
    """Largest difference of results, absolute below 1, else relative."""
    return max((_apart(a, b) for a, b in zip(left, right, strict=True)), default=0.0)


def _apart(left: object, right: object) -> float:
    if not isinstance(left, np.ndarray) or not isinstance(right, np.ndarray):
        return 0.0  # sequences: such a model is refused for them
    if left.shape != right.shape or left.dtype != right.dtype:
        return np.inf
    if left.dtype.kind not in "fiu":
        return 0.0 if np.array_equal(left, right) else np.inf
    a, b = left.astype(np.float64), right.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0, np.abs(a - b) / np.maximum(np.abs(a), 1))
    return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
