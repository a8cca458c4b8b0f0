"""The times at which frames are due, in a file: seconds, one a line; lines that begin with #.

What a run keeps of one begins with the name that it had: ``# trace "t.txt"``.
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from splitbed.errors import UsageError, shorten
from splitbed.media.files import opened

MOST_FRAMES = 100_000
MOST_S = 86_400.0
_NAMED = "# trace "
_MOST_FILE_BYTES = 16 << 20


def read_trace(file: Path) -> tuple[str, tuple[float, ...]]:
    """The name and the times in a file; UsageError for one that has none, or whose times go back.

    Its name is the file's, where it does not begin with another.
    """
    if not file.name:
        raise UsageError("--load trace: no file is named: give trace:FILE")
    try:
        with opened(file) as stream:
            text = stream.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"--load trace:{file}: it cannot be read ({error.strerror})") from None
    lines = text.split(b"\n")
    stripped = ((place, line.strip()) for place, line in enumerate(lines, 1))
    numbers = [(place, line) for place, line in stripped if line and not line.startswith(b"#")]
    if len(text) > _MOST_FILE_BYTES or len(numbers) > MOST_FRAMES:
        raise UsageError(f"--load trace:{file}: it has more than {MOST_FRAMES} times: give fewer")
    times_s = [_time_s(file, place, line) for place, line in numbers]
    if not times_s:
        raise UsageError(f"--load trace:{file}: it has no times: give one in seconds a line")
    for (place, _), (before_s, time_s) in zip(numbers[1:], pairwise(times_s), strict=True):
        if time_s < before_s:
            raise UsageError(
                f"--load trace:{file}, line {place}: {time_s:g} s comes after {before_s:g} s, and "
                "time does not go back: sort the lines"
            )
    return _name(lines[0]) or file.name, tuple(times_s)


def trace_text(name: str, times_s: Sequence[float]) -> str:
    """A file of these times, which had this name."""
    return f"{_NAMED}{json.dumps(name)}\n" + "".join(f"{time_s!r}\n" for time_s in times_s)


def _name(line: bytes) -> str:
    """That a kept file begins with, else nothing."""
    if not line.startswith(_NAMED.encode()):
        return ""
    try:
        name = json.loads(line[len(_NAMED) :])
    except (ValueError, RecursionError):
        return ""
    return name if isinstance(name, str) else ""


def _time_s(file: Path, place: int, line: bytes) -> float:
    try:
        time_s = float(line)
    except ValueError:
        time_s = math.nan
    if not 0 <= time_s <= MOST_S:
        word = shorten(line.decode(errors="replace"))
        raise UsageError(
            f"--load trace:{file}, line {place}: {word!r} is no time from 0 to {MOST_S:g} s"
        )
    return time_s
