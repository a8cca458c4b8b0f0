"""How much smaller a split's data would have to be: numbers by hand."""

import math
from typing import Any

import pytest

from orchestrator.results.judgement.compression import compression_needed, without_data_ms
from tests.orchestrator.written import made_row

SPLIT: dict[str, Any] = {"e2e_ms": 100.0, "delay_ms": 10.0, "uplink_ms": 70.0}
"""Of which the data take 60 ms, the delay 10, and the nodes 30."""


@pytest.mark.parametrize(
    ("speedup", "factor"),
    [
        (1.0, 1.0),
        (1.2, 60 / 80),
        (0.7, 2.0),  # 30 ms late: half of the data's 60
        (0.41, 60.0),
        (0.4, math.inf),  # as late as all of the data
        (0.3, math.inf),
    ],
)
def test_data_shrink_until_the_split_takes_what_its_best_anchor_does(
    speedup: float, factor: float
) -> None:
    row = made_row(**SPLIT, speedup_vs_best_anchor=speedup)
    assert compression_needed(row) == pytest.approx(factor)


@pytest.mark.parametrize(
    "changed",
    [
        {"speedup_vs_best_anchor": None},
        {"split": "0:2", "speedup_vs_best_anchor": 0.5},
        {"split": "2:0", "speedup_vs_best_anchor": 0.5},
    ],
)
def test_an_anchor_or_a_split_without_one_needs_no_compression(changed: dict[str, Any]) -> None:
    assert compression_needed(made_row(**SPLIT | changed)) is None


@pytest.mark.parametrize(
    ("changed", "left_ms"),
    [
        ({}, 40.0),
        ({"uplink_ms": 9.0}, 100.0),  # less than the delay, as clocks may have it
        ({"uplink_ms": 11.0}, 99.0),
    ],
)
def test_the_delay_stays_where_no_data_are_sent(changed: dict[str, Any], left_ms: float) -> None:
    assert without_data_ms(made_row(**SPLIT | changed)) == pytest.approx(left_ms)


@pytest.mark.parametrize(("network_ms", "left_ms"), [(80.5, 40.0), (20.5, 100.0), (20.4, 100.0)])
def test_where_one_way_times_are_not_known_all_hops_less_the_others_are_that_of_the_data(
    network_ms: float, left_ms: float
) -> None:
    """At 2 Mbit/s, 59 bytes and 66 of headers take half a millisecond."""
    told = {"uplink_ms": None, "network_ms": network_ms}
    back = {"result_bytes": 59, "downlink_mbit": 2.0, "downlink_delay_ms": 10.0}
    uplink = made_row(**SPLIT | told | back)
    there = {"bw_mbit": 2.0, "of_flow": (("uplink_bytes", 59.0),), "downlink_delay_ms": 10.0}
    downlink = made_row(**SPLIT | told | there, flow="downlink")
    for row in (uplink, downlink):
        assert without_data_ms(row) == pytest.approx(left_ms)


def test_data_that_come_down_shrink_the_downlink() -> None:
    told = {"downlink_ms": 70.0, "downlink_delay_ms": 10.0, "flow": "downlink"}
    assert without_data_ms(made_row(e2e_ms=100.0, uplink_ms=5.0, **told)) == pytest.approx(40.0)
