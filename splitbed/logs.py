"""Logs of a long-lived process: one line an event on stderr, for people or as JSON.

Neither frames nor secrets get into a line: bytes are told by their number, secrets not at all.
"""

import logging
import math
import sys
import threading
import time
from collections.abc import MutableMapping
from traceback import format_exception
from typing import Any, Literal, TextIO

# structlog takes Rich where it is, to draw tracebacks that are not drawn here: most of its import.
# It has no setting for that; None is the import system's own word for what is not to be found
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402
from structlog.typing import ExcInfo, FilteringBoundLogger, Processor  # noqa: E402

if sys.modules["rich"] is None:
    del sys.modules["rich"]

from splitbed.command import printable  # noqa: E402

Kind = Literal["console", "json"]

SECRET = frozenset({"authorization", "password", "secret", "token", "probe_token"})
"""Keys whose values are not written."""

_MOST_CHARACTERS = 2000  # a peer's words may be long


def configure(kind: Kind) -> None:
    """Log as `kind` says from now on, what libraries log included (WARNING and worse)."""
    _own(kind)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_PROCESSORS],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(kind),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def _own(kind: Kind) -> None:
    structlog.configure(
        processors=[*_PROCESSORS, *_rendering(kind)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        # stderr is looked up each time: stdout belongs to results, and tests redirect both
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _harmless(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Any:
    """The event without secrets, raw data, endless text and what commands a terminal."""
    for key, value in event.items():
        match value:
            case _ if key in SECRET:
                event[key] = "(not logged)"
            case bytes() | bytearray() | memoryview():
                event[key] = f"({len(value)} bytes)"
            case str() if len(value) > _MOST_CHARACTERS:
                event[key] = printable(value[:_MOST_CHARACTERS]) + "…"
            case str():
                event[key] = printable(value)
    # values are quoted where they have several lines; what a library says may be a peer's words
    event["event"] = str(event["event"]).replace("\n", "\\n")
    return event


def _rendering(kind: Kind) -> list[Processor]:
    if kind == "json":
        exceptions = structlog.processors.ExceptionRenderer(_traceback)
        return [exceptions, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty()
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_write_traceback)]


_turn = threading.Lock()


def _traceback(exc_info: ExcInfo) -> str:
    # that of the console's own shows local variables: frames, tokens. Lines of it are parsed as
    # Python, which fails by chance where two threads do so at once (before Python 3.12.4)
    with _turn:
        return "".join(format_exception(*exc_info)).rstrip()


def _write_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    out.write("\n" + printable(_traceback(exc_info)))


_PROCESSORS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _harmless,
]

log: FilteringBoundLogger = structlog.get_logger()
_own("console")  # until told otherwise; structlog would write to stdout


class Seldom:
    """Logs what others may have happen thousands of times a second: the same once in ``every_s``.

    Of more than ``most`` kinds at a time it tells no more than that they are.
    """

    def __init__(self, every_s: float = 10.0, most: int = 256) -> None:
        self._every_s, self._most = every_s, most
        self._lock = threading.Lock()
        self._told: dict[int, tuple[float, int]] = {}
        """When each was told last, and how often it was since; by hash, for words may be long."""

    def warning(self, event: str, kind: tuple[str, ...], **values: object) -> None:
        """Log an event of a kind, where it is due, and how many times it was since the last."""
        with self._lock:
            times = self._due(hash((event, *kind)), hash(event))
        if times:
            log.warning(event, **values, **({"times": times} if times > 1 else {}))

    def _due(self, kind: int, others: int) -> int:
        now_s = time.monotonic()
        if kind not in self._told and len(self._told) >= self._most:
            self._told = {
                one: told for one, told in self._told.items() if now_s - told[0] < self._every_s
            }
            if len(self._told) >= self._most:
                kind = others
        told_s, times = self._told.get(kind, (-math.inf, 0))
        if now_s - told_s < self._every_s:
            self._told[kind] = told_s, times + 1
            return 0
        self._told[kind] = now_s, 0
        return times + 1


SELDOM = Seldom()
"""Of this process."""
