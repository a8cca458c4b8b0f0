"""When a cell counts as disturbed, just inside and just outside each limit."""

from typing import Any

import pytest

from orchestrator.results.judgement.disturbance import disturbed_by, marked
from orchestrator.results.judgement.trust import trust
from orchestrator.results.records import MachineRecord, ProofRecord
from orchestrator.results.rows import Row
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


def test_less_than_a_millisecond_is_no_disturbance() -> None:
    assert said(row(1.9), row(1.0)) == ["", ""]


def test_what_remained_disturbed_is_told_by_name() -> None:
    table = marked([row(40.1, **TOLD), row(20, **TOLD)])
    (sentence,) = [line for line in trust(table) if "disturbed" in line]
    assert sentence.startswith("1 of 2 cells were disturbed")
    assert "cut at 20 Mbit/s (part 1 took 40.1 ms, the profile predicts 20)" in sentence
