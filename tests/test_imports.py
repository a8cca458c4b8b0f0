"""Imports run one way, so that a room can be read without those above it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "splitbed": set(),
    "netem": {"splitbed.errors", "splitbed.command"},
    "ue_node": {"splitbed", "netem.probe", "netem.proof", "netem.spec"},
    "edge_node": {"splitbed", "netem.probe"},
    "orchestrator": {"splitbed", "netem"},
    "topologies": {"netem", "splitbed"},
}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    for file in (ROOT / room).rglob("*.py"):
        for module in imported(file):
            ours = module.split(".")[0] in MAY_IMPORT
            assert not ours or any(
                module == name or module.startswith(name + ".") for name in allowed
            ), f"{file.relative_to(ROOT)} imports {module}"


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
