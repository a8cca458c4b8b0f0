"""A model as ONNX Runtime sees it, before it is stored: the judge of what can be run."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import onnx

from splitbed.errors import UsageError
from splitbed.graphs.onnx import weights as weights_file
from splitbed.graphs.onnx.weights import Weights
from splitbed.tensors import Tensors

if TYPE_CHECKING:
    import onnxruntime as ort


@contextmanager
def opened(
    model: onnx.ModelProto, weights: Weights, outputs: Sequence[str] | None = None
) -> "Iterator[ort.InferenceSession]":
    """A session on ``model``, which gives the tensors ``outputs``, its own where None.

    Raises UsageError where ONNX Runtime cannot run it.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    if outputs is not None:
        del probe.graph.output[:]
        probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    with TemporaryDirectory(prefix="splitbed-") as folder:
        path = Path(folder, "probe.onnx")
        weights_file.write(weights, path.with_name(weights_file.FILE))
        path.write_bytes(probe.SerializeToString())
        yield open_file(path, probe)


def open_file(path: Path, model: onnx.ModelProto) -> "ort.InferenceSession":
    """A session on the file ``path``, which holds ``model``; UsageError where there can be none."""
    import onnxruntime as ort  # late: a quarter of a second, seldom needed

    from splitbed.runtime.onnx import reason

    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        return ort.InferenceSession(
            path, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise UsageError(refusal(reason(error), model)) from error


def run(session: "ort.InferenceSession", feeds: Tensors) -> list[object] | None:
    """What ``session`` gives; None where it fails on these inputs."""
    try:
        return list(session.run(None, feeds))
    except Exception:  # ONNX Runtime's errors share no other base
        return None


def made_up(graph: onnx.GraphProto, fill: int | None = None) -> Tensors:
    """Static inputs of ``graph``: all ``fill``; None for noise, and ones as integers."""
    noise, feeds = np.random.default_rng(0), {}
    for info in graph.input:
        shape = [dim.dim_value for dim in info.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        if fill is None and dtype.kind == "f":
            feeds[info.name] = noise.standard_normal(shape).astype(dtype)
        else:
            feeds[info.name] = np.full(shape, 1 if fill is None else fill, dtype)
    return feeds


def refusal(said: str, model: onnx.ModelProto) -> str:
    """What ONNX Runtime says against ``model``, with the node where it lacks the operator."""
    if lacking := re.search(r"(\S*?):(\w+)\(-?\d+\) is not a registered function/op", said):
        for node in model.graph.node:
            if (node.domain, node.op_type) == lacking.groups():
                return (
                    f"ONNX Runtime has no operator {node.op_type} of the domain "
                    f"{node.domain or 'ai.onnx'!r}, which node {node.name!r} needs: export the "
                    "model without it, or made of operators that the runtime has"
                )
    return f"ONNX Runtime cannot run it: {said}"
