"""A fresh machine gets what pyproject.toml asks for: the locks hold all of it."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[\w.-]+")


def named(requirements: list[str]) -> set[str]:
    """The names of the packages, as pip writes them."""
    found = [match[0] for line in requirements if (match := NAME.match(line))]
    return {name.lower().replace("_", "-") for name in found}


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("requirements.lock", ("dev", "build", "video", "otel", "speech", "parquet", "pandas")),
        ("requirements-tflite-runtime.lock", ("dev", "build", "tflite-runtime")),
        ("requirements-node.lock", ("build", "video")),
        ("requirements-openvino.lock", ("dev", "build", "openvino")),
    ],
)
def test_a_lock_holds_what_its_extras_need(lock: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = named(project["dependencies"])
    for extra in extras:
        asked |= named(project["optional-dependencies"][extra])
    if "openvino" in extras:
        asked.remove("onnxruntime")  # whose files the other package has
    assert asked - named((ROOT / lock).read_text().splitlines()) == set(), "make lock"


@pytest.mark.parametrize(
    "extra",
    (
        *("torch", "mininet", "vmaf", "loadgen", "text", "spark", "mutants", "supply", "triton"),
        *("nnc", "gpu", "ray", "slurm"),
    ),
)
def test_what_is_installed_beside_a_lock_has_one_of_its_own(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / f"requirements-{extra}.lock").read_text().splitlines()
    assert named(project["optional-dependencies"][extra]) <= named(lock), "make lock"


@pytest.mark.parametrize(
    "lock", sorted(ROOT.glob("requirements*.lock")), ids=lambda lock: lock.stem
)
def test_every_package_of_a_lock_has_hashes(lock: Path) -> None:
    entries = re.findall(r"^[\w.-]+==.*(?:\n .*)*", lock.read_text(), re.M)
    assert entries
    assert [one for one in entries if "--hash=sha256:" not in one] == []


def test_what_splitbed_needs_is_under_no_gpl() -> None:
    needed, found = ["splitbed"], dict[str, str]()
    while needed:
        if (name := needed.pop()) in found:
            continue
        found[name] = _terms(metadata.metadata(name))
        wanted = map(Requirement, metadata.requires(name) or ())
        needed += [
            one.name.lower()
            for one in wanted
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    assert "numpy" in found
    assert {name: terms for name, terms in found.items() if "GPL" in terms} == {}


def _terms(told: metadata.PackageMetadata) -> str:
    """Not the text of a licence, which may name others."""
    facts = told.json
    classifiers = [one for one in facts.get("classifier", ()) if one.startswith("License")]
    expression = facts.get("license_expression") or "; ".join(classifiers)
    return str(expression or facts.get("license", "")).partition("\n")[0]


def test_every_package_of_the_lock_stands_on_the_page_of_licences() -> None:
    page = (ROOT / "docs/licences.md").read_text()
    listed = named([line[2:] for line in page.splitlines() if line.startswith("| ")])
    installed = named((ROOT / "requirements.lock").read_text().splitlines())
    here = {one.metadata["Name"].lower().replace("_", "-") for one in metadata.distributions()}
    told = {name.replace(".", "-") for name in listed}
    assert {name for name in installed & here if name.replace(".", "-") not in told} == set(), (
        "make sbom"
    )
