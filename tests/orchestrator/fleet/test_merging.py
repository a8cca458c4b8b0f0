"""What a machine measured stands in the run as if it had been measured here, each cell once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.checks.pack import pack
from orchestrator.fleet.merging import Merging
from orchestrator.measure.watcher import Watcher
from orchestrator.results.journal import Journal
from orchestrator.results.reading import read_folder
from orchestrator.results.records import CellRecord, RunRecord
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import RunError
from tests.orchestrator.made_runs import FRAMES_MS, made_run
from tests.orchestrator.written import change_run


def archive(path: Path, scale: float = 1.0) -> bytes:
    run, file = path / f"group-{scale:g}", path / f"{scale:g}.zip"
    if not file.exists():
        pack(made_run(run, scale=scale).path, file, with_model=False, with_input=False)
    return file.read_bytes()


@contextmanager
def merging(path: Path) -> Iterator[Merging]:
    folder = RunFolder(path)
    if not folder.exists:
        path.mkdir()
        model = made_run(path.with_name("of")).read_run().model
        folder.write_run(RunRecord(model=model, fleet="f", grid=tuple(FRAMES_MS)))
    with Journal(folder, folder.read_run()) as journal:
        yield Merging(journal, {}, Watcher())


def times(path: Path) -> dict[str, tuple[float, ...]]:
    return {row.split: row.samples_ms for row in read_folder(path).rows}


def test_a_group_becomes_rows_of_its_machine(tmp_path: Path) -> None:
    with merging(tmp_path / "run") as taken:
        taken.arrived("key", "a", archive(tmp_path))
    rows = read_folder(tmp_path / "run").rows
    assert {row.split: row.samples_ms for row in rows} == times(tmp_path / "group-1")
    assert {row.measured_on for row in rows} == {"a"}
    assert [*RunFolder(tmp_path / "run").read_run().machines] == ["a"]
    assert not [*(tmp_path / "run").glob(".arrived*")]


def test_what_was_half_taken_in_as_the_run_was_killed_is_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with merging(tmp_path / "run") as taken, monkeypatch.context() as patch:
        add = Journal.add_cell

        def dying(self: Journal, cell: CellRecord) -> None:
            if self.count == 1:
                raise KeyboardInterrupt
            add(self, cell)

        patch.setattr(Journal, "add_cell", dying)
        with pytest.raises(KeyboardInterrupt):
            taken.arrived("key", "a", archive(tmp_path))
    with merging(tmp_path / "run") as taken:
        taken.take_up()
    contents = RunFolder(tmp_path / "run").contents()
    assert [cell.key for cell in contents.cells] == [*FRAMES_MS]
    assert times(tmp_path / "run") == times(tmp_path / "group-1")
    with merging(tmp_path / "run") as taken:
        taken.take_up()
        assert taken.journal.count == len(FRAMES_MS)


def test_a_group_that_comes_again_with_more_adds_what_is_new(tmp_path: Path) -> None:
    with merging(tmp_path / "run") as taken:
        for _ in range(2):
            taken.arrived("key", "a", archive(tmp_path))
        assert taken.journal.count == len(FRAMES_MS)


def test_what_another_machine_measured_takes_the_place_of_all_before(tmp_path: Path) -> None:
    with merging(tmp_path / "run") as taken:
        taken.arrived("key", "a", archive(tmp_path))
        taken.arrived("key", "b", archive(tmp_path, scale=2.0))
        assert {row.measured_on for row in taken.journal.rows} == {"b"}
    assert times(tmp_path / "run") == times(tmp_path / "group-2")


def test_another_model_than_was_asked_is_refused(tmp_path: Path) -> None:
    run = made_run(tmp_path / "other")
    change_run(run, model={"name": "m", "sha256": "e" * 64})
    other = pack(run.path, None, with_model=False, with_input=False).read_bytes()
    with merging(tmp_path / "run") as taken, pytest.raises(RunError, match="another model"):
        taken.arrived("key", "a", other)
    with merging(tmp_path / "run") as taken:
        taken.take_up()  # what was refused does not stand in the way of going on
        assert taken.journal.count == 0
