"""What speaks against the rows of a run, just inside and just outside each limit."""

from typing import Any

import pytest

from orchestrator.results.judgement.trust import apart, trust
from orchestrator.results.judgement.words import within
from orchestrator.results.rows import Row
from tests.orchestrator.written import made_row


def said(words: str, *table: Row) -> list[str]:
    """The sentences of trust with these words in them."""
    return [line for line in trust(table) if words in line]


def row(name: str = "cut", **changed: Any) -> Row:
    return made_row(split_name=name, e2e_ms=100.0, bound_ms=100.0, e2e_over_bound=1.0, **changed)


def test_a_run_that_nothing_speaks_against_says_nothing() -> None:
    assert trust([]) == []
    assert trust([row(link_attempts=1, ue_slowdown=2.0), row(ue_slowdown=2.0)]) == []


def predicted(name: str, error_pct: float, part1_ms: float, **changed: Any) -> Row:
    parts = {"part1_ms": part1_ms, "part1_predicted_ms": 10.0}
    parts |= {"part2_ms": 10.0, "part2_predicted_ms": 10.0}
    return row(name, prediction_error_pct=error_pct, **parts | changed)


def test_how_well_profiles_predicted_is_the_median_of_valid_cells_and_the_worst_by_name() -> None:
    table = [
        predicted("a", 1.0, 10.0), predicted("b", -8.0, 15.0), predicted("c", 2.0, 30.0),
        predicted("broken", 90.0, 90.0, valid=False), row("unpredicted"),
    ]  # fmt: skip
    assert said("profiles", *table) == [
        "The profiles predicted end-to-end times within 2.0 % (median of 3 valid cells; "
        "worst 8.0 %, b at 20 Mbit/s), part 1 and part 2 alone within 20.0 %."
    ]


def late(over: float, **changed: Any) -> Row:
    took = {"e2e_ms": 1000 * over, "bound_ms": 1000.0, "e2e_over_bound": over}
    return made_row(**took | changed)


@pytest.mark.parametrize(
    "name", ["loss_pct", "jitter_ms", "downlink_loss_pct", "downlink_jitter_ms"]
)
def test_on_a_random_link_lateness_tells_nothing(name: str) -> None:
    assert len(said("floor", late(2.0))) == 1
    assert said("floor", late(2.0, **{name: 0.1})) == []


def test_late_cells_are_counted_and_the_latest_is_named() -> None:
    table = [late(1.06), late(1.5, split_name="latest"), late(1.2), late(1.05), row(), made_row()]
    (sentence,) = said("floor", *table)
    assert sentence.startswith("3 of 6 cells took over 1.05 times")
    assert "over 10 ms more than it, most of all latest" in sentence
    assert "at 20 Mbit/s (1.50)" in sentence


def test_a_link_that_needed_more_than_one_proof_is_told_of_valid_rows() -> None:
    table = [
        row(link_attempts=1), row(), row("worst", link_attempts=3), row(link_attempts=2),
        row(link_attempts=9, valid=False),
    ]  # fmt: skip
    (sentence,) = said("as asked only when measured again", *table)
    assert sentence.startswith("2 of 5 cells had a link")
    assert "most often worst" in sentence
    assert "at 20 Mbit/s (3 measurements)" in sentence


def test_a_cell_is_named_with_its_pace_and_one_cell_is_told_in_the_singular() -> None:
    slow = {"ue": "4x slower", "disturbed": "its link stalled", "measured": 2, "link_attempts": 2}
    at = "cut at 20 Mbit/s, UE 4x slower"
    found = trust([row(), made_row(**late(1.5).plain() | slow)])
    assert [sentence.partition(":")[0] for sentence in found] == [
        "1 of 2 cells took over 1.05 times its physical floor and over 10 ms more than it, "
        f"{at} (1.50)",
        "1 of 2 cells had a link that was as asked only when measured again, "
        f"{at} (2 measurements)",
        "1 of 2 cells was measured again, since it was disturbed or had failed; the last time "
        "without a fault counts.",
        "1 of 2 cells was disturbed when last measured, its time is the machine's as well as the "
        "split's",
    ]
    assert f"{at} (its link stalled)" in found[-1]


