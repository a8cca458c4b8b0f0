"""One run at a time: what two at once measure on the same nodes is neither's."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    _Handler = grpc.RpcMethodHandler[Any, Any]  # only the types of grpc know that it is generic

KEY = "splitbed-run"
"""Metadata of every call on the control plane of a node that others may ask, too."""

SILENT_S = 30.0


class Lease(grpc.ServerInterceptor):
    """Held by the run that called last, until it lets go or has been silent for SILENT_S.

    Calls that name another run are refused meanwhile; those that name none, such as health checks
    and the orchestrator of nodes of its own, are not its business. ``busy`` says whether something
    is under way.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._lock = threading.Lock()
        self._run = ""
        self._heard_s = 0.0

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], _Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        """The handler of a call, or one that refuses it."""
        named = [
            str(value) for key, value in handler_call_details.invocation_metadata if key == KEY
        ]
        if not named or self._taken_by(named[0]):
            return continuation(handler_call_details)
        return grpc.stream_stream_rpc_method_handler(_refuse)

    def _taken_by(self, run: str) -> bool:
        with self._lock:
            silent = time.monotonic() - self._heard_s > SILENT_S and not self._busy()
            if self._run not in ("", run) and not silent:
                return False
            self._run, self._heard_s = run, time.monotonic()
            return True

    def release(self) -> None:
        """Let the next run in."""
        with self._lock:
            self._run = ""


def _refuse(_requests: Any, context: grpc.ServicerContext) -> Any:
    context.abort(
        grpc.StatusCode.FAILED_PRECONDITION,
        "it is at work for another run; try again when that has ended, or "
        f"{SILENT_S:g} s after it was killed",
    )
