"""Public signatures say what they take and give."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("package", ["orchestrator", "splitbed"])
def test_no_public_signature_says_any(package: str) -> None:
    files = [f for f in (ROOT / package).rglob("*.py") if f.parent.name != "v1"]
    found = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in files
        for line in _lines_with_any(ast.parse(file.read_text()).body)
    ]
    assert not found


def _lines_with_any(body: list[ast.stmt]) -> Iterator[int]:
    for node in body:
        match node:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield from _lines_with_any(node.body)
            case ast.FunctionDef(name=name, args=args) if name == "__init__" or name[0] != "_":
                every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
                said = [one.annotation for one in every if one] + [node.returns]
                if any(_is_any(one) for one in said if one):
                    yield node.lineno
            case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                if _is_any(node.annotation):
                    yield node.lineno
            case ast.Assign(targets=[ast.Name(id=name)]) if not name.startswith("_"):
                if _is_any(node.value):
                    yield node.lineno


def _is_any(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("NDArray"):
        return False  # an array of whatever numbers there are
    if isinstance(node, ast.Name):
        return node.id == "Any"
    return any(
        _is_any(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
    )
