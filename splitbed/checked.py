"""Configuration: YAML, checked by frozen models; what they refuse is told in one line."""

from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from splitbed.errors import UsageError


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


def read_yaml(file: Path) -> dict[str, object]:
    """The mapping in a YAML file, with ``_`` for ``-`` in its keys; UsageError when it is none."""
    try:
        content = yaml.safe_load(file.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot read the configuration {file}: {reason}") from None
    if not isinstance(content, dict):
        raise UsageError(f"the configuration {file} is not a mapping of options to values")
    return {str(key).replace("-", "_"): value for key, value in content.items()}


def one_line(error: ValidationError) -> str:
    """What pydantic refused, as one line without its links."""
    return "; ".join(_refusal(dict(entry)) for entry in error.errors(include_url=False))


def _refusal(entry: dict[str, Any]) -> str:
    # the place in a list says nothing: the value follows
    where = ".".join(part for part in entry["loc"] if isinstance(part, str))
    if entry["type"] == "missing":
        return f"{where} is missing"
    if entry["type"] == "extra_forbidden":
        return f"{where} is no key of it"
    said = str(entry["msg"]).removeprefix("Value error, ").replace("Input should", "should")
    return f"{where} {said} (got {entry['input']!r})" if where else said
