"""Frames over three nodes whose clocks differ, told on the user's."""

from collections.abc import Mapping

import pytest

from orchestrator.ask.flow import ends_of
from orchestrator.results.clock import ClockModel, Offset
from orchestrator.results.node_clocks import NodeClocks
from splitbed.timeline import Stage, Timeline

MS, S = 10**6, 10**9
CHAIN = ["part1", "uplink", "part2", "uplink2", "part3", "result", "downlink2", "downlink"]
CALL = ["encode", "uplink", "part1", "encode", "downlink2", "decode", "result"]
AHEAD = {"edge": 5 * S, "cloud": -3 * S, "network": 7 * S, "ue-a": 2 * S}


def frame(flow: str, stages: list[str], ahead: Mapping[str, int]) -> list[Stage]:
    """One whose stages take 10 ms each, as its nodes saw them, each so far ahead of the user."""
    found = []
    for place, (name, (one, other)) in enumerate(zip(stages, ends_of(flow, stages), strict=True)):
        start, end = 10 * place * MS, 10 * (place + 1) * MS
        found.append(Stage(name, start + ahead.get(one, 0), end + ahead.get(other, 0)))
    return found


def known(ahead: Mapping[str, int], unsure_ns: int = 0) -> dict[str, ClockModel]:
    """Clocks that are known as well as that."""
    read = {
        node: Offset(0, ns - unsure_ns, ns + unsure_ns, unsure_ns, 1) for node, ns in ahead.items()
    }
    return {node: ClockModel((one, one.at(0)), one) for node, one in read.items()}


@pytest.mark.parametrize(("flow", "stages"), [("chain", CHAIN), ("call", CALL)])
def test_stages_of_every_node_come_onto_the_user_s_clock(flow: str, stages: list[str]) -> None:
    clocks = NodeClocks(flow, known(AHEAD))
    assert clocks.on_one(frame(flow, stages, AHEAD)) == frame(flow, stages, {})
    assert clocks.fault([frame(flow, stages, AHEAD)]) is None


@pytest.mark.parametrize("wrong_ms", [-100, -3, 4, 100])
def test_a_wrong_estimate_moves_time_between_the_ways_of_one_link_alone(wrong_ms: int) -> None:
    wrong = AHEAD | {"cloud": AHEAD["cloud"] + wrong_ms * MS}
    moved = Timeline(NodeClocks("chain", known(wrong)).on_one(frame("chain", CHAIN, AHEAD)))
    assert moved.e2e_ms == 80
    assert moved.ms("uplink2") + moved.ms("downlink2") == 20
    assert min(moved.ms("uplink2"), moved.ms("downlink2")) >= 0
    assert (moved.ms("uplink"), moved.ms("downlink"), moved.ms("part3")) == (10, 10, 10)


def test_a_call_that_ends_on_another_clock_is_as_unsure_as_the_two() -> None:
    ahead = {"network": 7 * S, "ue-a": 2 * S}
    clocks = NodeClocks("call", known(ahead, unsure_ns=2 * MS))
    assert clocks.uncertainty_ms("ue-a", "ue-b") == pytest.approx(2)
    assert clocks.uncertainty_ms("ue-a", "network") == pytest.approx(4)
    wrong = NodeClocks("call", known({"network": 7 * S, "ue-a": 2 * S + 4 * MS}))
    assert Timeline(wrong.on_one(frame("call", CALL, ahead))).e2e_ms == 74


def test_users_that_share_a_clock_know_how_long_a_call_took_whatever_the_network_s() -> None:
    ahead = {"network": 7 * S}
    for wrong_ms in (-100, -3, 4, 100):
        clocks = NodeClocks("call", known({"network": 7 * S + wrong_ms * MS}, unsure_ns=MS))
        moved = Timeline(clocks.on_one(frame("call", CALL, ahead)))
        assert moved.e2e_ms == 70
        assert min(moved.ms("uplink"), moved.ms("downlink2")) >= 0
    assert clocks.uncertainty_ms("ue-a", "ue-b") == 0


def test_nodes_of_one_machine_have_no_doubt_between_them() -> None:
    clocks = NodeClocks("chain", known({"edge": 5 * S, "cloud": 5 * S}, unsure_ns=MS))
    assert clocks.uncertainty_ms("edge", "cloud") == 0
    assert clocks.uncertainty_ms("ue", "cloud") == pytest.approx(1)


def test_a_frame_that_came_in_before_it_was_sent_contradicts_the_clocks() -> None:
    wrong = NodeClocks("chain", known(AHEAD | {"cloud": AHEAD["cloud"] + 11 * MS}))
    fault = wrong.fault([frame("chain", CHAIN, AHEAD)])
    assert fault is not None
    assert "came in before it was sent" in fault
