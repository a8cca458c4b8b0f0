"""The errors of Splitbed.

SplitbedError          a message that says what was attempted, on what, and what repairs it
├── UsageError         what the user asked for cannot be (exit 2)
├── MachineError       this machine lacks something, or refuses it (exit 3)
│   └── LinkError      a link that could not be built, shaped or proved as asked
└── RunError           a run that failed its verdict or could not go on (exit 1)
    └── NodeError      a UE or edge node that died, hung or answered wrongly
        ├── LateError  one that is there, and was not done in time
        └── FrameDropped  a frame that a station had no room for
"""

from collections.abc import Iterable
from difflib import get_close_matches

INTERRUPTED = 130
"""What a command exits with that was ended from outside, by Ctrl-C or a signal."""


class SplitbedError(Exception):
    """Root of the tree. ``exit_code`` is what a command exits with when nobody handles it."""

    exit_code = 1


class UsageError(SplitbedError):
    """Bad input: an unknown name, a value out of range, a file that is not what it should be."""

    exit_code = 2


class MachineError(SplitbedError):
    """The machine lacks a privilege, a program, a kernel module or a free port."""

    exit_code = 3


class LinkError(MachineError):
    """A link that could not be built, shaped or proved as asked."""


class RunError(SplitbedError):
    """A run that failed its verdict or could not go on."""


class NodeError(RunError):
    """A node that died, hung or answered wrongly."""


class LateError(NodeError):
    """A node that is there, and was not done in time with what it was asked."""


class FrameDropped(NodeError):  # noqa: N818  nobody is at fault
    """A frame for which there was no room where it would have waited: at a ``node``."""

    def __init__(self, message: str, node: str) -> None:
        super().__init__(message)
        self.node = node


_LONGEST = 200  # name that somebody may have meant to be one of ours


def shorten(text: str, most: int = 200) -> str:
    """A text of up to so many characters: of a longer one its beginning."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def did_you_mean(name: str, choices: Iterable[str], *, most: int = 1, otherwise: str = ":") -> str:
    """What follows "no codec is called 'zst'": ``; did you mean zstd?``, else ``otherwise``."""
    # what comes from elsewhere may be long, and to compare it takes long
    close = get_close_matches(name, list(choices), n=most) if len(name) <= _LONGEST else []
    return f"; did you mean {', '.join(close)}?" if close else otherwise
