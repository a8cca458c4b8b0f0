"""What the pages name is there."""

import re
from pathlib import Path

import pytest

from orchestrator.reports.columns_page import columns_page
from tests.docs.pages import PAGES, ROOT

PACKAGES = ("edge_node", "netem", "orchestrator", "splitbed", "topologies", "ue_node")
PLACES = (*PACKAGES, "deploy", "docs", "proto", "scripts", "tests")
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
EXTENDING = ROOT / "docs" / "extending.md"
DEPLOY = ROOT / "deploy" / "README.md"


def rooms() -> list[str]:
    """The packages, and the rooms of those that have any."""
    found = []
    for package in PACKAGES:
        inner = sorted((ROOT / package).glob("*/__init__.py"))
        found += [f"{package}/{file.parent.name}/" for file in inner] or [f"{package}/"]
    return found


@pytest.mark.parametrize("page", [*PAGES, DEPLOY], ids=lambda page: page.name)
def test_each_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target.partition("#")[0]).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_is_named_is_there(page: Path) -> None:
    for path in paths_in(page.read_text()):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_the_architecture_names_every_room_and_no_other() -> None:
    text = ARCHITECTURE.read_text()
    missing = [room for room in rooms() if f"`{room}`" not in text]
    assert not missing


@pytest.mark.parametrize("page", [ARCHITECTURE, EXTENDING], ids=lambda page: page.name)
def test_what_a_file_is_said_to_hold_is_in_it(page: Path) -> None:
    named = re.findall(r"`(\w+)`\s+of\s+`([\w./]+\.py)`", page.read_text())
    assert named
    for name, path in named:
        assert re.search(rf"\b{name}\b", (ROOT / path).read_text()), f"{path} has no {name}"


def test_each_group_of_entry_points_is_told() -> None:
    code = [file.read_text() for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    tables = [text for text in code if "Extensible(" in text]
    groups = {name for text in tables for name in re.findall(r'"(splitbed\.\w+)"', text)}
    told = re.findall(r"^\| `(splitbed\.\w+)` \|", EXTENDING.read_text(), re.MULTILINE)
    assert set(told) == groups


def test_the_page_of_rows_is_that_of_their_declarations() -> None:
    """`make docs` writes it anew."""
    assert (ROOT / "docs" / "rows.md").read_text() == columns_page()


def test_the_readme_leads_to_every_page() -> None:
    readme = (ROOT / "README.md").read_text()
    pages = [page.relative_to(ROOT) for page in PAGES if page.name != "README.md"]
    assert [page for page in pages if f"({page})" not in readme] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def paths_in(text: str) -> list[str]:
    """The files and folders of this repository that are named as code, or typed."""
    roots = "|".join(PLACES)
    return re.findall(rf"(?<![\w/.-])((?:{roots})/[\w./-]*[\w/])", text)
