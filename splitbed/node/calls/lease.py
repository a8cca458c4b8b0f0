"""One run at a time: what two at once measure on the same nodes is neither's."""

import threading
import time
from collections.abc import Callable
from functools import partial

import grpc

from splitbed.security.access import RUN_KEY

SILENT_S = 10.0
"""With what it takes to miss a machine that vanished (serve.py), less than 30 s."""

FRAMES_S = 4.0
"""How long after its last call frames may stand for a run, which others could send; as above."""


class Lease:
    """Held by the run that called last: while a call of it is open, and SILENT_S after.

    Calls that name another run are refused meanwhile; those that name none, such as health checks
    and the orchestrator of nodes of its own, are not its business. ``frame_s`` says when a frame
    was last done on the data plane, whoever sent it (time.monotonic); it counts as the run's for
    FRAMES_S.
    """

    def __init__(self, frame_s: Callable[[], float]) -> None:
        self._frame_s = frame_s
        self._lock = threading.Lock()
        self._run = ""
        self._heard_s = 0.0
        self._open: dict[grpc.ServicerContext, str] = {}

    def refusal(self, context: grpc.ServicerContext, *, takes: bool = True) -> str | None:
        """Take or keep it for the run of a call, which may only keep it; why that cannot be."""
        told = context.invocation_metadata()
        run = next((str(value) for key, value in told if key == RUN_KEY), "")
        with self._lock:
            if run:
                if self._run not in ("", run) and self._is_held():
                    return (
                        "it is at work for another run; try again when that has ended, or "
                        f"{SILENT_S:g} s after it was killed"
                    )
                if takes or self._run == run:
                    self._run, self._heard_s = run, time.monotonic()
            self._open[context] = run
        if not context.add_callback(partial(self._ended, context)):
            self._ended(context)
        return None

    def _is_held(self) -> bool:
        heard_s = max(self._heard_s, min(self._frame_s(), self._heard_s + FRAMES_S))
        return self._run in self._open.values() or time.monotonic() - heard_s <= SILENT_S

    def _ended(self, context: grpc.ServicerContext) -> None:
        with self._lock:
            if self._open.pop(context) == self._run:
                self._heard_s = time.monotonic()

    def give_up_others(self, context: grpc.ServicerContext) -> None:
        """End all calls but this one, whatever they are at."""
        with self._lock:
            others = [one for one in self._open if one is not context]
        for one in others:
            one.cancel()

    def release(self) -> None:
        """Let the next run in."""
        with self._lock:
            self._run = ""
