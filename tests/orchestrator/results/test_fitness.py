"""What may be recommended, by what it loses of the whole model's accuracy."""

import pytest

from orchestrator.results.judgement.accuracy import Fitness, fitness
from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.choice import choices
from orchestrator.results.run_folder import RunFolder
from tests.orchestrator.results.test_summary import add_cell, folder
from tests.orchestrator.written import change_run, made_row, rows

__all__ = ["folder"]

WHOLE = {"metric": "AP", "value": 0.8, "frames": 12}
MODEL = {"name": "m", "weights": "seeded (0)"}


def lossy(value: float | None) -> dict[str, object]:
    """What a cell with a lossy codec says when it reaches this accuracy."""
    return {"codec": "int8", "lossless": False, "accuracy": WHOLE | {"value": value}}


@pytest.mark.parametrize(
    ("drop", "max_drop", "said"),
    [
        (0.0099, 0.01, Fitness.FIT),
        (0.01, 0.01, Fitness.FIT),
        (0.0101, 0.01, Fitness.TOO_LOSSY),
        (-0.02, 0.0, Fitness.FIT),
        (0.02, 0.02, Fitness.FIT),
        (None, 0.01, Fitness.UNKNOWN),
    ],
)
def test_a_row_is_fit_up_to_the_drop_that_was_asked(
    drop: float | None, max_drop: float, said: Fitness
) -> None:
    assert fitness(made_row(lossless=False, accuracy_drop=drop, max_drop=max_drop)) is said


def test_seeded_weights_tell_nothing_of_a_lossy_codec_and_a_lossless_row_is_fit() -> None:
    seeded = {"weights": "seeded (0)", "accuracy_drop": 0.0}
    assert fitness(made_row(lossless=False, **seeded)) is Fitness.UNKNOWN
    assert fitness(made_row(lossless=True, **seeded)) is Fitness.FIT


def test_a_split_that_lost_its_accuracy_is_named_and_not_recommended(folder: RunFolder) -> None:
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [90] * 3)
    add_cell(folder, "1:1", [20] * 3, **lossy(0.0))
    add_cell(folder, "2:0", [80] * 3, codec="none")
    (choice,) = choices(rows(folder))
    assert choice.best is not None
    assert choice.best.split == "2:0"
    assert choice.split is None
    (said,) = [line for line in advice(rows(folder)) if "not recommended" in line]
    assert said == (
        "Faster at 8 Mbit/s, and not recommended, since --max-drop is 0.01: cut 1:1 (1:1) as int8, "
        "20 ms, loses 0.8 (AP over 12 inputs)."
    )


def test_a_network_anchor_that_sees_less_is_no_rival_and_says_what_it_lost(
    folder: RunFolder,
) -> None:
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [30] * 3, **lossy(0.7))
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    said = advice(rows(folder))
    assert "1.60 times (1.60 to 1.60) as fast as the cut 2:0" in said[0]
    assert "as int8 (0.100) the input loses more accuracy" in said[0]
    assert "cut 0:2 as int8, 30 ms, loses 0.1 (AP over 12 inputs)" in said[1]
    by_split = {row.split: row for row in rows(folder)}
    assert by_split["1:1"].best_anchor == "cut 2:0"


def test_a_network_anchor_that_is_fit_says_what_its_input_lost(folder: RunFolder) -> None:
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [30] * 3, **lossy(0.797))
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    assert (
        "the cut 0:2 with its input as int8 (0.003 less AP over 12 inputs)"
        in (advice(rows(folder))[0])
    )


def test_seeded_weights_are_told_once_with_what_would_help(folder: RunFolder) -> None:
    change_run(folder, model=MODEL, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [90] * 3)
    add_cell(folder, "1:1", [20] * 3, **lossy(0.8))
    add_cell(folder, "2:0", [80] * 3, codec="none")
    (choice,) = choices(rows(folder))
    assert choice.best is not None
    assert choice.best.split == "2:0"
    (said,) = [line for line in advice(rows(folder)) if "seeded" in line]
    assert "never recommended; --weights FILE takes trained ones" in said
