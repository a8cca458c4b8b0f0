"""The initialisers of an ONNX file.

A file that Splitbed writes has the graph first and each initialiser behind it, as a message of its
own: protobuf merges them (its encoding guide, "Last One Wins"), so the file is one valid model,
and can be written while the weights arrive.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from splitbed.errors import UsageError
from splitbed.graphs.onnx import weights
from splitbed.graphs.onnx.graph import parse, parse_outline
from splitbed.graphs.onnx.outline import raw_data
from splitbed.model_data.file import Array, Layout, ModelFile, Place, laid_out
from splitbed.tensors import DATATYPES, NUMPY_TYPES, TensorInfo

FORM = "onnx"
_STAY = {TensorProto.STRING, TensorProto.INT64, TensorProto.UNDEFINED}
"""Texts, and what are shapes and indices."""
_MODEL_GRAPH, _GRAPH_INITIALIZER, _TENSOR_RAW_DATA = 7, 5, 9  # numbers of fields in onnx.proto
_BITS_OF = {1: "UINT8", 2: "UINT16", 4: "UINT32", 8: "UINT64"}


def read(path: Path) -> ModelFile:
    """The file ``path``, and what it keeps in files beside it.

    Raises:
        UsageError: it is damaged, refers to a file that is missing, or is over 2 GB.
    """
    return of_model(parse(path), path)


def layout(path: Path) -> Layout | None:
    """Where weights are in the file ``path``, all of them raw; None where some are not.

    Raises UsageError as :func:`read`, for what is not in the weights themselves.
    """
    model = parse_outline(path)
    weights.refuse_external(model)
    places = list[Place]()
    try:
        for tensor, found in zip(model.graph.initializer, raw_data(path), strict=True):
            if _stays(tensor):
                continue
            ((begin, end),) = found
            places.append(Place(_info(tensor, end - begin), begin))
            if tensor.data_location == TensorProto.EXTERNAL or places[-1].end != end:
                return None
        return laid_out(FORM, path.stat().st_size, places)
    except (KeyError, ValueError):  # read() has words for it, or brings it into order
        return None


def of_model(model: onnx.ModelProto, path: Path) -> ModelFile:
    """A model that was read from ``path``, and loses its initialisers by this."""
    weights.refuse_external(model)
    stay, heads = list[TensorProto](), list[bytes]()
    state: dict[str, Array] = {}
    infos: list[TensorInfo] = []
    for tensor in model.graph.initializer:
        if _stays(tensor):
            stay.append(tensor)
            continue
        data = np.frombuffer(weights.content(tensor, path.parent), np.uint8)
        infos.append(info := _info(tensor, data.size))
        state[info.name] = data.view(NUMPY_TYPES[info.datatype]).reshape(info.shape)
        heads.append(_head(tensor, data.size))
    del model.graph.initializer[:]
    model.graph.initializer.extend(stay)
    graph = model.SerializeToString(deterministic=True)
    offset, places = len(graph), list[Place]()
    for info, head in zip(infos, heads, strict=True):
        places.append(Place(info, offset + len(head)))
        offset = places[-1].end
    layout = Layout(FORM, offset - sum(info.nbytes for info in infos), tuple(places))
    if layout.nbytes > weights.MODEL_LIMIT_BYTES:
        raise UsageError(f"{path} with its weights is over ONNX's limit of 2 GB")
    try:
        layout.check()
    except ValueError as error:
        raise UsageError(f"cannot take {path} apart: {error}") from error
    return ModelFile(layout, b"".join([graph, *heads]), state)


def _stays(tensor: TensorProto) -> bool:
    """Whether it is no weight, and stays in the graph."""
    external = tensor.data_location == TensorProto.EXTERNAL
    small = not tensor.dims or 0 in tensor.dims
    return (tensor.data_type in _STAY or small) and not external


def _info(tensor: TensorProto, nbytes: int) -> TensorInfo:
    """Numbers that have no name of ours are carried as bits."""
    shape = tuple(tensor.dims)
    if tensor.data_type in weights.PACKED:
        return TensorInfo(tensor.name, "UINT8", (nbytes,))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    return TensorInfo(tensor.name, DATATYPES.get(dtype) or _BITS_OF[dtype.itemsize], shape)


def _head(tensor: TensorProto, nbytes: int) -> bytes:
    """What stands before a tensor's bytes: a model with a graph with one initialiser, as far."""
    head = TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    inner = head.SerializeToString(deterministic=True) + _field(_TENSOR_RAW_DATA, nbytes)
    initializer = _field(_GRAPH_INITIALIZER, len(inner) + nbytes) + inner
    return _field(_MODEL_GRAPH, len(initializer) + nbytes) + initializer


def _field(number: int, nbytes: int) -> bytes:
    """Tag and length of a field of that many bytes."""
    length, digits = nbytes, bytearray()
    while length >= 0x80:
        digits.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *digits, length])
