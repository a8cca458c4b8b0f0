"""Rows against the anchors under the same conditions, just inside and just outside each limit."""

from typing import Any

import pytest

from orchestrator.results.judgement.anchors import as_accurate, compared
from orchestrator.results.rows import Row
from tests.orchestrator.written import made_row


def row(split: str, e2e_ms: float | None, **changed: Any) -> Row:
    name = {"0:2": "network anchor", "2:0": "device anchor"}.get(split, "cut")
    asked = {"split": split, "split_name": name, "e2e_ms": e2e_ms, "frame_kbit": 1.0}
    return made_row(**asked | changed)


def against(one: Row, *others: Row) -> Row:
    """The first, with what the others say of it."""
    return compared([one, *others])[0]


NETWORK, DEVICE = row("0:2", 80, frame_kbit=1000.0), row("2:0", 50, frame_kbit=0.0)


def test_a_row_is_held_against_the_fastest_anchor_and_the_bits_of_the_network_anchors() -> None:
    cut = against(row("1:1", 40, frame_kbit=250.0), NETWORK, DEVICE)
    assert cut.best_anchor == "device anchor"
    assert cut.speedup_vs_best_anchor == 1.25
    assert cut.kbit_vs_network_anchor == 0.25
    least = against(row("1:1", 40, frame_kbit=250.0), NETWORK, row("0:2", 90, frame_kbit=500.0))
    assert least.kbit_vs_network_anchor == 0.5
    assert least.speedup_vs_best_anchor == 2


@pytest.mark.parametrize("silent", [[], [row("0:2", 80, frame_kbit=0.0)]])
def test_without_a_network_anchor_that_sends_something_there_are_no_bits(silent: list[Row]) -> None:
    cut = against(row("1:1", 40, frame_kbit=250.0), DEVICE, *silent)
    assert cut.kbit_vs_network_anchor is None
    assert cut.best_anchor == "device anchor"


@pytest.mark.parametrize(
    "other",
    [
        row("2:0", 50, valid=False),
        row("2:0", 50, link="5 Mbit/s"),
        row("2:0", 50, ue="4x slower"),
        row("1:1", 50, codec="lz4"),
    ],
)
def test_only_a_valid_anchor_under_the_same_conditions_is_a_rival(other: Row) -> None:
    cut = against(row("1:1", 40), other)
    assert (cut.best_anchor, cut.speedup_vs_best_anchor) == (made_row().best_anchor, None)


def test_an_anchor_of_another_precision_is_a_rival_of_what_is_no_more_accurate() -> None:
    fit = {"precision": "ue int8", "lossless": False, "accuracy": 0.8, "accuracy_drop": 0.0}
    fit |= {"accuracy_drop_high": 0.0}
    split = row("1:1", 40, **fit)
    quantised = row("2:0", 30, **fit)
    lossy = row("2:0", 30, **fit | {"accuracy_drop": 0.2, "accuracy_drop_high": 0.3})
    assert against(split, DEVICE, quantised).best_anchor == "device anchor in ue int8"
    assert against(split, DEVICE, lossy).best_anchor == "device anchor"
    assert against(row("1:1", 40), DEVICE, quantised).speedup_vs_best_anchor == 0.75


def test_a_cell_without_frames_is_compared_with_nothing() -> None:
    assert against(row("1:1", None), DEVICE).speedup_vs_best_anchor is None


def lossy(split: str, accuracy: float | None, drop: float | None = 0.0, **changed: Any) -> Row:
    """Fit where the drop is within 0.01."""
    ends = {"accuracy_drop": drop, "accuracy_drop_low": drop, "accuracy_drop_high": drop}
    values = {"lossless": False, "codec": "int8", "accuracy": accuracy, **ends}
    return row(split, 40, **values | changed)


UNFIT = 0.02


@pytest.mark.parametrize(
    ("anchor", "one", "said"),
    [
        (DEVICE, lossy("1:1", 0.9), True),  # it loses nothing
        (lossy("0:2", 0.5), lossy("1:1", 0.9), True),  # both lose no more than is allowed
        (lossy("0:2", 0.9, UNFIT), lossy("1:1", 0.5), False),
        (lossy("0:2", 0.5, UNFIT), lossy("1:1", 0.5049, UNFIT), True),
        (lossy("0:2", 0.5), lossy("1:1", 0.5051, UNFIT), False),
        (lossy("0:2", 0.9), lossy("1:1", 0.5, UNFIT), True),
        (lossy("0:2", None), lossy("1:1", 0.5, UNFIT), False),
        (lossy("0:2", 0.5), lossy("1:1", None, UNFIT), False),
        (lossy("0:2", None, UNFIT), lossy("0:2", None, UNFIT), True),  # itself
        (lossy("0:2", None, UNFIT), lossy("0:2", None, UNFIT, codec="fp16"), False),
    ],
)
def test_a_rival_is_at_least_as_accurate(anchor: Row, one: Row, said: bool) -> None:
    assert as_accurate(anchor, one) is said


@pytest.mark.parametrize(
    ("e2e_ms", "delivery_ms", "frames"),
    [(40, 400, 10), (40, 401, 11), (79, 10, 10), (80, 400, None), (81, 400, None), (40, 0, None)],
)
def test_a_delivery_pays_by_what_each_frame_saves_against_the_network_anchor(
    e2e_ms: float, delivery_ms: float, frames: int | None
) -> None:
    delivered: dict[str, Any] = {"part1_delivery_ms": delivery_ms, "part1_bytes": 1}
    cut = row("1:1", e2e_ms, **delivered)
    assert against(cut, NETWORK, DEVICE).frames_to_pay_delivery == frames
    assert against(cut, row("0:2", 200, frame_kbit=1.0), NETWORK).frames_to_pay_delivery == frames


@pytest.mark.parametrize(
    "changed", [{"valid": False}, {"part1_bytes": 0}, {"part1_delivery_ms": None}]
)
def test_what_was_not_delivered_or_does_not_count_has_nothing_to_pay(
    changed: dict[str, Any],
) -> None:
    delivered: dict[str, Any] = {"part1_delivery_ms": 400.0, "part1_bytes": 1}
    assert against(row("1:1", 40, **delivered | changed), NETWORK).frames_to_pay_delivery is None


def test_without_a_network_anchor_a_delivery_never_pays() -> None:
    delivered: dict[str, Any] = {"part1_delivery_ms": 400.0, "part1_bytes": 1}
    assert against(row("1:1", 0.5, **delivered), DEVICE).frames_to_pay_delivery is None
