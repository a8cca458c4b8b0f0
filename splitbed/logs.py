"""Logs of a long-lived process: one line an event on stderr, for people or as JSON.

Neither frames nor secrets get into a line: bytes are told by their number, secrets not at all.
Importing this takes 0.2 s (structlog's own imports); commands that only answer `--help` do without.
"""

import logging
import sys
from collections.abc import MutableMapping
from io import StringIO
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import ExcInfo, FilteringBoundLogger, Processor

from splitbed.command import printable

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
    return event


def _rendering(kind: Kind) -> list[Processor]:
    if kind == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty()
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_traceback)]


def _traceback(out: TextIO, exc_info: ExcInfo) -> None:
    # that of the console's own shows local variables: frames, tokens
    structlog.dev.plain_traceback(told := StringIO(), exc_info)
    out.write(printable(told.getvalue()))


_PROCESSORS: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _harmless,
]

log: FilteringBoundLogger = structlog.get_logger()
_own("console")  # until told otherwise; structlog would write to stdout
