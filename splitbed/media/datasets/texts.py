"""Files of texts and tokens.

===========  ======================================================================================
file         what is in it
===========  ======================================================================================
``.txt``     one text, of whose bytes each is a token
``.jsonl``   a text a line: a list of tokens, or an object with ``tokens`` and, where they are
             known, ``target`` (the tokens that should come out) and ``relevance`` (a number from 0
             on for each candidate that the model scores); a string stands for its UTF-8 bytes
``.npy``     whole numbers: one text, or one in each row
``.npz``     the same as ``tokens``, and ``target`` and ``relevance`` with a row for each
===========  ======================================================================================

A text that is longer than the model's input and has neither target nor relevance becomes several
frames.  Each begins with the token that ended the one before, so that every token but the first is
one that follows another in some frame.
"""

import io
import json
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError, shorten
from splitbed.media.datasets.frames import Dataset, Frame
from splitbed.media.files import hash_bytes, read_file
from splitbed.media.text.tokens import MOST_TOKEN, Tokens, decoded, encoded

MOST_BYTES = 16 << 20
"""Of a file, and of what NumPy makes of it: some million tokens, which no sweep gets through."""
MOST_TEXTS = 100_000
"""Frames of a file, as many as a node keeps."""
KEYS = ("tokens", "target", "relevance")
"""What is known of a text."""
LEAST_CANDIDATES = 2
"""Of which one can be ranked before another."""
_DAMAGED = (
    OSError, ValueError, TypeError, EOFError, NotImplementedError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy and zipfile raise for what is damaged, locked, or says that it is enormous."""


def open_texts(path: Path) -> Dataset:
    """The texts of a file.

    Raises:
        UsageError: it cannot be read, is not what its name says, is too large, or has no tokens.
    """
    if path.is_file():
        _check_size(path, path.stat().st_size)
    frames = _few(SUFFIXES[path.suffix.lower()](path), path)
    if not frames:
        raise UsageError(f"there are no tokens in {path}")
    return Dataset(path.name, "text", str(path), frames, truth_files=(path,))


def text_frame(
    name: str,
    source: str,
    tokens: Sequence[int] | Tokens,
    target: tuple[int, ...] | None = None,
    relevance: tuple[float, ...] | None = None,
) -> Frame:
    """The frame of some tokens."""
    data = encoded(tokens)
    return Frame(
        name,
        source,
        read=lambda: data,
        identify=partial(hash_bytes, data),
        target=target,
        relevance=relevance,
    )


def fitted(dataset: Dataset, length: int) -> Dataset:
    """The same, of frames of up to ``length`` tokens where longer ones may be cut.

    Raises UsageError where these are too many.
    """
    parts = (part for one in dataset.frames for part in _parts(one, length))
    return replace(dataset, frames=_few(parts, dataset.name))


def _few(frames: Iterator[Frame], what: Path | str) -> list[Frame]:
    found = list(islice(frames, MOST_TEXTS + 1))
    if len(found) > MOST_TEXTS:
        raise UsageError(f"{what} has more than {MOST_TEXTS} texts: give less of it")
    return found


def _check_size(path: Path, nbytes: int) -> None:
    if nbytes > MOST_BYTES:
        raise UsageError(f"{path} has over {MOST_BYTES >> 20} MiB: give less of it")


def _parts(frame: Frame, length: int) -> Iterator[Frame]:
    tokens = decoded(frame.read(), frame.name)
    whole = frame.target is not None or frame.relevance is not None
    if whole or len(tokens) <= length or length < 2:
        yield frame
        return
    for first in range(0, len(tokens) - 1, length - 1):
        name = f"{frame.name}:{first}"
        yield text_frame(name, frame.source, tokens[first : first + length])


def _of_bytes(path: Path) -> Iterator[Frame]:
    if data := read_file(path):
        yield text_frame(path.name, str(path), np.frombuffer(data, np.uint8).astype(np.int32))


def _of_lines(path: Path) -> Iterator[Frame]:
    try:
        lines = read_file(path).decode().split("\n")
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {path}: it is not text in UTF-8") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _of_line(path, number, line)


def _of_line(path: Path, number: int, line: str) -> Frame:
    where = f"{path}, line {number}"
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{where}: a list of tokens, or an object, was expected") from None
    told = given if isinstance(given, dict) else {"tokens": given}
    _check_keys(told, where)
    return _frame(path, f"line {number}", str(number), told)


def _of_arrays(path: Path) -> Iterator[Frame]:
    held = _loaded(path)
    _check_keys(held, str(path))
    for array in held.values():  # one of strings of no bytes has no end
        _check_size(path, max(array.size, array.nbytes))
    rows = {name: np.atleast_2d(array) for name, array in held.items()}
    if len({len(array) for array in rows.values()}) > 1:
        counts = ", ".join(f"{name} {len(array)}" for name, array in rows.items())
        raise UsageError(f"{path}: each array has a row for each text, but got {counts}")
    for number, row in enumerate(rows["tokens"]):
        more = {name: array[number].tolist() for name, array in rows.items() if name != "tokens"}
        yield _frame(path, f"row {number}", str(number), {"tokens": row.tolist(), **more})


def _check_keys(told: Mapping[str, object], where: str) -> None:
    if "tokens" not in told or not told.keys() <= set(KEYS):
        raise UsageError(
            f"{where}: tokens, and maybe target and relevance, were expected, but got "
            + (shorten(", ".join(map(repr, sorted(told)[:10]))) or "none of them")
        )


def _loaded(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    """What NumPy reads; all arrays of an archive at once."""
    data = read_file(path)
    try:
        held = np.load(io.BytesIO(data), allow_pickle=False)
        if not isinstance(held, np.lib.npyio.NpzFile):
            return {"tokens": held}
        members = held.zip.infolist() if held.zip else []
        _check_size(path, sum(member.file_size for member in members))
        return dict(held)
    except _DAMAGED as error:
        raise UsageError(f"cannot read {path} as NumPy's: {error}") from error


def _frame(path: Path, place: str, name: str, told: Mapping[str, object]) -> Frame:
    where = f"{path}, {place}"
    target, relevance = told.get("target"), told.get("relevance")
    return text_frame(
        f"{path.name}:{name}", str(path), _tokens(told["tokens"], f"{where}: tokens"),
        None if target is None else tuple(_tokens(target, f"{where}: target")),
        None if relevance is None else _relevance(relevance, f"{where}: relevance"),
    )  # fmt: skip


def _tokens(given: object, where: str) -> list[int]:
    try:
        values = list(given.encode()) if isinstance(given, str) else given
    except UnicodeEncodeError:  # half of a pair of surrogates, as JSON may have
        raise UsageError(f"{where}: the string is not text that UTF-8 has") from None
    if not isinstance(values, list) or not values or not all(type(one) is int for one in values):
        raise UsageError(f"{where}: a list of whole numbers, or a string, was expected")
    if wrong := [one for one in values if not 0 <= one <= MOST_TOKEN]:
        raise UsageError(f"{where}: {wrong[0]} is no token: they are 0 to {MOST_TOKEN}")
    return values


def _relevance(given: object, where: str) -> tuple[float, ...]:
    fine = isinstance(given, list) and all(
        type(one) in (int, float) and 0 <= one <= sys.float_info.max for one in given
    )
    if not isinstance(given, list) or not fine or len(given) < LEAST_CANDIDATES:
        raise UsageError(
            f"{where}: a list of {LEAST_CANDIDATES} numbers or more, each 0 or more, was expected"
        )
    return tuple(map(float, given))


SUFFIXES: dict[str, Callable[[Path], Iterator[Frame]]] = {
    ".txt": _of_bytes,
    ".jsonl": _of_lines,
    ".npy": _of_arrays,
    ".npz": _of_arrays,
}
"""What reads a file, by the end of its name."""
