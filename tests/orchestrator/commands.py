"""Runs `orchestrate` in this process, as the command line does."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

from orchestrator.cli.root import app
from splitbed.command import run_command_line


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


def orchestrate(*words: str) -> Ended:
    """Run `orchestrate` with these words."""
    out, err, argv = _Printed(), _Printed(), sys.argv
    sys.argv = ["orchestrate", *words]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            run_command_line(app)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv = argv
    return Ended(code, out.text, err.text)


class _Printed(io.TextIOWrapper):
    """A standard stream that is no terminal, for text and for bytes."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    @property
    def text(self) -> str:
        return self._bytes.getvalue().decode()
