"""A fresh machine gets what pyproject.toml asks for: the locks hold all of it."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[\w.-]+")


def named(requirements: list[str]) -> set[str]:
    """The names of the packages, as pip writes them."""
    found = [match[0] for line in requirements if (match := NAME.match(line))]
    return {name.lower().replace("_", "-") for name in found}


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ("dev", "video", "otel", "speech")),
        ("requirements-tflite-runtime.lock", ("dev", "tflite-runtime")),
    ],
)
def test_a_lock_holds_what_its_extras_need(lock: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = named(project["dependencies"])
    for extra in extras:
        asked |= named(project["optional-dependencies"][extra])
    assert asked - named((ROOT / lock).read_text().splitlines()) == set(), "make lock"
