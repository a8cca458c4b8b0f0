"""A sweep of several UEs is run again only where they are what they were; of a load as it was."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.grid import Cell
from orchestrator.ask.load import load_named
from orchestrator.checks.replay import _check_ues, _loads
from orchestrator.measure.sweep import keep_traces
from orchestrator.results.records import CellRecord
from orchestrator.results.run_folder import RunFolder
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


def test_a_trace_is_that_of_the_archive_and_known_by_the_name_that_it_had(tmp_path: Path) -> None:
    (file := tmp_path / "t.txt").write_text("0\n0.1\n0.30000000000000004\n")
    asked = {"load": [f"trace:{file}", "fps:3"]}
    load = load_named(asked["load"][0])
    keep_traces([Cell(Configuration(1, 2, "cut", load=load), 0)], RunFolder(tmp_path / "run"))
    file.write_text("0\n")
    [kept, other] = _loads(asked, tmp_path / "run")["load"]
    assert load_named(kept) == load
    assert other == "fps:3"
    assert load_named(_loads(asked, None)["load"][0]).open  # until it is unpacked
    assert _loads(asked, tmp_path) == asked  # of an archive that has none
