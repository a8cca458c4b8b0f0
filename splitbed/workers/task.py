"""What a worker does: one task, and end."""

import json
import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from io import BufferedReader
from typing import NoReturn

from splitbed.errors import MachineError, NodeError, SplitbedError
from splitbed.workers.allowance import Allowance, go_first
from splitbed.workers.inherited import Inherited

Answer = Mapping[str, object]
"""As JSON has it."""
Ready = Callable[..., None]
"""To be called once it is ready, with what there is to tell: from then on it is held to what it is
allowed."""
Task = Callable[[Answer, BufferedReader, Ready], Answer]
"""Gets what is asked, what it is fed, and what to call when it is ready; gives the answer."""

_MOST_WORDS = 500
_may_die = threading.Event()


def expendable() -> None:
    """Say that this process may end by what it opens: nothing is opened elsewhere before."""
    _may_die.set()


def is_expendable() -> bool:
    """Whether that was said."""
    return _may_die.is_set()


def work(task: str, given: int, said: int) -> NoReturn:
    """Do a ``package.module:function``, fed by one file; say on another what came of it."""
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):  # a library may print there
            os.dup2(nowhere, number)
        os.write(said, f"{os.getpid()}\n".encode())
        for signalled in (signal.SIGTERM, signal.SIGPIPE):
            signal.signal(signalled, signal.SIG_DFL)
        expendable()
        go_first()
        with os.fdopen(given, "rb") as fed:
            _tell(said, _answered(task, fed, said))
    finally:
        os._exit(0)  # at once: somebody waits for the answer


def _answered(task: str, fed: BufferedReader, said: int) -> Answer:
    asked, allowed, folder, own = json.loads(fed.readline())
    Inherited(**own).take()
    if folder is not None:
        with suppress(OSError):  # gone meanwhile: so is what was in it
            os.chdir(folder)
    allowance = Allowance(**allowed)
    exit_code = MachineError.exit_code  # nothing of a stranger's is opened before it is ready

    def ready(told: Answer | None = None) -> None:
        nonlocal exit_code
        _tell(said, {"ready": told or {}})
        allowance.hold()
        exit_code = NodeError.exit_code

    module, _, function = task.partition(":")
    try:
        return {"answer": getattr(import_module(module), function)(asked, fed, ready)}
    except SplitbedError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except MemoryError:
        most = allowance.memory_bytes
        return {"error": f"it needs more than {most} bytes of memory", "exit_code": exit_code}
    except Exception as error:  # whatever a stranger's file brings about is an answer
        words = f"{type(error).__name__}: {error}"[:_MOST_WORDS]
        return {"error": words, "exit_code": exit_code}


def _tell(said: int, told: Answer) -> None:
    os.write(said, json.dumps(told).encode() + b"\n")
