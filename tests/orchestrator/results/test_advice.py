"""What a run advises, and how far it says that its numbers can be trusted."""

from typing import Any

import pytest

from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.verdict import judge_run
from orchestrator.results.run_folder import RunFolder
from tests.orchestrator.reports.test_html import told_of
from tests.orchestrator.results.test_summary import add_cell, folder
from tests.orchestrator.written import change_run, made_row, rows

__all__ = ["folder"]


def anchor_row(link: str, low_ms: float, e2e_ms: float, high_ms: float, **changed: Any) -> Any:
    """A row of the device anchor with its interval."""
    told = {"split": "2:0", "split_name": "device anchor", "codec": "none", "link": link}
    times = {"e2e_low_ms": low_ms, "e2e_ms": e2e_ms, "e2e_high_ms": high_ms, "frames": 3}
    bound = {"bound_ms": e2e_ms, "e2e_over_bound": 1.0}
    return made_row(**told | times | bound | changed)


def test_what_intervals_do_not_set_apart_is_neither_won_nor_lost(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [40, 42, 44])
    add_cell(folder, "2:0", [43, 45, 41], codec="none")
    assert advice(rows(folder)) == [
        "At 8 Mbit/s the best split, cut 1:1 (1:1), and the cut 2:0 cannot be told apart: 42 ms "
        "(40 to 44, range of 3) and 43 ms (41 to 45, range of 3), the cut 0:2 with its input raw "
        "100 ms; more frames of this run would not tell so little; --blocks 5 may."
    ]
    (choice,) = told_of(folder)["choices"]
    assert choice["sure"] is False


def test_the_page_is_as_sure_of_a_choice_as_the_advice(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [40, 42, 44])
    add_cell(folder, "2:0", [47, 49, 52], codec="none")
    assert "1.17 times (1.10 to 1.25) as fast" in advice(rows(folder))[0]
    (choice,) = told_of(folder)["choices"]
    assert choice["sure"] is True


def test_late_cells_are_counted_by_both_limits_that_are_told(folder: RunFolder) -> None:
    sent = {"encoded_bytes": 1000}
    add_cell(folder, "0:2", [100] * 3, **sent)
    add_cell(folder, "1:1", [19] * 3, **sent)  # late by its ratio, not by 10 ms
    said = [line for line in advice(rows(folder)) if "physical floor" in line]
    assert len(said) == 1
    assert said[0].startswith(
        "1 of 2 cells took over 1.05 times its physical floor and over 10 ms more than it"
    )
    assert all((row.e2e_over_bound or 0) > 1.05 for row in rows(folder))


def test_where_a_race_is_not_sure_advice_is_only_of_what_was_measured(folder: RunFolder) -> None:
    add_cell(folder, "0:2", [100] * 3)
    add_cell(folder, "1:1", [40, 42, 44])
    add_cell(folder, "2:0", [47, 49, 52], codec="none")
    asked = {"link": "8 Mbit/s", "ue": "", "best": "cut 1:1 (1:1)", "best_ms": 42.0}
    change_run(folder, raced=[asked])
    assert told_of(folder)["verdict"]["advice"][0].startswith("At 8 Mbit/s cut at")
    change_run(folder, raced=[asked | {"may_win": ["another"]}])
    said = told_of(folder)["verdict"]["advice"]
    assert said[0].startswith("Of what was measured, at 8 Mbit/s cut at")
    assert any("another may be faster" in one for one in said)


def test_a_link_that_was_as_asked_only_when_measured_again_is_told() -> None:
    table = [made_row(link_attempts=1), made_row(link_attempts=2), made_row(split_name="late")]
    assert advice(table) == [
        "1 of 3 cells had a link that was as asked only when measured again, cut at "
        "20 Mbit/s (2 measurements): something else used the machine, or the link is not steady."
    ]
    assert advice(table[::2]) == []


