"""Bandwidth traces as they are named: read from a file, or generated from a seed.

steps:20,5,100@10s   each rate in Mbit/s for so long
lte:SEED  5g:SEED    an uplink that fades; `@30s` says how long, else a minute
FILE.yaml            `steps: [[0, 20], [10, 5]]` in seconds and Mbit/s, and `length_s: 20`
FILE of two columns  seconds and Mbit/s, between them a comma or a space; `#` begins a comment
FILE of one column   mahimahi's format: each line is a chance for 1500 bytes, in ms

A rate of 0 is an outage: what is sent waits for its end. So is a window of a mahimahi file that has
no chance.

The generated ones are no recordings: see :mod:`orchestrator.adapt.fading`.
"""

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field, ValidationError

from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.fading import UPLINKS, FadingUplink, faded_mbit
from splitbed.checked import Frozen, one_line, read_yaml
from splitbed.errors import UsageError, shorten
from splitbed.media.files import opened

BIN_S = 0.1

_CHANCE_BYTES = 1500
_LENGTH_S = 60.0
_LONGEST_S = 86_400.0
_MOST_FILE_BYTES = 64 << 20  # mahimahi's chances of 10 minutes at 100 Mbit/s have 40
_MOST_DIGITS = 20
_WORDS = re.compile(r"(?P<kind>steps|lte|5g):(?P<what>[^@]*)(?:@(?P<length_s>[^@]*?)s?)?$")
_FORMS = "FILE, steps:20,5,100@10s, lte:SEED or 5g:SEED"

Line = tuple[str, list[str]]
"""Where a line of a file is, in words, and its fields."""


def bandwidth_trace(text: str) -> BandwidthTrace:
    """The trace that ``text`` names. Raises UsageError, for a file with its name and the line."""
    trace = _named(text)
    if not any(trace.rates_mbit):
        raise UsageError(f"{text} is one outage: give it a rate above 0 somewhere")
    return trace


def _named(text: str) -> BandwidthTrace:
    if not (match := _WORDS.match(text)):
        return _read(Path(text))
    length_s = match["length_s"]
    longest_s = _positive(length_s, text, "seconds") if length_s is not None else None
    if longest_s is not None and longest_s > _LONGEST_S:
        raise UsageError(f"{text}: a trace lasts at most {_LONGEST_S:g} s")
    if match["kind"] == "steps":
        rates = [_rate(word, text) for word in match["what"].split(",")]
        each_s = longest_s or 10.0
        return _stepped(text, [each_s * place for place in range(len(rates))], rates, each_s)
    if not match["what"].isascii() or not match["what"].isdigit():
        raise UsageError(f"{text}: {match['what']!r} is no seed; give a number, as in lte:1")
    return _faded(text, UPLINKS[match["kind"]], int(match["what"]), longest_s or _LENGTH_S)


def _stepped(
    name: str, starts_s: Sequence[float], rates: Sequence[float], last_s: float
) -> BandwidthTrace:
    return BandwidthTrace(name, tuple(starts_s), tuple(rates), starts_s[-1] + last_s)


def _rate(word: str, where: str) -> float:
    if _is_number(word) and float(word) == 0:
        return 0.0  # also of -0
    return _positive(word, where, "Mbit/s", "of 0 (an outage) or more")


def _positive(word: str, where: str, unit: str, which: str = "above 0") -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{where}: {shorten(word.strip())!r} is no number of {unit} {which}")
    return value


def _faded(name: str, uplink: FadingUplink, seed: int, length_s: float) -> BandwidthTrace:
    rates = faded_mbit(uplink, seed, max(math.ceil(length_s / BIN_S), 1), BIN_S)
    starts_s = tuple(round(place * BIN_S, 3) for place in range(len(rates)))
    return BandwidthTrace(f"{name} (generated)", starts_s, tuple(rates), len(rates) * BIN_S)


class _Steps(Frozen):
    steps: tuple[
        tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0, allow_inf_nan=False)]],
        ...,
    ] = Field(min_length=1)
    length_s: float | None = Field(None, gt=0, le=_LONGEST_S)


def _read(file: Path) -> BandwidthTrace:
    if file.suffix.lower() in (".yaml", ".yml"):
        return _of_yaml(file)
    lines = _lines(file)
    first = next(lines, None)
    if first is None:
        raise UsageError(f"the trace {file} has no lines; give {_FORMS}")
    return (_mahimahi if len(first[1]) == 1 else _columns)(file, chain([first], lines))