def slowed(name: str, times: float, **changed: Any) -> Row:
    return row(name, **{"ue": "4x slower", "ue_slowdown": times} | changed)


def test_one_pace_that_was_asked_is_told_where_it_was_several() -> None:
    even = [slowed("a", 2.0), slowed("b", 2.2), slowed("broken", 9.0, valid=False)]
    assert said("Asked for", *even) == []
    other = [slowed("c", 8.0, ue="8x slower"), row("full")]
    (sentence,) = said("Asked for", *even, *other, slowed("d", 2.21))
    assert sentence.startswith("Asked for 4x slower, the UE was 2.0 times (a")
    assert "to 2.2 times (d" in sentence
    assert (
        len(said("Asked for", *even, *other, slowed("e", 4.0), slowed("f", 1.0, ue="8x slower")))
        == 2
    )


def disturbed(name: str) -> Row:
    return row(name, disturbed=f"{name} was late")


def test_of_what_remained_disturbed_three_are_named_and_the_others_counted() -> None:
    failed = made_row(disturbed="its link stalled")
    assert said("disturbed", row(), failed) == []
    three = [disturbed(name) for name in "abc"]
    (sentence,) = said("disturbed", row(), failed, *three)
    assert sentence.startswith("3 of 5 cells were disturbed when last measured")
    assert "(a was late)" in sentence
    assert "(c was late). Let" in sentence
    (sentence,) = said("disturbed", *three, disturbed("d"))
    assert sentence.startswith("4 of 4")
    assert "(c was late) and 1 more. Let" in sentence


def interval(e2e_ms: float, low_ms: float, high_ms: float, **changed: Any) -> Row:
    ends = {"e2e_low_ms": low_ms, "e2e_high_ms": high_ms, "e2e_ms": e2e_ms, "frames": 6}
    return made_row(**ends | {"e2e_coverage_pct": 96.9} | changed)


@pytest.mark.parametrize(
    ("row_", "words"),
    [
        (interval(10.0, 9.95, 10.4), "10 ms (9.9 to 10, "),
        (interval(9.99, 9.04, 12.6), "10.0 ms (9.0 to 13, "),
        (interval(62.93, 62.85, 63.1), "62.9 ms (62.9 to 63.1, "),
        (interval(3.0004, 3.0001, 3.0006), "3.000 ms (3.000 to 3.001, "),
        (interval(63.0, 63.0, 63.0), "63 ms (63 to 63, "),
        (interval(63.0, 63.0, 63.0, frames=1, e2e_coverage_pct=None), "63 ms (1 frame)"),
    ],
)
def test_a_time_is_told_with_its_interval(row_: Row, words: str) -> None:
    assert within(row_).startswith(words)


def test_anchors_that_lie_apart_are_told_once_a_pace_with_the_slowest() -> None:
    device = {"split": "2:0", "split_name": "device anchor", "part2_ms": 0.0}
    slow = [
        interval(ms, ms - 1, ms + 1, link=link, **device)
        for ms, link in ((130.0, "5 Mbit/s"), (150.0, "10 Mbit/s"), (140.0, "20 Mbit/s"))
    ]
    fast = interval(100.0, 99, 101, link="2 Mbit/s", **device)
    (sentence,) = apart([slow[0], fast, *slow[1:]])
    assert sentence.startswith("the device anchor, which uses no link, took 100 ms (99 to 101")
    assert " at 2 Mbit/s and 150 ms (149 to 151" in sentence
    assert "at 10 Mbit/s: the machine was disturbed" in sentence
    paced = [interval(ms, ms - 1, ms + 1, ue="4x slower", **device) for ms in (400.0, 500.0)]
    first, second = apart([fast, slow[0], *paced])
    assert "UE slowed" not in first
    assert "at 20 Mbit/s with the UE slowed (4x slower): the machine" in second


def test_how_many_cells_were_measured_again_is_told() -> None:
    assert said("again", row(), row(measured=1)) == []
    assert said("again", row(), row(measured=2), row(measured=3)) == [
        "2 of 3 cells were measured again, since they were disturbed or had failed; the last time "
        "without a fault counts."
    ]
