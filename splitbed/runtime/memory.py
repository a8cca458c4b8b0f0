"""How this process's memory is kept."""

import ctypes
import resource
from contextlib import suppress

import psutil

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGE_BYTES, _KEPT_BYTES = 32 << 20, 256 << 20
_STACK_BYTES = 8 << 20  # of a thread, where that is not limited


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


def bound_memory(most_bytes: int, threads: int) -> None:
    """Have this process take so much more than it has, and no more, with so many threads more.

    A run that would take it gets none then, and says so; else it is the kernel that ends a process,
    this one or another. Does nothing where the machine has not that much anyway.
    """
    if most_bytes >= psutil.virtual_memory().total:
        return
    stack_bytes, _ = resource.getrlimit(resource.RLIMIT_STACK)
    if stack_bytes == resource.RLIM_INFINITY:
        stack_bytes = _STACK_BYTES
    most = psutil.Process().memory_info().data + most_bytes + threads * stack_bytes
    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if before == resource.RLIM_INFINITY or most < before:
        # the hard one stays: the processes that it starts have bounds of their own
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def give_back_freed_memory() -> None:
    """Give the kernel what is kept and holds nothing: a run may need less than the one before."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