def test_a_pace_that_was_not_one_pace_is_told() -> None:
    slow = {"ue": "8x slower", "ue_cpus": 0.125}
    table = [
        anchor_row("20 Mbit/s", 40, 41, 42, ue_slowdown=5.5, **slow),
        made_row(split_name="stage3", ue_slowdown=10.3, **slow),
        made_row(split_name="failed", ue_slowdown=20.0, valid=False, **slow),
    ]
    said = (
        "Asked for 8x slower, the UE was 5.5 times (device anchor at 20 Mbit/s) to 10.3 times "
        "(stage3 at 20 Mbit/s) slower: times at that pace compare the less."
    )
    assert advice(table) == [said]
    alike = [anchor_row("20 Mbit/s", 40, 41, 42, ue_slowdown=9.5, **slow), table[1]]
    assert advice(alike) == []
    (off,) = advice([made_row(ue="4x slower", ue_slowdown=3.5, ue_slowdown_asked=4.0)])
    assert off.startswith("Asked for 4x slower, the UE was 3.5 times (cut at 20 Mbit/s)")


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (
            (14.7, 14.8, 15.3),
            [
                "the device anchor, which uses no link, took 7.2 ms (5.4 to 12, range of 3) at 5 "
                "Mbit/s and 14.8 ms (14.7 to 15.3, range of 3) at 20 Mbit/s: the machine was "
                "disturbed"
            ],
        ),
        ((11.9, 14.8, 15.3), []),
    ],
)
def test_a_run_whose_device_anchor_differs_between_links_is_not_valid(
    second: tuple[float, float, float], said: list[str]
) -> None:
    table = [anchor_row("5 Mbit/s", 5.4, 7.2, 12.1), anchor_row("20 Mbit/s", *second)]
    judged = judge_run(table, cells_asked=2)
    assert (judged.valid, [*judged.reasons]) == (not said, said)
    slowed = [anchor_row("20 Mbit/s", *second, ue="8x slower"), table[0]]
    assert judge_run(slowed, cells_asked=2).valid  # another pace


def test_what_a_codec_costs_is_told_with_how_many_inputs_that_was(folder: RunFolder) -> None:
    judged = {"metric": "AP", "value": 0.79, "frames": 10, "drop_high": 0.01}
    change_run(folder, whole_accuracy={"metric": "AP", "value": 0.8, "frames": 12})
    add_cell(folder, "0:2", [90] * 3, codec="uint8")
    add_cell(folder, "1:1", [50] * 3, codec="int8", lossless=False, accuracy=judged)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    assert "as int8, at 0.010 less AP over 10 inputs: 50 ms" in advice(rows(folder))[0]
    assert [row.accuracy_frames for row in rows(folder)] == [12, 10, 12]


def test_a_metric_of_several_words_ends_before_how_many_inputs_it_is_of(folder: RunFolder) -> None:
    judged = {"metric": "AP, boxes as truth", "value": 0.79, "frames": 1}
    judged["drop_high"] = 0.01
    change_run(folder, whole_accuracy=judged | {"value": 0.8})
    add_cell(folder, "0:2", [90] * 3)
    add_cell(folder, "1:1", [50] * 3, codec="int8", lossless=False, accuracy=judged)
    add_cell(folder, "2:0", [80] * 3, codec="none")
    assert "at 0.010 less AP, boxes as truth, over 1 input: 50 ms" in advice(rows(folder))[0]


def test_a_row_of_an_earlier_version_does_not_say_how_many_inputs(folder: RunFolder) -> None:
    change_run(folder, whole_accuracy={"metric": "AP", "value": 0.8})
    add_cell(folder, "1:1", [50] * 3)
    (row,) = rows(folder)
    assert (row.accuracy, row.accuracy_frames) == (0.8, None)


@pytest.mark.parametrize(
    ("codec", "finer"),
    [
        ("klt:100", "klt:60"),
        ("klt", "klt:60"),
        ("jpeg:75,444", "jpeg:90,444"),
        ("avc:32+zstd", "avc:27+zstd"),
        ("klt:8", None),
        ("int8", None),
        ("no-longer-here:3", None),
    ],
)
def test_where_a_split_loses_a_little_too_much_the_next_finer_step_is_told(
    codec: str, finer: str | None
) -> None:
    lost = {"codec": codec, "lossless": False, "accuracy_drop": 0.011, "max_drop": 0.01}
    ends = {"accuracy_drop_low": 0.004, "accuracy_drop_high": 0.02, "accuracy": 0.77}
    said = [one for one in advice([made_row(**lost | ends)]) if "A little more" in one]
    assert len(said) == (finer is not None)
    if finer:
        assert f"as {codec} loses 0.011, and {finer} is finer. --target-drop 0.01 finds" in said[0]
    for drop in (0.009, 0.021):
        assert "A little more" not in "".join(
            advice([made_row(**lost | ends | {"accuracy_drop": drop})])
        )
