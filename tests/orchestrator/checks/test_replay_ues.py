"""A sweep of several UEs is run again only where they are what they were; of a load as it was."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.ask.load import load_named
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.checks.pack import _of_run
from orchestrator.checks.replay import _any_loads, _check_ues
from orchestrator.measure.sweep import read_config
from orchestrator.results.records import CellRecord
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import UsageError
from tests.orchestrator.results.test_summary import SPEC, made_cell
from tests.orchestrator.written import write_run


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


@pytest.mark.parametrize(
    "names", [["t.txt"], [".t.txt"], ["n" * 250], ["a/t.txt", "b/t.txt"], ["a@12345678.txt"]]
)
def test_a_trace_is_that_of_the_run_and_known_by_the_name_that_it_had(
    names: list[str], tmp_path: Path
) -> None:
    for count, name in enumerate(names, 2):
        (file := tmp_path / name).parent.mkdir(exist_ok=True)
        file.write_text("".join(f"{time / 3}\n" for time in range(12 * count)))
    asked = {"model": "m", "load": [*(f"trace:{tmp_path / name}" for name in names), "fps:3"]}
    config = sweep_config(asked)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    kept = {word: folder.write_trace(text) for word, text in config.traces.items()}
    write_run(folder, asked=asked, traces=kept)
    for name in names:
        (tmp_path / name).unlink()
    again = read_config(folder.path)
    assert again.loads == config.loads
    assert {*again.traces.values()} == {*config.traces.values()}
    assert {f"traces/{name}" for name in kept.values()} < {name for name, _ in _of_run(folder.path)}
    assert all(load_named(one).open for one in _any_loads(asked)["load"])  # until it is unpacked


def test_an_edited_trace_is_another_whatever_its_name(tmp_path: Path) -> None:
    found = set()
    for times in ("0\n1\n", "0\n2\n"):
        (file := tmp_path / "a@12345678.txt").write_text(times)
        found.add(load_named(f"trace:{file}").trace_text)
    assert len(found) == 2
