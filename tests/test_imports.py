"""Imports run one way, so that a room can be read without those above it."""

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_MODULES = 19  # about 15, and a face
ROUGHLY = ("splitbed", "ue_node", "edge_node", "netem", "orchestrator")
MAY_IMPORT = {
    "splitbed": set(),
    "netem": {"splitbed.errors", "splitbed.command", "splitbed.checked", "splitbed.extensions"},
    "ue_node": {
        "splitbed",
        "netem.probe",
        "netem.proof",
        "netem.spec",
        "netem.service",
        "netem.egress",
    },
    "edge_node": {"splitbed", "netem.probe", "netem.service", "netem.egress"},
    "orchestrator": {"splitbed", "netem"},
    "topologies": {"netem", "splitbed"},
}
# what both nodes serve
ALSO = {
    "netem/service.py": {"splitbed.node.host", "splitbed.node.config", "splitbed.v1"},
    "splitbed/__init__.py": {"orchestrator.api"},  # the door for programs, opened when it is used
}
# rooms of the orchestrator, from the top; a room imports those below its floor, and its own
FLOORS = (
    ("cli",),
    ("api",),
    ("scenarios",),
    ("checks", "plan", "adapt"),
    ("offline",),
    ("reports",),
    ("measure",),
    ("testbed",),
    ("results",),
    ("ask",),
)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        allowed = MAY_IMPORT[room] | {room} | ALSO.get(str(file.relative_to(ROOT)), set())
        for module in imported(file):
            ours = module.split(".")[0] in MAY_IMPORT
            assert not ours or any(
                module == name or module.startswith(name + ".") for name in allowed
            ), f"{file.relative_to(ROOT)} imports {module}"


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_a_room_of_the_orchestrator_imports_only_floors_below(floor: int) -> None:
    below = {room for rooms in FLOORS[floor + 1 :] for room in rooms}
    for room in FLOORS[floor]:
        for file in (ROOT / "orchestrator" / room).rglob("*.py"):
            for module in imported(file):
                first, _, rest = module.partition(".")
                where = rest.partition(".")[0]
                assert first != "orchestrator" or where in below | {room}, (
                    f"{file.relative_to(ROOT)} imports {module}"
                )


def test_every_room_of_the_orchestrator_is_on_a_floor() -> None:
    rooms = {file.parent.name for file in (ROOT / "orchestrator").glob("*/__init__.py")}
    assert rooms == {room for floor in FLOORS for room in floor}


def test_no_folder_has_more_modules_than_a_newcomer_can_look_over() -> None:
    for package in ROUGHLY:
        counts = Counter(file.parent for file in (ROOT / package).rglob("*.py"))
        full = {str(f.relative_to(ROOT)): n for f, n in counts.items() if n > MOST_MODULES}
        assert not full


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
