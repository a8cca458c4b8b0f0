"""A search on a simulated pair, and the folder that it leaves."""

import csv
from pathlib import Path

import pytest

from orchestrator.capacity.run import CapacityOutcome
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import NodeError
from tests.orchestrator.capacity.simulated import E2E_MS, SERVICE_MS, Simulated, asked, searched

LIMIT = "response_mean<30ms"  # of a server that takes each 10 ms: at a load of 0.8
CARRIES = 80.0


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open() as file:
        return [*csv.DictReader(file)]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> CapacityOutcome:
    folder = tmp_path_factory.mktemp("searched")
    return searched(asked(folder, "response_mean<60ms"), folder)


def test_evenly_spaced_frames_are_carried_up_to_what_the_server_does(
    outcome: CapacityOutcome,
) -> None:
    (row,) = outcome.record.rows
    assert row.last_passing == pytest.approx(1e3 / SERVICE_MS, rel=0.03)
    assert row.first_failing is not None and row.last_passing is not None
    assert row.last_passing < row.first_failing <= 1.021 * row.last_passing
    assert (row.confirmed, row.confirming) == (5, 5)
    assert outcome.exit_code == 0


def test_what_bounds_it_is_told(outcome: CapacityOutcome) -> None:
    (row,) = outcome.record.rows
    assert "response_mean" in row.bound_by or "not sustained" in row.bound_by
    assert row.why in outcome.verdict.advice[0]


def test_little_s_law_is_checked(outcome: CapacityOutcome) -> None:
    (row,) = outcome.record.rows
    assert row.under_way == pytest.approx(row.by_law, rel=0.05)
    assert "rate x time in system" in row.law


def test_every_run_is_in_the_tables(outcome: CapacityOutcome) -> None:
    (row,) = outcome.record.rows
    trials = table(outcome.folder, "trials.csv")
    assert len(trials) == row.runs
    confirming = [one for one in trials if float(one["load"]) == row.last_passing]
    assert [one["held"] for one in confirming] == ["True"] * 6
    (line,) = table(outcome.folder, "capacity.csv")
    assert float(line["last_passing"]) == row.last_passing
    rows = table(outcome.folder, "summary.csv")
    assert {float(one["load"].split(":")[1].split(",")[0]) for one in rows if one["load"]} == {
        float(one["load"]) for one in trials
    }


def test_the_folder_tells_it_again(outcome: CapacityOutcome) -> None:
    assert RunFolder(outcome.folder).read_capacity() == outcome.record


def test_frames_that_come_at_random_wait_as_the_closed_form_says(tmp_path: Path) -> None:
    wanted = asked(tmp_path, LIMIT, load="poisson", seconds=20)
    (row,) = searched(wanted, tmp_path).record.rows
    # runs of 20 s differ: by more than what a search of long ones is told apart by
    assert row.last_passing == pytest.approx(CARRIES, rel=0.1)


def test_a_time_that_no_load_keeps_is_told(tmp_path: Path) -> None:
    found = searched(asked(tmp_path, "e2e_mean<5ms"), tmp_path)
    (row,) = found.record.rows
    assert row.last_passing is None and row.bound_by == "e2e_mean" and row.runs == 0
    assert "a frame alone takes 12 ms at least" in found.verdict.advice[0]


def test_a_run_that_fails_as_a_whole_is_made_again(tmp_path: Path) -> None:
    (row,) = searched(asked(tmp_path, LIMIT), tmp_path, Simulated(fail={3})).record.rows
    assert row.last_passing == pytest.approx(1e3 / SERVICE_MS, rel=0.03)


def test_a_run_that_could_not_be_measured_is_made_again(tmp_path: Path) -> None:
    wanted = asked(tmp_path, "response_mean<55ms", load="fps:20", ues="1:2")
    (row,) = searched(wanted, tmp_path, engine := Simulated(unexplained={1, 3, 4})).record.rows
    assert (row.last_passing, row.first_failing, row.error) == (2, None, "")
    assert engine.visits == row.runs + 1 + 3


