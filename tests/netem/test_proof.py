"""When a measured link is the one that was asked: just inside each limit, and just outside."""

import math
from dataclasses import replace
from itertools import accumulate, pairwise
from statistics import median

import pytest

from netem.probe.proof import Proof, faults, judge, longest_s, nominal_rtt_ms, rate_mbit
from netem.spec import FRAME_BYTES, LinkSpec, Shape

LINK = LinkSpec(uplink=Shape(rate_mbit=20, delay_ms=10), downlink=Shape(rate_mbit=50, delay_ms=5))
NOMINAL_MS = nominal_rtt_ms(LINK)
AS_ASKED = Proof(
    uplink_mbit=20, downlink_mbit=50, rtt_min_ms=NOMINAL_MS, rtt_median_ms=NOMINAL_MS,
    pings=10, lost=0, attempts=1,
)  # fmt: skip


def found(measured: dict[str, float], spec: LinkSpec = LINK) -> list[str]:
    """What of it was measured otherwise."""
    return [*faults(replace(AS_ASKED, **measured), spec)]  # type: ignore[arg-type]


def test_a_ping_takes_both_delays_and_its_own_time_on_the_wire() -> None:
    assert pytest.approx(15 + 87 * 8 / 20e3 + 87 * 8 / 50e3) == NOMINAL_MS


@pytest.mark.parametrize(
    ("inside", "outside", "named"),
    [
        ({"uplink_mbit": 20 * 1.029}, {"uplink_mbit": 20 * 1.031}, "uplink"),
        ({"uplink_mbit": 20 * 0.971}, {"uplink_mbit": 20 * 0.969}, "uplink"),
        ({"downlink_mbit": 50 * 1.029}, {"downlink_mbit": 50 * 1.031}, "downlink"),
        ({"downlink_mbit": 50 * 0.971}, {"downlink_mbit": 50 * 0.969}, "downlink"),
        # the delays less 0.1 ms; a millisecond more than all of it
        ({"rtt_min_ms": 14.9}, {"rtt_min_ms": 14.89}, "round trip"),
        ({"rtt_min_ms": NOMINAL_MS + 1}, {"rtt_min_ms": NOMINAL_MS + 1.01}, "round trip"),
    ],
)
def test_a_link_is_as_asked_up_to_a_limit_and_not_beyond(
    inside: dict[str, float], outside: dict[str, float], named: str
) -> None:
    assert found(inside) == []
    assert found(outside) == [named]
    told = judge(replace(AS_ASKED, **outside), LINK)  # type: ignore[arg-type]
    assert told is not None
    assert told.startswith(named)


@pytest.mark.parametrize("name", ["uplink_mbit", "downlink_mbit", "rtt_min_ms"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0])
def test_what_is_no_rate_and_no_time_proves_no_link(name: str, value: float) -> None:
    assert len(found({name: value})) == 1


def test_a_long_round_trip_may_be_longer_by_its_share() -> None:
    far = LinkSpec(
        uplink=Shape(rate_mbit=20, delay_ms=100), downlink=Shape(rate_mbit=50, delay_ms=100)
    )
    most_ms = 1.02 * nominal_rtt_ms(far)
    assert found({"rtt_min_ms": most_ms - 0.01}, far) == []
    assert found({"rtt_min_ms": most_ms + 0.01}, far) == ["round trip"]


def test_jitter_widens_what_the_round_trip_may_be() -> None:
    shaken = LinkSpec(
        uplink=Shape(rate_mbit=20, delay_ms=10, jitter_ms=2),
        downlink=Shape(rate_mbit=50, delay_ms=5, jitter_ms=1),
    )
    for rtt_ms, fault in ((11.91, []), (11.89, ["round trip"])):
        assert found({"rtt_min_ms": rtt_ms}, shaken) == fault
    for more_ms, fault in ((3.99, []), (4.01, ["round trip"])):
        assert found({"rtt_min_ms": NOMINAL_MS + more_ms}, shaken) == fault


def test_all_that_was_measured_otherwise_is_named_the_uplink_first() -> None:
    wrong = {"uplink_mbit": 5.0, "downlink_mbit": 5.0, "rtt_min_ms": 100.0}
    assert found(wrong) == ["uplink", "downlink", "round trip"]
    told = judge(replace(AS_ASKED, **wrong), LINK)  # type: ignore[arg-type]
    assert told == "uplink 5 Mbit/s, asked 20 (more than 3% off)"


GAP_NS = int(FRAME_BYTES * 8e3 / 20)  # between frames at 20 Mbit/s, exactly


def arrivals(gaps_ns: list[int]) -> list[int]:
    """When frames arrive that are so far apart, at a time that is not 0."""
    return [10**12 + at for at in accumulate(gaps_ns, initial=0)]


def test_the_rate_is_that_of_the_frames_after_the_start() -> None:
    burst = [1000] * 150
    told = rate_mbit(arrivals([*burst, *[GAP_NS] * 60]), sum(burst))
    assert told == pytest.approx(20, rel=1e-9)


def test_a_stall_and_its_end_spoil_two_windows_of_seven() -> None:
    gaps_ns = [GAP_NS] * 210
    gaps_ns[90:105] = [15 * GAP_NS, *[0] * 14]
    assert rate_mbit(arrivals(gaps_ns), 0) == pytest.approx(20, rel=1e-9)


@pytest.mark.parametrize(("gaps", "windows"), [(140, 7), (70, 7), (69, 6), (65, 6), (19, 1)])
def test_a_train_has_seven_windows_of_at_least_ten_gaps(gaps: int, windows: int) -> None:
    slower_ns = [GAP_NS + 1000 * place for place in range(gaps)]
    edges = [gaps * window // windows for window in range(windows + 1)]
    rates = [
        20 * GAP_NS * (end - start) / sum(slower_ns[start:end]) for start, end in pairwise(edges)
    ]
    assert rate_mbit(arrivals(slower_ns), 0) == pytest.approx(median(rates), rel=1e-9)


def test_two_frames_have_a_rate_and_one_has_none() -> None:
    assert rate_mbit(arrivals([GAP_NS]), 0) == pytest.approx(20, rel=1e-9)
    assert rate_mbit(arrivals([]), 0) == 0
    assert rate_mbit(arrivals([GAP_NS]), GAP_NS) == 0
    assert rate_mbit(arrivals([0]), 0) == FRAME_BYTES * 8e3  # as if a nanosecond apart


def test_a_proof_takes_as_long_as_its_pings_and_trains_on_the_link() -> None:
    spec = LinkSpec(
        uplink=Shape(rate_mbit=1, delay_ms=1000), downlink=Shape(rate_mbit=2, delay_ms=500)
    )
    ping_ms = 1500 + 87 * 8 / 1e3 + 87 * 8 / 2e3
    trains_ms = 20 * 1514 * 8 / 1e3 + 33 * 1514 * 8 / 2e3
    assert longest_s(spec) == pytest.approx(6 * (50 * ping_ms + trains_ms) / 1e3)
