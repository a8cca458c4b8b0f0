"""What may be recommended, by what it loses of the whole model's accuracy."""

import math
import re
from typing import Any

import pytest

from orchestrator.results.judgement.accuracy import (
    Fitness,
    fitness,
    frames_missing,
    what_decides,
    why_unfit,
)
from orchestrator.results.judgement.advice import advice, passed_over, untrained
from orchestrator.results.judgement.choice import choices
from orchestrator.results.judgement.verdict import advised
from orchestrator.results.rows import Row
from orchestrator.results.run_folder import RunFolder
from tests.orchestrator.results.test_summary import add_cell, folder
from tests.orchestrator.written import change_run, made_row, rows

__all__ = ["folder"]

WHOLE = {"metric": "AP", "value": 0.8, "frames": 12}
MODEL = {"name": "m", "weights": "seeded (0)"}


def lossy(value: float, reach: float = 0.001) -> dict[str, object]:
    """What a cell with a lossy codec says when it reaches this accuracy, give or take `reach`."""
    drop = 0.8 - value
    ends = {"drop": drop, "drop_low": drop - reach, "drop_high": drop + reach}
    return {"codec": "int8", "lossless": False, "accuracy": WHOLE | ends | {"value": value}}


@pytest.mark.parametrize(
    ("low", "drop", "high", "max_drop", "said"),
    [
        (0.0, 0.005, 0.01, 0.01, Fitness.FIT),
        (0.0, 0.005, 0.0101, 0.01, Fitness.UNDECIDED),
        (0.0099, 0.02, 0.03, 0.01, Fitness.UNDECIDED),
        (0.0101, 0.02, 0.03, 0.01, Fitness.TOO_LOSSY),
        (-0.03, -0.02, 0.0, 0.0, Fitness.FIT),
        (0.0, 0.005, 0.0101, 0.02, Fitness.FIT),
        (None, 0.005, None, 0.01, Fitness.UNDECIDED),
        (None, 0.0101, None, 0.01, Fitness.TOO_LOSSY),
        (None, None, None, 0.01, Fitness.UNKNOWN),
    ],
)
def test_a_row_is_fit_where_its_whole_interval_is_within_the_drop_that_was_asked(
    low: float | None, drop: float | None, high: float | None, max_drop: float, said: Fitness
) -> None:
    ends = {"accuracy_drop_low": low, "accuracy_drop": drop, "accuracy_drop_high": high}
    assert fitness(made_row(lossless=False, max_drop=max_drop, **ends)) is said


@pytest.mark.parametrize(
    ("diff", "said"), [(1e-4, Fitness.FIT), (1e-3, Fitness.FIT), (1.01e-3, Fitness.UNKNOWN)]
)
def test_a_row_whose_frames_gave_other_results_over_the_link_is_not_judged(
    diff: float, said: Fitness
) -> None:
    ends = {"accuracy_drop_low": 0.0, "accuracy_drop": 0.0, "accuracy_drop_high": 0.0}
    row = made_row(lossless=False, accuracy_link_diff=diff, **ends)
    assert fitness(row) is said
    assert ("differ by 0.001" in why_unfit(row)) is (said is Fitness.UNKNOWN)


@pytest.mark.parametrize(
    ("low", "drop", "high", "more"),
    [
        (-0.005, 0.005, 0.015, 300),  # has to shrink to a half
        (0.0, 0.02, 0.03, 300),
        (-0.01, 0.0, 0.02, 300),
        (0.0, 0.01, 0.02, None),
    ],
)
def test_frames_that_decide_are_told_by_the_root_of_their_number(
    low: float, drop: float, high: float, more: int | None
) -> None:
    ends = {"accuracy_drop_low": low, "accuracy_drop": drop, "accuracy_drop_high": high}
    row = made_row(lossless=False, accuracy_frames=100, accuracy_metric="AP", **ends)
    assert frames_missing(row) == more
    told = (
        f"about {more} more inputs (--accuracy-frames) would decide"
        if more
        else "too close for more"
    )
    assert told in what_decides(row)


