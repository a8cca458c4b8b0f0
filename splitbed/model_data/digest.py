"""What names a state: the sha256 of its tensors, whatever their order and the file they are in."""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from splitbed.model_data.file import Array, State, info_of
from splitbed.tensors import TensorInfo

if TYPE_CHECKING:
    from hashlib import _Hash


def digest(state: State) -> str:
    """The name of ``state``, in hexadecimal digits."""
    hashes = []
    for name, array in state.items():
        each = tensor_hash(info_of(name, array))
        each.update(raw(array))
        hashes.append((name, each.digest()))
    return of_tensors(hashes)


def tensor_hash(info: TensorInfo) -> "_Hash":
    """The sha256 of a tensor, to be updated with its bytes."""
    return hashlib.sha256(repr((info.name, info.datatype, info.shape)).encode())


def of_tensors(hashes: Iterable[tuple[str, bytes]]) -> str:
    """The name of the state whose tensors, by name, have these hashes."""
    return hashlib.sha256(b"".join(each for _, each in sorted(hashes))).hexdigest()


def raw(array: Array) -> memoryview:
    """The array's bytes, little-endian and in C order; copied only where it is not so."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8).data
