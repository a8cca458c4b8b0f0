"""Matrix products on one thread each, as other codecs' work is.

They are short: threads that wait for one another take ten times as long on a busy processor.
"""

from contextlib import ContextDecorator
from functools import cached_property
from threading import Lock
from types import TracebackType
from typing import Any


class OneThread(ContextDecorator):
    """Keeps BLAS to one thread while anyone is inside, and then to as many as it had.

    BLAS counts its threads for the process, and coders of several threads may be inside at once.
    """

    def __init__(self) -> None:
        self._lock, self._inside = Lock(), 0
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = self._blas.limit(limits=1)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.restore_original_limits()

    @cached_property
    def _blas(self) -> Any:
        """NumPy's; to look for it takes a thousand times as long as to limit it."""
        from threadpoolctl import ThreadpoolController

        return ThreadpoolController().select(user_api="blas")


one_thread = OneThread()
