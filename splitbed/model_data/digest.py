"""What names a state: the sha256 of its tensors, whatever their order and the file they are in."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from splitbed.model_data.file import Array, State, info_of
from splitbed.tensors import TensorInfo

if TYPE_CHECKING:
    from hashlib import _Hash


def digest(state: State) -> str:
    """The name of ``state``, in hexadecimal digits."""
    return of_tensors((info.name, each) for each, (info, _) in _hashed(state))


Held = Mapping[bytes, tuple[TensorInfo, Array]]
"""Tensors by their hashes, which name them and their values."""


def by_hash(state: State) -> Held:
    """The tensors of ``state``, as they are asked for by who need not get them again."""
    return dict(_hashed(state))


def _hashed(state: State) -> Iterator[tuple[bytes, tuple[TensorInfo, Array]]]:
    for name, array in state.items():
        info = info_of(name, array)
        yield hash_of(info, [array]), (info, array)


def hash_of(info: TensorInfo, blocks: Iterable[Array]) -> bytes:
    """The sha256 of a tensor that comes in these blocks."""
    found = tensor_hash(info)
    for block in blocks:
        found.update(raw(block))
    return found.digest()


def tensor_hash(info: TensorInfo) -> "_Hash":
    """The sha256 of a tensor, to be updated with its bytes."""
    return hashlib.sha256(repr((info.name, info.datatype, info.shape)).encode())


def of_tensors(hashes: Iterable[tuple[str, bytes]]) -> str:
    """The name of the state whose tensors, by name, have these hashes."""
    return hashlib.sha256(b"".join(each for _, each in sorted(hashes))).hexdigest()


def raw(array: Array) -> memoryview:
    """The array's bytes, little-endian and in C order; copied only where it is not so."""
    return np.asarray(array, order="C").reshape(-1).view(np.uint8).data
