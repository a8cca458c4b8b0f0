"""Tasks that end their workers, or try to."""

import ctypes
import inspect
import os
import signal
import sys
import time
from importlib import import_module
from io import BufferedReader
from pathlib import Path

from splitbed.errors import UsageError
from splitbed.workers.task import Answer, Ready


def echo(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """What is asked, and what it was fed."""
    ready({"pid": os.getpid()})
    return {**asked, "fed": fed.read().decode(), "parent": os.getppid()}


def threads(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """How many its process has."""
    ready()
    return {"threads": len([*Path("/proc/self/task").iterdir()])}


def blas(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """How many BLAS has in its process."""
    ready()
    import numpy  # noqa: F401  which brings one
    from threadpoolctl import ThreadpoolController

    return {"threads": [one["num_threads"] for one in ThreadpoolController().info()]}


def imported(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """What another task imports that was not there."""
    before = {*sys.modules}
    module, _, function = str(asked["task"]).partition(":")
    getattr(import_module(module), function)(asked["asked"], fed, ready)
    return {"modules": sorted({*sys.modules} - before)}


def crash(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Read where nothing is."""
    ready()
    ctypes.string_at(0)
    return {}


def refuse(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Say what is wrong before it is ready."""
    raise UsageError("this is wrong")


def fail(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Do what nobody thought of."""
    ready()
    raise KeyError("nobody thought of it")


def hoard(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Take memory without end."""
    ready()
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


def spin(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Compute without end."""
    ready()
    while True:
        pass


def sleep(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Do nothing without end."""
    ready()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


def vanish(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """End before it is ready."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def half(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """End in the middle of an answer."""
    ready()
    os.write(inspect.getclosurevars(ready).nonlocals["said"], b'{"answer": {"a')
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def talk(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Say something without end."""
    while True:
        ready({"words": "and " * (1 << 16)})


def write(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Write a file of a mebibyte."""
    ready()
    try:
        Path(str(asked["path"])).write_bytes(bytes(1 << 20))
    except OSError as error:
        return {"error": error.strerror}
    return {}


def folder(asked: Answer, fed: BufferedReader, ready: Ready) -> Answer:
    """Where it works."""
    return {"folder": str(Path.cwd())}
