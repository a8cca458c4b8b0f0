"""The weights of a TFLite file, where they are in it; other constants stay in the skeleton."""

from pathlib import Path

import numpy as np

from splitbed.errors import UsageError
from splitbed.graphs.tflite.file import parse, places_of
from splitbed.graphs.tflite.outline import is_weight
from splitbed.graphs.tflite.tables import WIRE_TYPES, Tensor, type_name
from splitbed.model_data.file import Layout, ModelFile, Place, taken_apart
from splitbed.tensors import TensorInfo

FORM = "tflite"


def read(path: Path) -> ModelFile:
    """The file ``path``; raises as :func:`splitbed.graphs.tflite.file.parse`.

    A buffer that several tensors share goes by the name of the first.
    """
    model = parse(path)
    data = np.memmap(path, np.uint8, "r")
    places: dict[int, Place] = {}
    weights = [*filter(is_weight, model.subgraphs[0].tensors)]
    found = places_of(data, [one.buffer for one in weights])
    for tensor, (begin, end) in zip(weights, found, strict=True):
        if begin < end:
            places.setdefault(begin, _place(tensor, begin, end - begin))
    try:
        return taken_apart(FORM, data, list(places.values()))
    except ValueError as error:
        raise UsageError(f"cannot take {path} apart: {error}") from error


def layout(path: Path) -> Layout:
    """Where weights are in the file ``path``; raises as :func:`read`."""
    return read(path).layout


def _place(tensor: Tensor, offset: int, nbytes: int) -> Place:
    """As bytes, where its numbers have no name of ours or are not all there."""
    name = tensor.name.decode()
    shape = () if tensor.shape is None else tuple(int(dim) for dim in tensor.shape)
    info = TensorInfo(name, WIRE_TYPES.get(type_name(tensor), ""), shape)
    if info.datatype and info.nbytes == nbytes:
        return Place(info, offset)
    return Place(TensorInfo(name, "UINT8", (nbytes,)), offset)
