"""Configuration: YAML, checked by frozen models; what they refuse is told in one line.

Files come from anywhere. None is read beyond MOST_BYTES, none makes more of itself than it holds,
and what is told of one that is refused is short.
"""

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from reprlib import Repr
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from splitbed.errors import UsageError, did_you_mean, shorten
from splitbed.media.files import opened

MOST_BYTES = 1 << 18
"""Of a YAML file; the longest of ours has a fiftieth."""

_DEEPEST, _MOST_DIGITS, _MOST_TOLD = 32, 64, 8
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_short = Repr()
_short.maxstring = _short.maxother = 200


class Frozen(BaseModel):
    """Checked once, at the door; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def replaced(self, **changes: object) -> Self:
        """The same with these changes, checked as the first was. Raises UsageError."""
        kept = {name: getattr(self, name) for name in self.model_fields_set}
        try:
            return self.model_validate(kept | changes)
        except ValidationError as error:
            raise UsageError(f"this cannot be changed: {one_line(error)}") from None


def read_yaml(file: Path | Traversable, what: str = "configuration") -> dict[str, object]:
    """The mapping in a YAML file, with ``_`` for ``-`` in its keys; UsageError when it is none."""
    return yaml_mapping(text_of(file, what), f"the {what} {file}")


def text_of(file: Path | Traversable, what: str) -> str:
    """The text of a YAML file; UsageError for one that cannot be read, or is too long."""
    try:
        return _text(file)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the {what} {file}: {_reason(error)}") from None


def text_named(name: str, ours: Mapping[str, Traversable], what: str) -> str:
    """The text of one of ours, or of the YAML file ``name``; UsageError for what is neither."""
    try:
        return _text(ours[name] if name in ours else Path(name))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"no {what} is called {name!r}, and as a file it cannot be read ({_reason(error)})"
            f"{did_you_mean(name, ours)} choose {', '.join(sorted(ours))}, or give a YAML file"
        ) from None


def _text(file: Path | Traversable) -> str:
    with opened(file) if isinstance(file, Path) else file.open("rb") as stream:
        data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UsageError(f"{file} is no YAML of ours: it has more than {MOST_BYTES} bytes")
    return data.decode()


def yaml_mapping(text: str, called: str) -> dict[str, object]:
    """The mapping that a text is, as :func:`read_yaml` has it; ``called`` so in UsageError."""
    content = yaml_content(text, called)
    if not isinstance(content, dict):
        raise UsageError(f"{called} is not a mapping of options to values")
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def yaml_content(text: str, called: str) -> object:
    """What a text of YAML says; UsageError, which names it as ``called``, for what is none."""
    try:
        return yaml.load(text, _Plain)  # noqa: S506  a SafeLoader
    # the last four are how a SafeLoader refuses numbers, dates and tags
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise UsageError(f"{called} is not YAML: {' '.join(str(error).split())}") from None


class _Plain(yaml.SafeLoader):
    """Without aliases, by which a line says gigabytes, and with an end to depth and to numbers."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("has an alias (*), and none is taken: write it out")
        if self._depth == _DEEPEST:
            raise self._refused(f"is nested deeper than {_DEEPEST}")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        match node:
            case yaml.ScalarNode(tag=tag, value=str(value)) if tag in _NUMBERS:
                if len(value) > _MOST_DIGITS:
                    raise self._refused(f"has a number of {len(value)} characters")
        return node

    def _refused(self, why: str) -> yaml.YAMLError:
        return yaml.YAMLError(f"line {self.line + 1} {why}")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or ""
    return "it is no text" if isinstance(error, UnicodeDecodeError) else "no file has such a name"


def one_line(error: ValidationError, typed: Mapping[str, str] | None = None) -> str:
    """What pydantic refused, as one line without its links; ``typed`` is what a field was given as.

    ``{"bw": "--bw -5"}`` makes it ``--bw -5: should be greater than 0``.
    """
    entries = error.errors(include_url=False)
    told = [_refusal(dict(entry), typed or {}) for entry in entries[:_MOST_TOLD]]
    more = len(entries) - len(told)
    return "; ".join([*told, f"and {more} more"] if more else told)


def _refusal(entry: dict[str, Any], typed: Mapping[str, str]) -> str:
    # the place in a list says nothing: the value follows
    names = [_short.repr(part).strip("'") for part in entry["loc"] if isinstance(part, str)]
    given = shorten(typed.get(names[0], "")) if names else ""
    where = ".".join(names[1:] if given else names)
    shown = _short.repr(entry["input"])
    value = f"{entry['input']:g}" if isinstance(entry["input"], float) else shown.strip("'")
    said = str(entry["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    if entry["type"] == "too_short":
        said = "should name something"
    if entry["type"] == "missing":
        said = "is missing"
    elif entry["type"] == "extra_forbidden":
        said = "is no key of it"
    elif names and not given.endswith((f" {value}", f"={value}")):
        said += f" (got {shown})"
    return f"{given}: {where} {said}".replace(":  ", ": ") if given else f"{where} {said}".strip()
