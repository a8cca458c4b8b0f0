"""A state in a ``.safetensors`` file: a header in JSON, then the tensors."""

import json
from pathlib import Path

import numpy as np
import safetensors.numpy

from splitbed.errors import UsageError
from splitbed.media.files import check_plain
from splitbed.model_data.file import Array, Layout, ModelFile, Place, State, info_of, taken_apart
from splitbed.tensors import TensorInfo

FORM = "safetensors"
_TYPES = {
    "BOOL": "BOOL", "U8": "UINT8", "I8": "INT8", "U16": "UINT16", "I16": "INT16", "U32": "UINT32",
    "I32": "INT32", "U64": "UINT64", "I64": "INT64", "F16": "FP16", "F32": "FP32", "F64": "FP64",
    "BF16": "UINT16", "F8_E4M3": "UINT8", "F8_E5M2": "UINT8",
}  # fmt: skip
"""The format's types; what we have no name for is carried as bits."""


def model_of(state: State) -> ModelFile:
    """A state as a file of its own; UsageError for a datatype that the format lacks."""
    for name, array in state.items():
        info_of(name, array)
    whole = {name: np.asarray(array, order="C") for name, array in state.items()}
    return _parsed(np.frombuffer(safetensors.numpy.save(whole), np.uint8))


def read(path: Path) -> ModelFile:
    """The file ``path``; UsageError where it is damaged or another."""
    check_plain(path)
    try:
        with safetensors.safe_open(path, framework="numpy"):  # which checks all of its header
            pass
        return _parsed(np.memmap(path, np.uint8, "r"))
    except (OSError, safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read {path} as .safetensors: {error}") from error


def layout(path: Path) -> Layout:
    """Where tensors are in the file ``path``; raises as :func:`read`."""
    return read(path).layout


def _parsed(data: Array) -> ModelFile:
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    header = json.loads(data[8:begin].tobytes())
    header.pop("__metadata__", None)
    places = [
        Place(TensorInfo(name, _TYPES[row["dtype"]], tuple(row["shape"])),
              begin + row["data_offsets"][0])
        for name, row in header.items()
    ]  # fmt: skip
    return taken_apart(FORM, data, places)
