"""CPU time is booked once: on a stage, or on the rest."""

import threading
import time
from itertools import pairwise

import pytest

from splitbed.meters.cpu import LEDGER, REST, Ledger
from splitbed.timeline import Timeline


def spin(cpu_ms: float) -> None:
    began_s = time.thread_time()
    while (time.thread_time() - began_s) * 1e3 < cpu_ms:
        pass


def test_stages_and_rest_are_all_that_the_process_computed() -> None:
    readings = [0, 5, 25, 40, 90]
    ledger, spent = Ledger(iter(readings).__next__), dict[str, int]()
    far_ns = 10**18
    ledger.rest(spent, far_ns)
    ledger.book(spent, "part1")
    ledger.rest(spent, far_ns)
    ledger.book(spent, "encode")
    assert spent == {REST: 5 + 15, "part1": 20, "encode": 50}
    assert sum(spent.values()) == sum(b - a for a, b in pairwise(readings))


def test_threads_that_a_stage_has_compute_are_booked_on_it() -> None:
    timeline = Timeline(spent={})
    LEDGER.begin()
    with timeline.stage("part1"):
        others = [threading.Thread(target=spin, args=(20,)) for _ in range(3)]
        own_s = time.thread_time()
        for one in others:
            one.start()
        for one in others:
            one.join()
        own_ms = (time.thread_time() - own_s) * 1e3
    assert timeline.spent is not None
    assert timeline.spent["part1"] / 1e6 >= 55  # a tick of the kernel is 4 ms
    assert own_ms < 30  # which is all that the thread that called it knows of


def test_what_lies_between_stages_is_the_rest() -> None:
    timeline = Timeline(spent={})
    LEDGER.begin()
    with timeline.stage("decode"):
        spin(10)
    spin(30)
    with timeline.stage("part2"):
        spin(10)
    assert timeline.spent is not None
    told_ms = {name: ns / 1e6 for name, ns in timeline.spent.items()}
    assert told_ms == pytest.approx({"decode": 10, REST: 30, "part2": 10}, abs=5)


def test_of_frames_that_meet_others_nothing_is_booked() -> None:
    timeline = Timeline()
    with timeline.stage("part1"):
        spin(1)
    assert timeline.spent is None
    assert timeline.ms("part1") >= 1
