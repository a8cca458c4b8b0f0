"""How far two runs may lie apart, just inside and just outside."""

from pathlib import Path

import pytest

from orchestrator.checks.tolerances import Tolerance, read_tolerances
from splitbed.errors import UsageError


@pytest.mark.parametrize(
    ("absolute", "relative", "a", "b", "agree"),
    [
        (0, 0, 5, 5, True),
        (0, 0, 5, 5.0001, False),
        (3, 0, 10, 12, True),
        (3, 0, 10, 13, True),
        (3, 0, 10, 13.01, False),
        (3, 0, 13, 10, True),
        (0, 0.25, 100, 75, True),
        (0, 0.25, 75, 100, True),
        (0, 0.25, 100, 74.99, False),
        (0, 0.25, -100, -75, True),
        (0, 0.25, -100, -74.99, False),
        (0, 0.25, 0, 0, True),
        (3, 0.25, 1, 4, True),  # either suffices
        (3, 0.25, 100, 80, True),
        (3, 0.25, 10, 6, False),
    ],
)
def test_either_bound_suffices(
    absolute: float, relative: float, a: float, b: float, agree: bool
) -> None:
    assert Tolerance(absolute=absolute, relative=relative).agrees(a, b) is agree


def test_what_is_not_said_is_no_room() -> None:
    assert Tolerance() == Tolerance(absolute=0.0, relative=0.0, same_machine=False)


@pytest.mark.parametrize(
    ("absolute", "relative", "words"),
    [(3, 0.1, "± 3 or 10 %"), (3, 0, "± 3"), (0, 0.1, "10 %"), (0, 0, "equal")],
)
def test_a_tolerance_is_told_in_words(absolute: float, relative: float, words: str) -> None:
    assert Tolerance(absolute=absolute, relative=relative).words == words


def written(folder: Path, text: str) -> Path:
    (file := folder / "tolerances.yaml").write_text(text)
    return file


def test_those_of_a_file_and_of_a_scenario_go_before(tmp_path: Path) -> None:
    usual = read_tolerances(None)
    text = "metrics: {e2e_ms: {relative: 0.5}}\nscenarios: {9.9: {e2e_ms: {absolute: 1}}}"
    own = read_tolerances(written(tmp_path, text.replace("9.9", "'9.9'")))
    assert own.of(None)["e2e_ms"] == Tolerance(relative=0.5)
    assert own.of("9.9")["e2e_ms"] == Tolerance(absolute=1)
    assert own.of("another") == own.of(None)
    kept = {name: one for name, one in usual.of(None).items() if name != "e2e_ms"}
    assert kept.items() <= own.of(None).items()
    for clause, held in usual.scenarios.items():
        assert own.scenarios[clause] == held
    assert read_tolerances(written(tmp_path, "")) == usual


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("metrics: {colour: {absolute: 1}}", "summary.csv does not have: colour"),
        ("scenarios: {a: {colour: {absolute: 1}}}", "summary.csv does not have: colour"),
        ("metrics: {e2e_ms: {absolute: -1}}", "cannot be used"),
        ("metrics: {e2e_ms: {relative: -1}}", "cannot be used"),
        ("metrics: [", "the tolerances .* is not YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_tolerances(written(tmp_path, text))
    with pytest.raises(UsageError, match="cannot read the tolerances"):
        read_tolerances(tmp_path / "nowhere.yaml")
