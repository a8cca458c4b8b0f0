"""How rows are told: each word by hand."""

import math
from typing import Any

import pytest

from orchestrator.results.judgement.words import (
    anchor_words,
    at_a_loss,
    listed,
    lossier_words,
    lost_words,
    ms_words,
    named,
    place_words,
    times_words,
    within,
)
from tests.orchestrator.written import made_row

LOSSY: dict[str, Any] = {
    "lossless": False, "codec": "int8", "accuracy_metric": "AP", "accuracy_drop": 0.02,
    "accuracy_drop_low": 0.015, "accuracy_drop_high": 0.025, "accuracy_frames": 96,
}  # fmt: skip
INPUT: dict[str, Any] = {"split": "0:2", "split_name": "network anchor", "codec": "jpeg:75"}


@pytest.mark.parametrize(
    ("ms", "said"), [(42.4, "42 ms"), (10.0, "10 ms"), (9.99, "10.0 ms"), (4.24, "4.2 ms")]
)
def test_milliseconds_have_a_decimal_below_10(ms: float, said: str) -> None:
    assert ms_words(ms) == said


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (1.333, "1.33 times"), (9.99, "9.99 times"), (10.0, "10.0 times"), (99.94, "99.9 times"),
        (100.0, "100 times"), (1250.4, "1,250 times"),
    ],
)  # fmt: skip
def test_factors_have_three_figures(factor: float, said: str) -> None:
    assert times_words(factor) == said


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((40.0, 44.0), "42 ms (40 to 44, range of 3)"),
        ((41.9, 42.1), "42.0 ms (41.9 to 42.1, range of 3)"),
        ((41.996, 42.004), "42.000 ms (41.996 to 42.004, range of 3)"),
        ((41.99996, 42.00004), "42 ms (42 to 42, range of 3)"),
        ((42.0, 42.0), "42 ms (42 to 42, range of 3)"),
    ],
)
def test_the_ends_of_an_interval_read_otherwise_unless_they_are_the_same(
    ends: tuple[float, float], said: str
) -> None:
    row = made_row(e2e_ms=42.0, e2e_low_ms=ends[0], e2e_high_ms=ends[1], frames=3)
    assert within(row) == said


def test_of_one_frame_there_is_no_interval() -> None:
    row = made_row(e2e_ms=42.0, e2e_low_ms=42.0, e2e_high_ms=42.0, frames=1)
    assert within(row) == "42 ms (1 frame)"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], "a"),
        (["a", "b"], "a and b"),
        (["a", "b", "c"], "a, b and c"),
        (["a", "b", "c", "d"], "a, b, c and 1 more"),
        (["a", "b", "c", "d", "e"], "a, b, c and 2 more"),
    ],
)
def test_of_more_than_three_the_first_are_named(words: list[str], said: str) -> None:
    assert listed(words, "and") == said


def test_a_row_is_named_with_its_conditions() -> None:
    assert place_words(made_row()) == "cut at 20 Mbit/s"
    slowed = made_row(codec="int8", ue="4x slower")
    assert place_words(slowed) == "cut as int8 at 20 Mbit/s, UE 4x slower"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "cut (1:1)"),
        (LOSSY, "cut (1:1) as int8, at 0.020 less AP over 96 inputs"),
        ({"split": "2:0", "split_name": "device anchor", "codec": "none"}, "the device anchor"),
        (INPUT | {"codec": "raw"}, "the network anchor with its input raw"),
        (
            LOSSY | INPUT,
            "the network anchor with its input as jpeg:75 (0.020 less AP over 96 inputs)",
        ),
        (INPUT | {"codec": "uint8"}, "the network anchor with its input as uint8"),
    ],
)
def test_a_name_has_the_codec_and_what_it_loses(changed: dict[str, Any], said: str) -> None:
    row = made_row(**changed)
    assert named(row) == said
    if row.is_anchor:
        assert anchor_words(row) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lossless": True}, ""),
        ({"accuracy_drop": None}, "a loss that is not known"),
        ({"weights": "seeded (0)"}, "a loss that is not known"),
        ({"accuracy_drop": 0.0}, "no loss over 96 inputs"),
        ({"accuracy_drop": -0.1}, "no loss over 96 inputs"),
        ({"accuracy_drop": 1e-9}, "under 0.001 less AP over 96 inputs"),
        ({"accuracy_drop": 4.9e-4}, "under 0.001 less AP over 96 inputs"),
        ({"accuracy_drop": 5e-4}, "0.001 less AP over 96 inputs"),
        ({"accuracy_frames": None}, "0.020 less AP"),
        ({"accuracy_frames": 1}, "0.020 less AP over 1 input"),
        ({"accuracy_metric": "AP, OKS"}, "0.020 less AP, OKS, over 96 inputs"),
        ({"accuracy_metric": "AP, OKS", "accuracy_frames": None}, "0.020 less AP, OKS"),
    ],
)
def test_what_is_lost_is_told_as_far_as_it_is_known(changed: dict[str, Any], said: str) -> None:
    row = made_row(**LOSSY | changed)
    assert lost_words(row) == said
    assert at_a_loss(row) == (f", at {said}" if said else "")


def test_network_anchors_that_see_less_are_told_by_how_much_or_why_nobody_knows() -> None:
    less = [
        made_row(**LOSSY | INPUT | {"codec": f"jpeg:{quality}", "accuracy_drop": drop})
        for quality, drop in ((75, 0.02), (50, 0.04))
    ]
    assert lossier_words([]) == []
    assert lossier_words(less[:1]) == ["as jpeg:75 (0.020) the input loses more accuracy"]
    (said,) = lossier_words(less)
    assert said == "as jpeg:75 (0.020) or jpeg:50 (0.040) the input loses more accuracy"
    assert lossier_words([*less, *less]) == [said]  # as two nodes of a chain do
    open_ = made_row(**LOSSY | INPUT | {"codec": "avc:18", "accuracy_drop_low": 0.0})
    unjudged = made_row(**INPUT, lossless=False)
    seeded = made_row(**LOSSY | INPUT | {"weights": "seeded (0)"})
    assert lossier_words([*less, open_, unjudged, seeded]) == [
        said,
        "as avc:18 the input is undecided",
        "as jpeg:75 the input was not judged",
    ]
    allowed = [made_row(**LOSSY | INPUT | {"max_drop": math.inf})]
    assert lossier_words(allowed) == ["as jpeg:75 (0.020) the input loses more accuracy"]
