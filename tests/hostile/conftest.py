"""What every attack has: a pair of nodes, which must come out of it unharmed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.attacked import SMALL, Attacked, attacked, rehearse, told
from tests.node.loopback import free_port

_nodes: list[Attacked] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that is here is hostile."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.hostile)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the attacks did."""
    if any(node.tolls for node in _nodes):
        terminalreporter.write_line(told(_nodes))


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Attacked]]:
    """Both nodes; the UE dials the edge."""
    folder, infer = tmp_path_factory.mktemp("hostile"), f"127.0.0.1:{free_port()}"
    with (
        attacked("edge", folder, limits=SMALL) as edge,
        attacked("ue", folder, edge=edge.data, infer=infer, limits=SMALL) as ue,
    ):
        both = {"edge": edge, "ue": ue}
        rehearse(both)
        _nodes.extend(both.values())
        yield both


@pytest.fixture
def edge(pair: dict[str, Attacked]) -> Iterator[Attacked]:
    """An edge node to attack."""
    with pair["edge"].unharmed():
        yield pair["edge"]


@pytest.fixture
def ue(pair: dict[str, Attacked]) -> Iterator[Attacked]:
    """A UE node to attack."""
    with pair["ue"].unharmed():
        yield pair["ue"]
