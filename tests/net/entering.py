"""A function on a thread inside a namespace of root's: what it makes stays of that namespace."""

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from netem.namespace import Namespace

_T = TypeVar("_T")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12 only


def call(namespace: Namespace, function: Callable[[], _T]) -> _T:
    """``function()`` in ``namespace``, on a thread that ends with it."""

    def enter() -> None:
        if _LIBC.setns(namespace.fd, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    with ThreadPoolExecutor(1, initializer=enter) as thread:
        return thread.submit(function).result()
