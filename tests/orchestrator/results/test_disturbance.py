"""When a cell counts as disturbed, just inside and just outside each limit."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.results.judgement.disturbance import anchors_apart, disturbed_by, marked
from orchestrator.results.judgement.trust import trust
from orchestrator.results.records import FrameRecord, Hop, MachineRecord, ProofRecord
from orchestrator.results.rows import Row
from orchestrator.results.statistics.measured_visit import measured_visit
from splitbed.timeline import Stage
from tests.orchestrator.written import ended, made_row

TOOK = {"e2e_ms": 100.0, "e2e_low_ms": 99.0, "e2e_high_ms": 101.0, "bound_ms": 100.0}
TOLD = {"part1_predicted_ms": 20.0, "part2_predicted_ms": 20.0}


def row(part1_ms: float, **changed: Any) -> Row:
    times = {"part1_ms": part1_ms, "part2_ms": 20.0, "e2e_over_bound": 1.0}
    return made_row(**TOOK | times | changed)


def said(*table: Row) -> list[str]:
    return [one.disturbed for one in marked(table)]


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        ({"others_share": 0.25, "steal_share": 0.05, "pressure_share": 1.0}, ""),
        ({"others_share": 0.1, "steal_share": 0.01}, ""),
        ({"others_share": 0.26}, "other processes used 26% of the processors"),
        ({"steal_share": 0.06}, "other machines used 6% of the processors"),
        ({}, ""),
    ],
)
def test_who_else_used_the_processors(machine: dict[str, Any], reason: str) -> None:
    cell = ended().__class__.from_plain(
        ended().plain() | {"machine": MachineRecord(**machine).plain()}
    )
    assert disturbed_by(cell) == reason


@pytest.mark.parametrize(
    ("others", "computing", "reason"),
    [
        (0.9, 0.27, ""),  # 24.3 %
        (0.9, 0.28, "other processes used 90% of the processors"),  # 25.2 %
        (0.26, 1.0, "other processes used 26% of the processors"),
        (0.26, 0.96, ""),
    ],
)
def test_others_take_nothing_of_what_a_frame_waits_for_its_links(
    others: float, computing: float, reason: str
) -> None:
    machine = MachineRecord(others_share=others)
    told = disturbed_by(replace(ended(), machine=machine), computing)
    when = f", on which frames spent {computing:.0%} of their time" if computing < 1 else ""
    assert told == (reason and reason + when)


@pytest.mark.parametrize(("took_ms", "is_long"), [(2.0, False), (2.01, True)])
def test_others_disturb_no_frame_of_which_they_take_a_millisecond(
    took_ms: float, is_long: bool
) -> None:
    busy = replace(ended(), machine=MachineRecord(others_share=0.5))
    assert bool(disturbed_by(busy, 1.0, took_ms)) is is_long


@pytest.mark.parametrize(
    ("split", "sent", "took_ms", "computing"),
    [
        # over 8 Mbit/s: 10,000 bytes take 10 ms and their headers 0.4
        ("1:1", [10_000, 0], 40.0, 0.74),
        ("1:1", [10_000, 0], 20.8, 0.5),
        ("1:1", [0, 10_000], 20.8, 0.5),
        ("1:1", [10_000, 10_000], 20.8, 0.0),
        ("2:0", [], 5.0, 1.0),
    ],
)
def test_frames_compute_for_as_long_as_is_not_their_links(
    split: str, sent: list[int], took_ms: float, computing: float
) -> None:
    hops = tuple(map(Hop, ("uplink", "downlink"), sent))
    ends = [0, 1_000_000, 2_000_000, int(took_ms * 1e6)]
    names = ("part1", *(hop.name for hop in hops))
    stages = [Stage(name, *span) for name, span in zip(names, pairwise(ends), strict=False)]
    frame = FrameRecord(attempt="a", frame=0, stages=tuple(stages), hops=hops)
    visit = measured_visit(replace(ended(), split=split), [frame, frame])
    assert visit.computing_share == pytest.approx(computing, abs=0.005)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (("", ""), ""),
        (("uplink 3", "uplink 3"), ""),  # the link itself
        (("", "uplink 3"), "its link was as asked before its frames and not after"),
        (("uplink 3", ""), "its link was as asked only after its frames"),
    ],
)
def test_a_link_that_was_as_asked_once_met_a_stall(faults: tuple[str, str], reason: str) -> None:
    proofs = [
        ProofRecord(uplink_mbit=8, downlink_mbit=8, rtt_min_ms=0, fault=fault).plain()
        for fault in faults
    ]
    assert (
        disturbed_by(ended().__class__.from_plain(ended().plain() | {"proofs": proofs})) == reason
    )


@pytest.mark.parametrize(
    ("part1_ms", "reason"),
    [(25.0, ""), (25.1, "part 1 took 25.1 ms, 20 in other cells")],
)
def test_a_part_is_late_against_the_profile_and_against_other_cells(
    part1_ms: float, reason: str
) -> None:
    usual = [row(20, **TOLD), row(20, **TOLD)]
    assert said(row(part1_ms, **TOLD), *usual) == [reason, "", ""]
    slow_profile = TOLD | {"part1_predicted_ms": part1_ms}
    assert said(row(part1_ms, **slow_profile), *usual)[0] == ""
    every = [row(part1_ms, **TOLD)] * 2
    assert said(row(part1_ms, **TOLD), *every) == ["", "", ""]


def test_a_machine_that_is_busy_all_the_time_is_so_in_every_cell() -> None:
    assert said(*[row(40, **TOLD)] * 3) == [""] * 3
    told = "part 1 took 40.1 ms, the profile predicts 20"
    assert said(*[row(40.1, **TOLD)] * 3) == [told] * 3


def test_without_a_profile_other_cells_alone_tell() -> None:
    assert said(row(30), row(20)) == ["", ""]
    assert said(row(30.1), row(20)) == ["part 1 took 30.1 ms, 20 in other cells", ""]
    assert said(row(30.1), row(20, ue="4x slower")) == ["", ""]
    assert said(row(30.1), row(20, split="2:0", split_name="device anchor")) == ["", ""]


def test_a_millisecond_or_less_is_no_disturbance() -> None:
    assert said(row(2.0), row(1.0)) == ["", ""]
    assert said(row(1.5), row(1.0)) == ["", ""]
    assert said(row(2.01), row(1.0))[0] == "part 1 took 2.01 ms, 1 in other cells"


def test_each_part_is_held_against_its_own_and_a_failed_cell_against_nothing() -> None:
    both = row(50, part2_ms=70.0, **TOLD)
    told = "part 1 took 50 ms, the profile predicts 20; part 2 took 70 ms, the profile predicts 20"
    assert said(both, row(20, **TOLD)) == [told, ""]
    failed = made_row(e2e_ms=None)
    assert said(failed, row(20)) == ["", ""]


def test_of_a_slowed_ue_the_profile_tells_nothing_of_part_1_and_all_of_part_2() -> None:
    slowed = row(80, ue="4x slower", **TOLD)
    assert said(slowed) == [""]
    late = row(80, ue="4x slower", part2_ms=41.0, **TOLD)
    assert said(late) == ["part 2 took 41 ms, the profile predicts 20"]


def test_what_others_used_is_told_with_what_came_late() -> None:
    busy = row(41, disturbed="other processes used 26% of the processors", **TOLD)
    told = "other processes used 26% of the processors; part 1 took 41 ms, the profile predicts 20"
    assert said(busy) == [told]


def anchor(low_ms: float, e2e_ms: float, high_ms: float, **changed: Any) -> Row:
    """The device anchor over one link."""
    took = {"e2e_low_ms": low_ms, "e2e_ms": e2e_ms, "e2e_high_ms": high_ms}
    device = {"split": "2:0", "split_name": "device anchor", "part1_ms": 20.0, "part2_ms": 0.0}
    return made_row(**TOOK | device | took | {"valid": True} | changed)


FAST = anchor(90, 100, 105)
SLOWER = "the device anchor took less at another time"


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (anchor(105.1, 110, 120), ""),  # no more than a tenth
        (anchor(105.1, 110.1, 120), SLOWER),
        (anchor(105, 110.1, 120), ""),  # their intervals meet
        (anchor(104, 110.1, 120), ""),
        (anchor(105.1, 110.1, 120, ue="4x slower"), ""),
        (anchor(105.1, 110.1, 120, valid=False), ""),
        (anchor(105.1, 110.1, 120, split="0:2", split_name="network anchor"), ""),
        (anchor(105.1, 110.1, 120, split="1:1", split_name="cut"), ""),
        (anchor(105.1, 110.1, 120, disturbed="others"), "others"),
    ],
)
def test_the_device_anchor_takes_the_same_over_every_link(other: Row, reason: str) -> None:
    assert said(FAST, other) == ["", reason]
    assert said(other, FAST) == [reason, ""]
    apart = [(FAST, other)] if reason else []
    assert anchors_apart([FAST, other]) == anchors_apart([other, FAST]) == apart


def test_every_anchor_is_held_against_the_one_whose_interval_ends_first() -> None:
    first, wide = anchor(90, 100, 101), anchor(80, 99, 120)
    slow = [anchor(111, 112, 113), anchor(130, 140, 150)]
    assert anchors_apart([wide, *slow, first]) == [(first, one) for one in slow]
    paces = [replace(one, ue="4x slower") for one in (first, slow[0])]
    assert anchors_apart([first, *paces, slow[1]]) == [(first, slow[1]), tuple(paces)]


def test_less_than_a_millisecond_between_anchors_is_what_threads_take_to_wake() -> None:
    assert anchors_apart([anchor(1, 1, 1), anchor(1.9, 2, 2)]) == []
    assert len(anchors_apart([anchor(1, 1, 1), anchor(1.9, 2.01, 2.1)])) == 1


def test_what_remained_disturbed_is_told_by_name() -> None:
    table = marked([row(40.1, **TOLD), row(20, **TOLD)])
    (sentence,) = [line for line in trust(table) if "disturbed" in line]
    assert sentence.startswith("1 of 2 cells was disturbed")
    assert "cut at 20 Mbit/s (part 1 took 40.1 ms, the profile predicts 20)" in sentence
