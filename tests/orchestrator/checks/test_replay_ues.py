"""A sweep of several UEs is run again only where they are what they were."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.checks.replay import _check_ues
from orchestrator.results.records import CellRecord
from splitbed.errors import UsageError
from tests.orchestrator.results.test_summary import SPEC, made_cell


def cell(**second: Any) -> CellRecord:
    """Of two UEs, the second with something of its own."""
    usual = {"split": "1:1", "split_name": "cut", "codec": "raw", "link": SPEC.model_dump()}
    ues = [usual | {"name": "ue-1"}, usual | {"name": "ue-2"} | second]
    return made_cell("1:1", [10.0], ues=ues)[0]


def test_so_many_alike_are_what_the_options_say() -> None:
    _check_ues(Path("a.zip"), {"ues": [2]}, [cell(), made_cell("1:1", [10.0])[0]])


@pytest.mark.parametrize(
    ("asked", "second"),
    [({}, {}), ({"ues": [2]}, {"codec": "int8"}), ({"ues": [2]}, {"load": "fps:5"})],
)
def test_those_of_a_topology_are_not_in_the_archive(
    asked: dict[str, object], second: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match=r"the UEs of a\.zip, ue-1, ue-2, .* as --topology"):
        _check_ues(Path("a.zip"), asked, [cell(**second)])