def test_a_load_that_cannot_be_measured_is_no_answer(tmp_path: Path) -> None:
    wanted = asked(tmp_path, "response_mean<55ms", load="fps:20", ues="1:2")
    found = searched(wanted, tmp_path, engine := Simulated(unexplained=range(3, 100)))
    (row,) = found.record.rows
    assert "2 UEs of 20 a second could not be measured" in row.error and "unexplained" in row.error
    assert (row.last_passing, row.first_failing, row.bound_by, row.why) == (None, None, "", "")
    assert (found.exit_code, found.verdict.word) == (1, "INVALID")
    assert "no answer" in found.verdict.advice[0]
    assert [one["held"] for one in table(tmp_path, "trials.csv")] == ["True", ""]
    assert engine.visits == 5

    (row,) = searched(wanted, tmp_path, Simulated()).record.rows
    assert (row.last_passing, row.error) == (2, "")


def test_a_pair_that_fails_alone_has_no_answer(tmp_path: Path) -> None:
    found = searched(asked(tmp_path, LIMIT), tmp_path, Simulated(fail={1, 2, 3}))
    (row,) = found.record.rows
    assert row.error == "a node died" and found.exit_code == 1
    assert "no answer" in found.verdict.advice[0]


def test_a_search_that_was_stopped_goes_on(tmp_path: Path) -> None:
    wanted = asked(tmp_path, LIMIT)
    stopped = searched(wanted, tmp_path, Simulated(stops=8))
    assert isinstance(stopped.stopped, NodeError) and stopped.exit_code == 1
    assert not stopped.record.rows
    going_on = Simulated()
    (row,) = searched(wanted, tmp_path, going_on).record.rows
    assert row.last_passing == pytest.approx(1e3 / SERVICE_MS, rel=0.03)
    assert going_on.visits == row.runs + 1 - 7  # with the one of single frames


def test_as_many_ues_are_carried_as_the_server_has_time_for(tmp_path: Path) -> None:
    # of 20 frames a second each, all due at once: the fifth's is done after 50 ms
    wanted = asked(tmp_path, "response_mean<55ms,e2e_mean<20ms", load="fps:20", ues="2:8")
    found = searched(wanted, tmp_path)
    (row,) = found.record.rows
    assert (row.over, row.last_passing, row.first_failing) == ("ues", 5, 6)
    assert (row.e2e_ms, row.ues, row.link) == (E2E_MS, 1, "20 Mbit/s")  # of one UE alone
    assert "carries 5 UEs of 20 frames/s" in found.verdict.advice[0]
    assert row.delivered_fps == pytest.approx(100, rel=0.05)


def test_a_rate_of_several_ues_begins_with_what_one_of_them_takes_alone(tmp_path: Path) -> None:
    # one after another a frame of four takes 48 ms, alone 12
    wanted = asked(tmp_path, "response_mean<60ms,e2e_mean<20ms", ues="4")
    found = searched(wanted, tmp_path)
    (row,) = found.record.rows
    assert (row.e2e_ms, row.ues, row.link) == (E2E_MS, 4, "20 Mbit/s, shared by 4 UEs")
    assert row.last_passing == pytest.approx(1e3 / SERVICE_MS / 4, rel=0.03)
    first = table(found.folder, "trials.csv")[0]
    assert float(first["load"]) == pytest.approx(1e3 / E2E_MS / 4 / 2, rel=0.01)


def test_a_frame_that_may_be_lost_hides_no_fault(tmp_path: Path) -> None:
    found = searched(asked(tmp_path, "e2e_mean<60ms"), tmp_path, Simulated(spoiled=True))
    (row,) = found.record.rows
    assert row.last_passing is None and row.bound_by == ""
    assert "split output differs" in row.error