@pytest.mark.parametrize(
    ("away", "reach", "more"), [(1e-4, 0.1, None), (1.001e-4, 0.1, 99_800_199), (0.003, 0.0031, 7)]
)
def test_a_loss_that_is_a_thousandth_of_its_interval_from_the_limit_is_too_close(
    away: float, reach: float, more: int | None
) -> None:
    drop = 0.01 - away
    ends = {"accuracy_drop": drop, "accuracy_drop_low": 0.0, "accuracy_drop_high": drop + reach}
    missing = frames_missing(made_row(lossless=False, accuracy_frames=100, **ends))
    assert missing == (more and pytest.approx(more, rel=1e-6))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lossless": True}, ""),
        ({"max_drop": math.inf, "accuracy_drop": 1.0}, ""),
        ({"weights": "seeded (0)", "accuracy_drop": 1.0}, "loses nobody knows how much"),
        ({}, "was not judged"),
        ({"accuracy_drop": 0.001, "accuracy_frames": 19}, "is undecided"),
        (
            {"accuracy_drop": 0.5, "accuracy_frames": 2, "accuracy_metric": "key points, near"},
            "loses 0.5 (key points, near, over 2 inputs)",
        ),
    ],
)
def test_what_keeps_a_row_from_being_recommended(changed: dict[str, Any], said: str) -> None:
    row = {"lossless": False, "accuracy_metric": "AP", "accuracy_frames": 1}
    assert why_unfit(made_row(**row | changed)) == said


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (19, "loses 0.001 (AP over 19 inputs): 20 pictures or more have an interval"),
        (20, "loses 0.001 (AP over 20 inputs): it has no interval"),
        (None, "loses 0.001 (AP): it has no interval"),
    ],
)
def test_what_would_decide_a_row_is_told_with_what_it_loses(frames: int | None, said: str) -> None:
    row = {"lossless": False, "accuracy_metric": "AP", "accuracy_drop": 0.001}
    assert what_decides(made_row(**row, accuracy_frames=frames)) == said


LOST = {"lossless": False, "accuracy_drop": 0.5, "accuracy_metric": "AP", "accuracy_frames": 9}


def faster(e2e_ms: float | None = 50.0, **changed: Any) -> Row:
    return made_row(**LOST | {"e2e_ms": e2e_ms} | changed)


@pytest.mark.parametrize(
    "other",
    [
        faster(100.0),  # no faster
        faster(lossless=True),
        faster(valid=False),
        faster(e2e_ms=None),
        faster(link="5 Mbit/s"),
        faster(ue="4x slower"),
        faster(weights="seeded (0)"),
    ],
)
def test_only_what_was_faster_under_the_same_conditions_is_passed_over(other: Row) -> None:
    best = made_row(e2e_ms=100.0)
    assert passed_over([best, other], best) == []
    (said,) = passed_over([best, other, faster(99.9)], best)
    assert said == (
        "Faster at 20 Mbit/s than cut (1:1), 100 ms, by their medians, and not recommended, since "
        "--max-drop is 0.01: cut (1:1), 100 ms, loses 0.5 (AP over 9 inputs)."
    )


def test_of_what_was_passed_over_the_three_fastest_are_named() -> None:
    best = made_row(e2e_ms=100.0, ue="4x slower")
    slowed = [faster(ms, ue="4x slower") for ms in (40.0, 10.0, 30.0)]
    (said,) = passed_over(slowed, best)
    assert re.findall("[0-9]+ ms", said) == ["100 ms", "10 ms", "30 ms", "40 ms"]
    assert said.startswith("Faster at 20 Mbit/s with the UE slowed (4x slower) than")
    assert "more" not in said
    (said,) = passed_over([*slowed, faster(20.0, ue="4x slower")], best)
    assert re.findall("[0-9]+ ms", said) == ["100 ms", "10 ms", "20 ms", "30 ms"]
    assert said.endswith("; 1 more.")


def test_seeded_weights_are_told_where_a_codec_is_lossy() -> None:
    seeded = made_row(weights="seeded (0)")
    assert untrained([seeded]) == untrained([made_row(), faster()]) == []
    assert len(untrained([seeded, faster(weights="seeded (0)")])) == 1


