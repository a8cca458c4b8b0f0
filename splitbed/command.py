"""How every command of Splitbed ends: a message and an exit code, never a traceback."""

import sys
from collections.abc import Callable

from splitbed.errors import SplitbedError

_INTERRUPTED = 130


def run(app: Callable[[], object]) -> None:
    """Run a command line; exit 2 for usage, 3 for the machine, 1 for a run that failed."""
    try:
        app()
    except SplitbedError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(_INTERRUPTED)
