"""What the records of a run have in common: frozen, checked as they are read, trusted from then on.

JSON ──> from_json, from_plain ──> Record ──> plain, json ──> JSON

A key that an earlier version did not write has its default; one that this version does not know is
passed over. What is of the wrong type, or not there and needed, is damage: ValueError.
"""

import json
import re
from functools import cache
from pathlib import Path
from typing import Self, TypeVar

import msgspec
from pydantic import BaseModel

from splitbed.media.files import opened

_T = TypeVar("_T", bound="Record")
MOST_BYTES = 64 << 20
"""Of a JSON file, of which a run of 100,000 inputs has half."""
_LONG = re.compile(rb"[:\[,]\s*(-?\d{19,})")


def json_text(file: Path) -> bytes:
    """The text of a JSON file of a run, checked as :func:`whole_numbers_checked` does.

    Raises OSError, and ValueError for one that is too long.
    """
    with opened(file) as stream:
        text = stream.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES} bytes")
    return whole_numbers_checked(text)


def whole_numbers_checked(text: bytes) -> bytes:
    """The JSON text; ValueError where a whole number in it takes more than 64 bits.

    Python has them of any size, and what counts with them has not.
    """
    if any(not -(1 << 63) <= int(digits) < 1 << 63 for digits in _LONG.findall(text)):
        raise ValueError("a whole number takes more than 64 bits")
    return text


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is kept as JSON."""

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """The record in a JSON text. Raises ValueError for what is none."""
        whole_numbers_checked(text)
        try:
            found: Self = _decoder(cls).decode(text)
            return found
        except msgspec.ValidationError:
            raise
        except (ValueError, RecursionError):
            return cls._from_python(text)

    @classmethod
    def _from_python(cls, text: bytes) -> Self:
        """As Python writes NaN and infinity, which JSON does not have."""
        try:
            return cls.from_plain(json.loads(text))
        except RecursionError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def from_plain(cls, value: object) -> Self:
        """The record that a mapping, as JSON has it, is. Raises ValueError for what is none."""
        return msgspec.convert(value, cls, dec_hook=_taken)

    def plain(self) -> dict[str, object]:
        """As JSON has it: dicts, lists, words and numbers."""
        told: dict[str, object] = msgspec.to_builtins(self, enc_hook=_told)
        return told

    def json(self, *, indent: int | None = None) -> str:
        """As JSON: one line, unless it is indented."""
        separators = (",", ":") if indent is None else None
        return json.dumps(self.plain(), indent=indent, separators=separators)

    def line(self) -> bytes:
        """As a line of a file, without its end."""
        return self.json().encode()


@cache
def _decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]:
    return msgspec.json.Decoder(kind, dec_hook=_taken)


def _taken(kind: type, value: object) -> object:
    """Of a record's fields, those that are anything that JSON has, or that pydantic checks."""
    return kind.model_validate(value) if issubclass(kind, BaseModel) else value


def _told(value: object) -> object:
    if not isinstance(value, BaseModel):
        raise NotImplementedError(type(value))
    return value.model_dump()
