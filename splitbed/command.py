"""How every command of Splitbed begins and ends: with a message and an exit code, no traceback."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from splitbed.errors import SplitbedError

INTERRUPTED = 130


def run_command_line(app: Callable[[], object]) -> None:
    """Run a command line; exit 2 for usage, 3 for the machine, 1 for a run that failed.

    SIGTERM unwinds as Ctrl-C does, so that everything made is unmade.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # Debian leaves the folders of ip and tc out of an ordinary user's path
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    try:
        app()
    except SplitbedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        sys.stderr.write(f"error: {error}: make room, or give a place that can be written\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
