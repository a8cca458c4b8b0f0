"""Configuration: YAML, checked by frozen models; what they refuse is told in one line."""

from collections.abc import Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from splitbed.errors import UsageError, did_you_mean


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
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the {what} {file}: {_reason(error)}") from None
    return yaml_mapping(text, f"the {what} {file}")


def text_named(name: str, ours: Mapping[str, Traversable], what: str) -> str:
    """The text of one of ours, or of the YAML file ``name``; UsageError for what is neither."""
    try:
        return (ours[name] if name in ours else Path(name)).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"no {what} is called {name!r}, and as a file it cannot be read ({_reason(error)})"
            f"{did_you_mean(name, ours)} choose {', '.join(sorted(ours))}, or give a YAML file"
        ) from None


def yaml_mapping(text: str, called: str) -> dict[str, object]:
    """The mapping that a text is, as :func:`read_yaml` has it; ``called`` so in UsageError."""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{called} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UsageError(f"{called} is not a mapping of options to values")
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "it is no text"


def one_line(error: ValidationError, typed: Mapping[str, str] | None = None) -> str:
    """What pydantic refused, as one line without its links; ``typed`` is what a field was given as.

    ``{"bw": "--bw -5"}`` makes it ``--bw -5: should be greater than 0``.
    """
    told = [_refusal(dict(entry), typed or {}) for entry in error.errors(include_url=False)]
    return "; ".join(told)


def _refusal(entry: dict[str, Any], typed: Mapping[str, str]) -> str:
    # the place in a list says nothing: the value follows
    names = [part for part in entry["loc"] if isinstance(part, str)]
    given = typed.get(names[0], "") if names else ""
    where = ".".join(names[1:] if given else names)
    value = f"{entry['input']:g}" if isinstance(entry["input"], float) else entry["input"]
    said = str(entry["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    if entry["type"] == "missing":
        said = "is missing"
    elif entry["type"] == "extra_forbidden":
        said = "is no key of it"
    elif names and not given.endswith((f" {value}", f"={value}")):
        said += f" (got {entry['input']!r})"
    return f"{given}: {where} {said}".replace(":  ", ": ") if given else f"{where} {said}".strip()