def _lines(file: Path) -> Iterator[Line]:
    try:
        if file.stat().st_size > _MOST_FILE_BYTES:
            raise UsageError(f"the trace {file} has over {_MOST_FILE_BYTES >> 20} MiB: give less")
        with TextIOWrapper(opened(file)) as stream:
            for number, line in enumerate(stream, start=1):
                if fields := line.partition("#")[0].replace(",", " ").split():
                    yield f"{file}, line {number}", fields
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read the trace {file}: {reason}; give {_FORMS}") from None


def _of_yaml(file: Path) -> BandwidthTrace:
    try:
        content = _Steps.model_validate(read_yaml(file))
    except ValidationError as error:
        raise UsageError(f"the trace {file} cannot be replayed: {one_line(error)}") from None
    starts_s, rates = list[float](), [rate for _, rate in content.steps]
    for place, (start_s, _) in enumerate(content.steps, start=1):
        _add(starts_s, start_s, f"{file}, step {place}")
    if content.length_s is not None and content.length_s <= starts_s[-1]:
        raise UsageError(f"{file}: its last step begins after length_s {content.length_s:g}")
    return _stepped(file.name, starts_s, rates, _last_s(starts_s, content.length_s))


def _last_s(starts_s: Sequence[float], length_s: float | None = None) -> float:
    """How long the last step lasts: as long as the one before it, where nothing says."""
    if length_s is not None:
        return length_s - starts_s[-1]
    return starts_s[-1] - starts_s[-2] if len(starts_s) > 1 else 10.0


def _columns(file: Path, lines: Iterable[Line]) -> BandwidthTrace:
    starts_s: list[float] = []
    rates: list[float] = []
    for where, fields in lines:
        if len(fields) != 2:
            said = shorten(" ".join(fields))
            raise UsageError(f"{where}: expected seconds and Mbit/s, got {said!r}")
        if not (starts_s or _is_number(fields[0])):
            continue  # a line of headings
        _add(starts_s, _start(fields[0], where), where)
        rates.append(_rate(fields[1], where))
    if not starts_s:
        raise UsageError(f"the trace {file} has headings and nothing below them")
    return _stepped(file.name, starts_s, rates, _last_s(starts_s))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _start(word: str, where: str) -> float:
    if _is_number(word) and 0 <= float(word) <= _LONGEST_S:
        return float(word)
    raise UsageError(f"{where}: {shorten(word)!r} is no time of 0 to {_LONGEST_S:g} seconds")


def _add(starts_s: list[float], start_s: float, where: str) -> None:
    """Add when a step begins; UsageError where that is not after the one before, or not 0."""
    if not starts_s and start_s != 0:
        raise UsageError(f"{where}: a trace begins at 0 s, not at {start_s:g}")
    if starts_s and start_s <= starts_s[-1]:
        raise UsageError(f"{where}: {start_s:g} s does not come after {starts_s[-1]:g} s")
    starts_s.append(start_s)


def _mahimahi(file: Path, lines: Iterable[Line]) -> BandwidthTrace:
    """Chances counted in windows of :data:`BIN_S`; as there, it begins again after the last."""
    at_ms, times_ms, where = 0, array("q"), str(file)
    for where, fields in lines:
        before_ms, at_ms = at_ms, _whole_ms(fields, where)
        if at_ms < before_ms:
            raise UsageError(f"{where}: {at_ms} ms comes before {before_ms} ms")
        times_ms.append(at_ms)
    length_ms = at_ms
    if not length_ms:
        raise UsageError(f"{where}: a trace of 0 ms has no rate")
    window_ms = round(BIN_S * 1e3)
    windows = max(length_ms // window_ms, 1)
    # what is left after the last whole window is its own, or a ms of chances would be a spike
    places = np.minimum(np.frombuffer(times_ms, np.int64) // window_ms, windows - 1)
    counts = np.bincount(places, minlength=windows)
    lengths_ms = [window_ms] * (windows - 1) + [length_ms - (windows - 1) * window_ms]
    rates = [
        round(float(count) * _CHANCE_BYTES * 8 / (ms * 1e3), 3)
        for count, ms in zip(counts, lengths_ms, strict=True)
    ]
    starts_s = [place * window_ms / 1e3 for place in range(windows)]
    return _stepped(file.name, starts_s, rates, lengths_ms[-1] / 1e3)


def _whole_ms(fields: Sequence[str], where: str) -> int:
    if len(fields) != 1 or not fields[0].isascii() or not fields[0].isdigit():
        said = shorten(" ".join(fields))
        raise UsageError(f"{where}: expected one whole number of ms, got {said!r}")
    if len(fields[0]) > _MOST_DIGITS or int(fields[0]) > _LONGEST_S * 1e3:
        raise UsageError(f"{where}: a trace lasts at most {_LONGEST_S:g} s")
    return int(fields[0])
