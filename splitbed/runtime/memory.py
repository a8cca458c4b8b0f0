"""How this process's memory is kept."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGE_BYTES, _KEPT_BYTES = 32 << 20, 256 << 20


def keep_freed_memory() -> None:
    """Have what a frame frees kept for the next one.

    By itself glibc gives large blocks back to the kernel, which maps and clears them anew for each
    message. All threads have one arena: each of several would keep as much. Does nothing with
    another C library.
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_ARENA_MAX, 1)


def give_back_freed_memory() -> None:
    """Give the kernel what is kept and holds nothing: a run may need less than the one before."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
