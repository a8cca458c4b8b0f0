"""Imports run one way, so that a room can be read without those above it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "splitbed": set(),
    "netem": {"splitbed.errors", "splitbed.command", "splitbed.checked"},
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
ALSO = {"netem/service.py": {"splitbed.node.host", "splitbed.node.config", "splitbed.v1"}}


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_is_below_it(room: str) -> None:
    for file in (ROOT / room).rglob("*.py"):
        allowed = MAY_IMPORT[room] | {room} | ALSO.get(str(file.relative_to(ROOT)), set())
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
