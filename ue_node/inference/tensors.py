"""The tensors of a request, and of its answer, in the words of the Open Inference Protocol.

A request has them raw or typed; they are checked against what the model takes before memory is
taken, and answers are raw.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from splitbed.errors import NodeError, shorten
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors
from splitbed.v1.inference_pb2 import ModelInferRequest, ModelInferResponse
from splitbed.v1.tensors_pb2 import Tensor, TensorHeader
from splitbed.wire import MAX_TENSORS, believed

_FIELDS: Mapping[str, tuple[str, npt.DTypeLike]] = {
    "BOOL": ("bool_contents", np.bool_),
    "INT8": ("int_contents", np.int32),
    "INT16": ("int_contents", np.int32),
    "INT32": ("int_contents", np.int32),
    "INT64": ("int64_contents", np.int64),
    "UINT8": ("uint_contents", np.uint32),
    "UINT16": ("uint_contents", np.uint32),
    "UINT32": ("uint_contents", np.uint32),
    "UINT64": ("uint64_contents", np.uint64),
    "FP32": ("fp32_contents", np.float32),
    "FP64": ("fp64_contents", np.float64),
}
"""Where values of a datatype are, and as what they travel; those of others are raw alone."""


def tensors_of(
    request: ModelInferRequest, expected: Sequence[TensorInfo], most_bytes: int
) -> Tensors:
    """What a request has for a model that takes `expected`; raw ones in place, and read-only.

    Raises NodeError for other tensors, for more or fewer values than they have, for values that
    their datatype cannot hold, and for what asks for more than `most_bytes`.
    """
    if max(len(request.inputs), len(request.outputs)) > MAX_TENSORS:
        raise NodeError(
            f"refused {len(request.inputs)} inputs and {len(request.outputs)} outputs: at most "
            f"{MAX_TENSORS} of each are taken"
        )
    given = request.inputs
    told = [one.parameters for one in given] + [one.parameters for one in request.outputs]
    if request.parameters or any(told):
        raise NodeError("refused a request with parameters: none are known here")
    headers = [TensorHeader(name=t.name, datatype=t.datatype, shape=t.shape) for t in given]
    infos = believed(headers, expected, most_bytes)
    if not (raw := request.raw_input_contents):
        return {info.name: _typed(info, one) for info, one in zip(infos, given, strict=True)}
    if len(raw) != len(infos) or any(one.HasField("contents") for one in given):
        raise NodeError(
            f"refused {len(raw)} raw contents of {len(infos)} inputs: each has one, and no typed "
            "contents beside them"
        )
    return {info.name: _raw(info, data) for info, data in zip(infos, raw, strict=True)}


def _raw(info: TensorInfo, data: bytes) -> npt.NDArray[np.generic]:
    if len(data) != info.nbytes:
        raise NodeError(
            f"refused the raw contents of {info.name}: {len(data)} bytes, and "
            f"{info.datatype}{list(info.shape)} has {info.nbytes}"
        )
    return np.frombuffer(data, NUMPY_TYPES[info.datatype]).reshape(info.shape)


def _typed(info: TensorInfo, tensor: ModelInferRequest.InferInputTensor) -> npt.NDArray[np.generic]:
    if info.datatype not in _FIELDS:
        raise NodeError(f"refused {info.name}: {info.datatype} has no typed contents, send it raw")
    field, travels = _FIELDS[info.datatype]
    values, count = getattr(tensor.contents, field), math.prod(info.shape)
    others = [one.name for one, _ in tensor.contents.ListFields() if one.name != field]
    if len(values) != count or others:
        raise NodeError(
            f"refused the contents of {info.name}: {len(values)} values in {field}"
            f"{' beside ' + others[0] if others else ''}, and {info.datatype}{list(info.shape)} "
            f"has {count} there"
        )
    wide = np.fromiter(values, travels, count)
    array = wide.astype(NUMPY_TYPES[info.datatype])
    if array.dtype.kind in "iu" and not np.array_equal(array, wide):
        raise NodeError(f"refused the contents of {info.name}: not all are {info.datatype}")
    return array.reshape(info.shape)


def outputs_of(request: ModelInferRequest, there: Sequence[str]) -> list[str]:
    """The outputs that a request asks for, of those that are `there`; all where it names none.

    Raises NodeError for one that there is not, or that is asked for twice.
    """
    wanted = [one.name for one in request.outputs[: MAX_TENSORS + 1]] or [*there]
    if strange := [name for name in wanted if name not in there]:
        raise NodeError(
            f"refused to give the output {shorten(strange[0])!r}: there are {', '.join(there)}"
        )
    if len({*wanted}) < len(wanted):
        raise NodeError("refused to give an output twice")
    return wanted


def answer_of(
    request: ModelInferRequest, wanted: Sequence[str], result: Sequence[Tensor]
) -> ModelInferResponse:
    """The answer to a request of what came out: the outputs that are `wanted`, in their order."""
    there = {one.info.name: one for one in result}
    answer = ModelInferResponse(id=request.id)
    for one in map(there.__getitem__, wanted):
        info = one.info
        answer.outputs.add(name=info.name, datatype=info.datatype, shape=info.shape)
        answer.raw_output_contents.append(one.data)
    return answer