def test_a_single_picture_decides_nothing_and_says_so(folder: RunFolder) -> None:
    judged = {"metric": "AP", "value": 0.8, "frames": 1, "drop": 0.0}
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [90] * 3)
    add_cell(folder, "1:1", [20] * 3, codec="int8", lossless=False, accuracy=judged)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    said = advice(rows(folder))
    assert any("not recommended" in one and one.endswith("is undecided.") for one in said)
    (told,) = [one for one in said if one.startswith("Undecided")]
    assert "loses 0 (AP over 1 input): 20 pictures or more have an interval" in told


@pytest.mark.parametrize(("most", "followed"), [(1000, True), (100, False)])
def test_inputs_that_there_are_not_are_not_asked_for(
    folder: RunFolder, most: int, *, followed: bool
) -> None:
    judged = {"metric": "AP", "value": 0.795, "frames": 100, "drop": 0.005}
    ends = {"drop_low": -0.005, "drop_high": 0.015}
    change_run(folder, whole_accuracy=WHOLE, most_inputs=most)
    add_cell(folder, "1:1", [20] * 3, codec="int8", lossless=False, accuracy=judged | ends)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    said = advised(folder.read_run(), rows(folder))
    (told,) = [one for one in said if one.startswith("Undecided")]
    assert ("about 300 more inputs (--accuracy-frames) would decide" in told) is followed
    assert ("no more than 100 can be judged: give a larger --input" in told) is not followed


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
        "Faster at 8 Mbit/s than cut 2:0, 80 ms, by their medians, and not recommended, since "
        "--max-drop is 0.01: cut 1:1 (1:1) as int8, 20 ms, loses 0.8 [0.799 to 0.801] "
        "(AP over 12 inputs)."
    )


def test_where_every_row_loses_too_much_that_is_said_once(folder: RunFolder) -> None:
    change_run(folder, whole_accuracy=WHOLE)
    for split, ms in (("0:2", 90), ("1:1", 20), ("2:0", 80)):
        add_cell(folder, split, [ms] * 3, **lossy(0.0))
    assert advice(rows(folder))[:1] == [
        "Nothing is advised at 8 Mbit/s, since nothing measured is known to lose no more than "
        "--max-drop, 0.01: cut 1:1 (1:1) as int8, 20 ms, loses 0.8 [0.799 to 0.801] (AP over 12 "
        "inputs); cut 2:0 as int8, 80 ms, loses 0.8 [0.799 to 0.801] (AP over 12 inputs); cut 0:2 "
        "as int8, 90 ms, loses 0.8 [0.799 to 0.801] (AP over 12 inputs)."
    ]


def test_where_nothing_is_fit_what_would_decide_the_undecided_is_told(folder: RunFolder) -> None:
    judged = {"metric": "AP", "value": 0.8, "frames": 1, "drop": 0.0}
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "1:1", [20] * 3, codec="int8", lossless=False, accuracy=judged)
    add_cell(folder, "2:0", [80] * 3, **lossy(0.0))
    none, undecided, *_ = advice(rows(folder))
    assert none.startswith("Nothing is advised at 8 Mbit/s")
    assert undecided.startswith("Undecided") and "cut 1:1 (1:1) as int8 loses 0 " in undecided


def test_a_network_anchor_that_sees_less_is_no_rival_and_says_what_it_lost(
    folder: RunFolder,
) -> None:
    change_run(folder, whole_accuracy=WHOLE)
    add_cell(folder, "0:2", [30] * 3, **lossy(0.7))
    add_cell(folder, "1:1", [50] * 3)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    said = advice(rows(folder))
    assert "1.60 times (1.53 to 1.68) as fast as the cut 2:0" in said[0]
    assert "as int8 (0.100) the input loses more accuracy" in said[0]
    assert "cut 0:2 as int8, 30 ms, loses 0.1 [0.099 to 0.101] (AP over 12 inputs)" in said[1]
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
