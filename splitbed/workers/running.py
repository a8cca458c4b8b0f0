"""What the process of a program does: it becomes as one that was started, and runs a module."""

import ctypes
import json
import os
import runpy
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import invalidate_caches
from pathlib import Path
from typing import Any, NoReturn

from splitbed.ending import PYTHON, Handler
from splitbed.workers.allowance import end_with_parent
from splitbed.workers.inherited import Inherited

Signals = Mapping[signal.Signals, Handler | int | None]
"""How each is handled."""
_PR_SET_DUMPABLE = 4  # prctl(2)
_ARG_START = 45
"""Of what follows a process's name in its stat (proc(5)); the next is arg_end."""


def run(
    module: str, given: int, said: int, signals: Signals, begun: Callable[[], None]
) -> NoReturn:
    """Run a module as ``python -P -m`` does, told by one file how; say on another who runs it.

    It heeds the signals so. ``begun`` is called where it is to run, before it does.
    """
    code = 1
    parent = os.getppid()
    try:
        os.setsid()  # a Ctrl-C is for who started it
        for number, handler in signals.items():
            signal.signal(number, handler)
        os.write(said, f"{os.getpid()}\n".encode())
        os.close(said)
        with os.fdopen(given, "rb") as file:
            if not (words := file.read()):
                sys.exit(1)  # who asked for it has given it up
        told = json.loads(words)
        _become(**told["place"])
        end_with_parent(parent)  # whoever enters a user namespace would be told of that no more
        begun()
        argv = [module, *told["argv"]]
        _be_called([*PYTHON, "-m", *argv])
        sys.argv[:] = argv
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = _code(end)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # its disk may be full
                stream.flush()
        os._exit(code)


def _become(
    *,
    log: str,
    namespaces: Sequence[str],
    folder: str | None,
    path: Sequence[str],
    environment: Mapping[str, str],
    inherited: Mapping[str, Any],
) -> None:
    """As one is that who asks for it starts, but in these namespaces, and with this log."""
    Inherited(**inherited).take()
    for file, flags, numbers in (
        (os.devnull, os.O_RDONLY, (0,)),
        (log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, (1, 2)),
    ):
        opened = os.open(file, flags, 0o666)
        for number in numbers:
            os.dup2(opened, number)
        os.close(opened)
    if folder is not None:
        with suppress(OSError):  # gone meanwhile
            os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    invalidate_caches()
    tempfile.tempdir = None
    libc: Any = ctypes.CDLL(None, use_errno=True)
    for held in [os.open(file, os.O_RDONLY) for file in namespaces]:
        if libc.setns(held, 0):
            raise OSError(ctypes.get_errno(), "cannot enter a namespace")
        os.close(held)
    libc.prctl(_PR_SET_DUMPABLE, 1)  # what it may is another's in a user namespace: no more its own


def _be_called(words: Sequence[str]) -> None:
    """Have others see these words as its command, as far as there is room for them (proc(5))."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, stat[_ARG_START : _ARG_START + 2])
    told = " ".join(words).encode()[: end - start - 2]
    # the last byte says to the kernel that there is one string, up to its end
    ctypes.memmove(start, told.ljust(end - start - 1, b"\0") + b" ", end - start)


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1
