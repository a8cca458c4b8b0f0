"""Turns of frames at a station: what each may do next, without threads, and who is waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from splitbed.errors import FrameDropped, NodeError
from splitbed.node.stations.turns import NEWEST, OLDEST, STEPS, Order, Place, Turns
from splitbed.timeline import WAIT, Timeline
from tests.shared_machine import until

DECODE, PART, RESULT, SEND = (STEPS.index(one) for one in ("decode", "part", "result", "send"))


def came(order: Order, count: int) -> list[Place]:
    places = [Place(number) for number in range(count)]
    order.here += places
    return places


def done(order: Order, place: Place, step: int) -> None:
    order.begin(place, step)
    place.at.discard(step)


def test_a_step_is_entered_in_the_order_in_which_frames_came_by_one_at_a_time() -> None:
    first, second = came(order := Order(), 2)
    assert not order.may(second, DECODE)
    order.begin(first, DECODE)
    assert not order.may(second, DECODE)
    first.at.clear()
    assert order.may(second, DECODE)
    assert order.may(first, PART)


def test_who_was_quicker_at_a_part_waits_for_the_frames_before_at_the_next_step() -> None:
    first, second, third = came(order := Order({"part": 2}), 3)
    order.begin(first, PART)
    assert order.may(second, PART)
    order.begin(second, PART)
    assert not order.may(third, PART)
    second.at.clear()
    assert order.may(third, PART)
    assert not order.may(second, RESULT)
    done(order, first, RESULT)
    assert order.may(second, RESULT)


def test_a_frame_that_is_lost_lets_the_others_pass() -> None:
    first, second = came(order := Order(), 2)
    first.lost = NodeError("it failed")
    assert order.may(second, SEND)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_there_is_room_for_those_that_may_wait_beside_the_one_that_is_run(most: int) -> None:
    places = came(order := Order({}, most), most)
    assert not order.full
    places += came(order, 1)
    assert order.full
    for step in (DECODE, PART):
        done(order, places[0], step)
        assert order.full
    places[0].wants = SEND  # its work here is done
    assert not order.full


@pytest.mark.parametrize(("drop", "goes"), [(NEWEST, 2), (OLDEST, 1)])
def test_where_there_is_no_room_the_newest_goes_or_the_one_that_waits_longest(
    drop: str, goes: int
) -> None:
    running, waiting = came(order := Order({}, 1, drop), 2)
    order.begin(running, PART)
    waiting.wants = PART
    assert order.victim(new := Place(2)) is [running, waiting, new][goes]
    order.here.remove(waiting)
    assert order.victim(new) is None


def test_of_frames_that_are_all_worked_on_none_makes_room() -> None:
    (running,) = came(order := Order({}, 0, OLDEST), 1)
    order.begin(running, DECODE)
    assert order.victim(new := Place(1)) is new


def test_what_a_frame_waits_for_its_turn_is_a_stage_of_its_own() -> None:
    turns, timeline = Turns(), Timeline()
    first, second = (turns.come(number, "edge") for number in range(2))
    with ThreadPoolExecutor(1) as pool:
        with turns.step(first, "part", Timeline()):
            waiting = pool.submit(entered, turns, second, timeline)
            until(lambda: second.wants is not None)
        waiting.result()
    (waited,) = timeline.stages
    assert waited.name == WAIT
    turns.leave(first)
    with turns.step(second, "send", timeline):
        assert len(timeline.stages) == 1


def entered(turns: Turns, place: Place, timeline: Timeline) -> None:
    with turns.step(place, "part", timeline):
        pass


def test_the_one_that_makes_room_is_told_so_where_it_waits() -> None:
    turns = Turns(Order({}, 1, OLDEST))
    running, waiting = (turns.come(number, "edge") for number in range(2))
    with ThreadPoolExecutor(1) as pool, turns.step(running, "part", Timeline()):
        told = pool.submit(entered, turns, waiting, Timeline())
        until(lambda: waiting.wants is not None)
        turns.come(2, "edge")
        with pytest.raises(FrameDropped, match="edge had no room for frame 1") as dropped:
            told.result()
    assert dropped.value.node == "edge"


def test_where_all_wait_one_more_comes_in_once_there_is_room() -> None:
    turns, came_in = Turns(Order({}, 0)), threading.Event()
    running = turns.come(0, "edge")

    def come() -> None:
        turns.come(1, "edge")
        came_in.set()

    with ThreadPoolExecutor(1) as pool:
        with turns.step(running, "part", Timeline()):
            pool.submit(come)
            assert not came_in.wait(0.05)
        with turns.step(running, "send", Timeline()):
            assert came_in.wait(5)


def test_what_is_given_up_waits_no_longer_and_goes_no_further() -> None:
    turns = Turns()
    first, second = (turns.come(number, "edge") for number in range(2))
    with ThreadPoolExecutor(1) as pool, turns.step(first, "part", Timeline()):
        waiting = pool.submit(entered, turns, second, Timeline())
        until(lambda: second.wants is not None)
        turns.give_up("nobody waits for it")
        with pytest.raises(NodeError, match="nobody waits for it"):
            waiting.result()
    with pytest.raises(NodeError, match="nobody"), turns.step(first, "send", Timeline()):
        pass


def test_who_came_to_a_part_before_his_turn_begins_with_the_one_ahead_of_him() -> None:
    turns = Turns(Order({"part": 2}))
    first, second = (turns.come(number, "edge") for number in range(2))
    begun = threading.Event()

    def enter() -> None:
        with turns.step(second, "part", Timeline()):
            begun.set()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(enter)
        until(lambda: second.wants is not None)
        with turns.step(first, "part", Timeline()):
            assert begun.wait(5)
