"""What the report of a search shows: the map of what is carried, and no load of a run as a cell."""

from pathlib import Path

import pytest

from orchestrator.capacity.run import CapacityOutcome
from orchestrator.reports.html import write_report
from orchestrator.reports.page_facts import facts
from tests.browser import browse
from tests.orchestrator.capacity.simulated import asked, searched


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> CapacityOutcome:
    folder = tmp_path_factory.mktemp("report")
    return searched(asked(folder, "e2e_mean<60ms,response_mean<40ms"), folder)


def test_the_page_has_what_the_search_found(outcome: CapacityOutcome) -> None:
    (row,) = outcome.record.rows
    told = facts(outcome.folder)
    capacity = told["capacity"]
    assert isinstance(capacity, dict)
    (field,) = capacity["rows"]
    assert field["holds"] == pytest.approx(row.last_passing)
    assert field["bound"] == row.bound_by
    (line,) = capacity["lines"]
    assert len(line) == len(capacity["heads"])
    assert capacity["heads"][-2:] == ["e2e_mean ms", "response_mean ms"]
    assert told["verdict"] == {
        "word": "VALID",
        "reasons": [],
        "advice": list(outcome.verdict.advice),
    }


def test_the_runs_of_a_search_are_no_cells_of_the_page(outcome: CapacityOutcome) -> None:
    cells = facts(outcome.folder)["cells"]
    assert isinstance(cells, list)
    assert [cell["label"] for cell in cells] == ["cut (1:1)"]


def test_a_browser_draws_it(outcome: CapacityOutcome, tmp_path: Path) -> None:
    page = browse(write_report(outcome.folder).as_uri(), tmp_path)
    assert "Uncaught" not in page.said
    assert 'data-figure="capacity"' in page.dom and "What it carries" in page.dom
