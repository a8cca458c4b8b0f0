"""Imports run one way, so that a room can be read without those above it."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_MODULES = 16  # 15, and a face
MOST_LINES = 300
ROUGHLY = ("splitbed", "ue_node", "edge_node", "netem", "orchestrator")
MAY_IMPORT = {
    "splitbed": set(),
    "netem": {
        "splitbed.errors",
        "splitbed.command",
        "splitbed.checked",
        "splitbed.extensions",
        "splitbed.security.addresses",
        "splitbed.workers.wanted",
    },
    "ue_node": {"splitbed", "netem.service", "netem.egress"},
    "edge_node": {"splitbed", "netem.probe", "netem.service", "netem.egress"},
    "orchestrator": {"splitbed", "netem"},
    "topologies": {"netem", "splitbed"},
}
# what both nodes serve
ALSO = {
    "netem/service.py": {
        "splitbed.node.answering",
        "splitbed.node.config",
        "splitbed.node.tcp",
        "splitbed.telemetry",
        "splitbed.v1",
    },
    "splitbed/__init__.py": {"orchestrator.api"},  # the door for programs, opened when it is used
}
# rooms of the orchestrator, from the top; a room imports those below its floor, and its own
FLOORS = (
    ("cli",),
    ("api",),
    ("scenarios", "fleet"),
    ("checks", "plan", "adapt", "capacity", "clients"),
    ("offline", "transit", "federated"),
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


def test_no_module_has_more_lines_than_one_noun_takes() -> None:
    modules = [file for package in ROUGHLY for file in (ROOT / package).rglob("*.py")]
    lines = {
        str(file.relative_to(ROOT)): file.read_text().count("\n")
        for file in modules
        if not file.stem.endswith(("_pb2", "_pb2_grpc"))  # generated
    }
    assert not {file: count for file, count in lines.items() if count > MOST_LINES}


def test_any_module_can_be_imported_first() -> None:
    files = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for room in ROUGHLY
        for file in (ROOT / room).rglob("*.py")
    }
    needed = {
        module: {
            there
            for name in at_import(ast.parse(file.read_text()).body)
            for there in (name, *ancestors(name))
            if there in files and there not in (module, *ancestors(module))
        }
        for module, file in files.items()
    }
    TopologicalSorter(needed).prepare()  # names the modules of a circle, where there is one


@pytest.mark.parametrize(
    ("words", "without"),
    [
        ("--help", {"numpy", "pydantic", "rich", "onnx"}),
        ("splits shapesnet", {"onnxruntime", "grpc", "scipy", "structlog", "rich.progress"}),
    ],
)
def test_commands_that_only_tell_something_load_little(words: str, without: set[str]) -> None:
    told = (
        "import atexit, sys; from orchestrator.cli.root import main\n"
        f"atexit.register(lambda: print('loaded', *sys.modules)); sys.argv[1:] = {words.split()}\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert loaded[0] == "loaded"
    assert not without.intersection(loaded)


def ancestors(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module


def at_import(body: Sequence[ast.stmt]) -> Iterator[str]:
    """What a module imports as it is imported, not later."""
    for node in body:
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                yield from (f"{module}.{alias.name}" for alias in node.names)
                yield module
            case ast.If() if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from at_import(node.body)
            case ast.Try():
                yield from at_import(node.body)


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found
