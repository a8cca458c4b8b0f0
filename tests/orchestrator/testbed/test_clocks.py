"""What two clocks are apart is known within the uncertainty that is stated."""

import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.results.clock import ClockModel, Offset, is_told, own_epoch_ns
from orchestrator.results.node_clocks import NodeClocks
from orchestrator.results.records import ClockRecord
from orchestrator.testbed.nodes.clocks import Clocks, between, read_offset
from splitbed.errors import NodeError
from splitbed.timeline import Stage, Timeline
from splitbed.v1 import nodes_pb2, nodes_pb2_grpc
from tests.node.loopback import free_port

US, MS, S = 10**3, 10**6, 10**9
AHEAD_S = 1000
ROUNDED_NS = 2  # by the simulation, whose clocks are integers

seeds = st.integers(0, 2**32)
offsets = st.integers(-(10**16), 10**16)
rates = st.integers(-200, 200)


class World:
    """Two nodes and who asks them, in a time of its own; ways take what `way_ns` says each time."""

    def __init__(self, seed: int = 0) -> None:
        self.ns = 10**12
        self.random = Random(seed)
        slowest = [self.random.choice((0.01, 0.1, 1, 10)) * MS for _ in range(2)]
        self.way_ns: Callable[[int], float] = lambda way: (
            0.2 * MS + self.random.expovariate(1 / slowest[way])
        )

    def now(self) -> int:
        return self.ns

    def ask(self, clock: "Clock") -> int:
        self.ns += int(self.way_ns(0))
        seen = clock.at(self.ns)
        self.ns += int(self.way_ns(1))
        return seen

    def read(self, clock: "Clock") -> Offset:
        return read_offset(lambda: self.ask(clock), now=self.now)


class Clock:
    """A clock that was ahead by `offset_ns` at 0 and is faster by `ppm`."""

    def __init__(self, offset_ns: int, ppm: int) -> None:
        self.offset_ns, self.ppm = offset_ns, ppm

    def at(self, ns: int) -> int:
        return ns + self.offset_ns + ns * self.ppm // 10**6


def assert_within(estimate: Offset, truth_ns: int) -> None:
    assert abs(estimate.offset_ns - truth_ns) <= estimate.uncertainty_ns + ROUNDED_NS


def model_of(*readings: Offset) -> ClockModel:
    return ClockModel(readings, readings[0])


def two(model: ClockModel) -> NodeClocks:
    """Of the flow uplink, the edge's clock as the model says."""
    return NodeClocks("uplink", {"edge": model})


def exact(offset_ns: int) -> ClockModel:
    """A model that is sure."""
    return model_of(Offset(0, offset_ns, offset_ns, 0, 1), Offset(S, offset_ns, offset_ns, 0, 1))


@given(seeds, offsets, rates)
def test_an_offset_lies_within_its_uncertainty_however_unequal_the_ways(
    seed: int, offset_ns: int, ppm: int
) -> None:
    world, clock = World(seed), Clock(offset_ns, ppm)
    reading = world.read(clock)
    assert_within(reading, clock.at(world.ns) - world.ns)


@given(seeds, offsets, rates)
def test_many_exchanges_are_surer_than_the_one_of_the_shortest_round_trip(
    seed: int, offset_ns: int, ppm: int
) -> None:
    world = World(seed)
    began_ns = world.ns
    reading = world.read(Clock(offset_ns, ppm))
    drifted_ns = (world.ns - began_ns) * 500 // 10**6
    assert reading.uncertainty_ns <= reading.rtt_ns / 2 + drifted_ns + ROUNDED_NS


@pytest.mark.parametrize("ppm", [-400, 0, 400])
def test_exchanges_with_one_short_way_each_count_as_one_with_two(ppm: int) -> None:
    world, clock = World(), Clock(77 * S, ppm)
    ways = itertools.cycle([1 * US, 5 * MS, 5 * MS, 1 * US])
    world.way_ns = lambda _: next(ways)
    reading = world.read(clock)
    assert reading.rtt_ns == 5 * MS + 1 * US
    assert reading.uncertainty_ns < 0.12 * MS  # of which 0.1 is what 0.2 s at 500 ppm may do
    assert_within(reading, clock.at(world.ns) - world.ns)


def test_a_slow_control_path_is_asked_less_often() -> None:
    world = World()
    world.way_ns = lambda _: 200 * MS
    reading = world.read(Clock(S, 0))
    assert reading.exchanges == 8
    assert_within(reading, S)


@given(seeds, offsets, offsets, rates, rates)
def test_uncertainties_of_both_nodes_cover_the_edge_against_the_ue(
    seed: int, ue_offset_ns: int, edge_offset_ns: int, ue_ppm: int, edge_ppm: int
) -> None:
    world, ue, edge = World(seed), Clock(ue_offset_ns, ue_ppm), Clock(edge_offset_ns, edge_ppm)
    of_ue = world.read(ue)
    world.ns += 300 * MS
    of_edge = world.read(edge)
    both = between(of_ue, of_edge)
    assert_within(both, edge.at(world.ns) - ue.at(world.ns))
    assert both.uncertainty_ns >= of_ue.uncertainty_ns + of_edge.uncertainty_ns


@settings(max_examples=30)
@given(seeds, offsets, offsets, rates, rates)
def test_offset_and_drift_lie_within_their_uncertainties_all_through_a_cell(
    seed: int, ue_offset_ns: int, edge_offset_ns: int, ue_ppm: int, edge_ppm: int
) -> None:
    world, ue, edge = World(seed), Clock(ue_offset_ns, ue_ppm), Clock(edge_offset_ns, edge_ppm)
    readings, read_at_ns = [], []
    for _ in range(3):
        world.ns += 10 * S
        readings.append(between(world.read(ue), world.read(edge)))
        read_at_ns.append(world.ns)
    model = model_of(*readings)
    for ns in range(read_at_ns[0], read_at_ns[-1], 100 * MS):
        estimate = model.at(ue.at(ns))
        assert_within(estimate, edge.at(ns) - ue.at(ns))
        assert estimate.uncertainty_ns <= model.uncertainty_ms * MS + ROUNDED_NS
    assert model.drift_ppm is not None
    drift_ppm, uncertainty_ppm = model.drift_ppm
    assert abs(drift_ppm - (edge_ppm - ue_ppm)) <= uncertainty_ppm + 0.1
    assert two(model).fault() is None


def test_drift_is_the_surer_the_longer_the_run() -> None:
    world, ue, edge = World(1), Clock(0, 0), Clock(5 * S, 37)
    first = between(world.read(ue), world.read(edge))
    world.ns += 1000 * S
    later = between(world.read(ue), world.read(edge))
    drift = ClockModel((later,), origin=first).drift_ppm
    assert drift is not None
    assert drift == pytest.approx((37, 0), abs=2)


def test_a_rate_that_wanders_within_a_cell_is_covered() -> None:
    world, ue = World(2), Clock(0, 0)
    slow, fast = Clock(S, 50), Clock(S, 69)
    fast.offset_ns += slow.at(world.ns + 5 * S) - fast.at(world.ns + 5 * S)  # they meet in 5 s
    world.way_ns = lambda _: 10 * US
    first = between(world.read(ue), world.read(slow))
    bent_ns = 10**12 + 5 * S
    world.ns = 10**12 + 10 * S
    model = model_of(first, between(world.read(ue), world.read(fast)))
    straight_ns = (model.at(bent_ns - 5 * S).offset_ns + model.at(bent_ns + 5 * S).offset_ns) // 2
    assert abs(straight_ns - (slow.at(bent_ns) - bent_ns)) > 2 * first.uncertainty_ns
    assert_within(model.at(bent_ns), slow.at(bent_ns) - bent_ns)


def test_beyond_the_readings_the_estimate_is_ever_less_sure() -> None:
    world, ue, edge = World(3), Clock(0, 0), Clock(S, 200)
    model = model_of(between(world.read(ue), world.read(edge)))
    later_ns = world.ns + 10 * S
    assert_within(model.at(later_ns), edge.at(later_ns) - later_ns)
    assert model.at(later_ns).uncertainty_ns > model.at(world.ns).uncertainty_ns + 4 * MS
    assert model.drift_ppm is None


def test_a_clock_that_jumps_while_it_is_read_is_read_again() -> None:
    world, clock = World(4), Clock(0, 0)
    asked = itertools.count()

    def ask() -> int:
        if next(asked) == 20:
            clock.offset_ns += S
        return world.ask(clock)

    assert_within(read_offset(ask, now=world.now), S)


def test_a_clock_that_keeps_jumping_is_an_error_that_says_whose() -> None:
    world, clock = World(5), Clock(0, 0)

    def ask() -> int:
        clock.offset_ns += S
        return world.ask(clock)

    with pytest.raises(NodeError, match="clock of the edge node jumped"):
        read_offset(ask, whose="the edge node", now=world.now)


def test_a_jump_between_readings_is_a_fault_and_no_drift() -> None:
    world, ue, edge = World(6), Clock(0, 0), Clock(0, 0)
    first = between(world.read(ue), world.read(edge))
    world.ns += 10 * S
    edge.offset_ns += S
    model = model_of(first, between(world.read(ue), world.read(edge)))
    assert two(model).fault() == "one-way times are not known: the clock of a node jumped"
    assert model.drift_ppm is None


def test_drift_is_told_anew_since_a_node_that_was_started_again() -> None:
    started = [time.monotonic_ns()]
    clocks = Clocks({"ue": time.monotonic_ns, "edge": lambda: time.monotonic_ns() - started[0]})
    clocks.begin()
    started[0] = time.monotonic_ns()
    clocks.begin()
    time.sleep(0.01)
    clocks.read()
    model = clocks.models()["edge"]
    assert model.origin == model.readings[0]
    assert model.drift_ppm is not None
    drift_ppm, uncertainty_ppm = model.drift_ppm
    assert abs(drift_ppm) <= uncertainty_ppm
    assert two(model).fault() is None


def test_a_model_is_the_same_after_json() -> None:
    world, ue, edge = World(7), Clock(0, 0), Clock(10**15 + 1, 50)
    first = between(world.read(ue), world.read(edge))
    world.ns += 10 * S
    model = ClockModel((between(world.read(ue), world.read(edge)),), origin=first)
    record = ClockRecord.of(model, ue_epoch_ns=0)
    assert ClockRecord.from_json(record.line()).model == model


def test_a_record_names_what_the_run_is_judged_by() -> None:
    record = ClockRecord.of(exact(25 * MS), ue_epoch_ns=0)
    assert record.offset_ms == 25
    assert record.uncertainty_ms == pytest.approx(0.005)
    assert (record.drift_ppm, record.drift_uncertainty_ppm) == (0, 0)


FRAME_MS = {
    "preprocess": (0, 5), "part1": (5, 25), "encode": (25, 30), "uplink": (30, 80),
    "decode": (80, 82), "part2": (82, 99), "result": (99, 100), "downlink": (100, 110),
}  # fmt: skip


def frame(ahead_ns: int) -> list[Stage]:
    """A frame as its nodes saw it, the edge's clock ahead of the UE's by `ahead_ns`."""
    stages = []
    for name, (start_ms, end_ms) in FRAME_MS.items():
        on_edge = name in ("decode", "part2", "result")
        start_ns = start_ms * MS + (ahead_ns if on_edge or name == "downlink" else 0)
        end_ns = end_ms * MS + (ahead_ns if on_edge or name == "uplink" else 0)
        stages.append(Stage(name, start_ns, end_ns))
    return stages


def test_stages_of_the_edge_are_moved_onto_the_clock_of_the_ue() -> None:
    assert two(exact(1000 * S)).on_one(frame(1000 * S)) == frame(0)


@given(st.integers(-200, 200))
def test_a_wrong_estimate_moves_time_between_the_ways_and_nothing_else(wrong_ms: int) -> None:
    moved = Timeline(two(exact(7 * S + wrong_ms * MS)).on_one(frame(7 * S)))
    true = Timeline(frame(0))
    assert moved.e2e_ms == true.e2e_ms
    assert moved.gap_share == true.gap_share
    assert moved.ms("uplink") + moved.ms("downlink") == true.ms("uplink") + true.ms("downlink")
    assert min(moved.ms("uplink"), moved.ms("downlink")) >= 0
    for name in FRAME_MS.keys() - {"uplink", "downlink"}:
        assert moved.ms(name) == true.ms(name)


def test_the_device_anchor_has_nothing_to_move() -> None:
    stages = [Stage("preprocess", 0, 1), Stage("part1", 1, 2), Stage("result", 2, 3)]
    assert two(exact(1000 * S)).on_one(stages) == stages
    assert two(exact(1000 * S)).fault([stages]) is None


def test_a_frame_that_came_in_before_it_was_sent_contradicts_the_estimate() -> None:
    assert two(exact(49 * MS)).fault([frame(0)]) is None  # leaves 1 ms of uplink
    for wrong_ns in (51 * MS, -11 * MS):
        fault = two(exact(wrong_ns)).fault([frame(wrong_ns), frame(0)])
        assert fault is not None
        assert fault.endswith("by its clocks a frame came in before it was sent")
    unsure = model_of(Offset(0, 49 * MS, 60 * MS, 11 * MS, 40))
    assert two(unsure).fault([frame(0)]) is None


def test_a_one_way_time_that_may_be_nothing_is_not_told() -> None:
    assert is_told(0.4, 0.3)
    assert not is_told(0.3, 0.3)


@pytest.fixture(scope="module")
def another_time() -> list[str]:
    """A command's prefix that has its CLOCK_MONOTONIC ahead by `AHEAD_S`."""
    prefix = ["unshare", "--time", "--monotonic", str(AHEAD_S), "--"]
    tell = [sys.executable, "-c", "import time; print(time.monotonic_ns())"]
    try:
        told = subprocess.run([*prefix, *tell], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs unshare, of util-linux")
    if told.returncode != 0:
        pytest.skip(f"no time namespaces here: {told.stderr.strip()}")
    if int(told.stdout) < time.monotonic_ns() + (AHEAD_S - 1) * S:
        pytest.skip("a program does not begin in the new time namespace: needs Linux 5.19")
    return prefix


Ask = Callable[[], int]


@contextmanager
def served(prefix: list[str], folder: Path, module: str, *argv: str) -> Iterator[Ask]:
    """What reads the clock of a real node, which ends with the test."""
    control = f"unix:{folder}/{module}.sock"
    serving = [sys.executable, "-m", module, "serve", "--control", control, *argv]
    process = subprocess.Popen([*prefix, *serving])
    try:
        with grpc.insecure_channel(control) as channel:
            stub = nodes_pb2_grpc.NodeStub(channel)
            request = nodes_pb2.ReadClockRequest()
            yield lambda: stub.ReadClock(request, wait_for_ready=True, timeout=30).now_ns
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def nodes(
    another_time: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ask, Ask]]:
    """What reads the clocks of a UE node, and of an edge node in another time."""
    folder, data = tmp_path_factory.mktemp("clocks"), f"127.0.0.1:{free_port()}"
    with (
        served(another_time, folder, "edge_node", "--listen", data) as ask_edge,
        served([], folder, "ue_node", "--edge", data) as ask_ue,
    ):
        ask_ue(), ask_edge()  # wait until both are there
        yield ask_ue, ask_edge


def test_a_node_in_another_time_is_ahead_by_that_within_a_round_trip(
    nodes: tuple[Ask, Ask],
) -> None:
    clocks = Clocks(dict(zip(("ue", "edge"), nodes, strict=True)))
    began_ns = time.monotonic_ns()
    clocks.begin()
    time.sleep(0.1)
    clocks.read()
    drifted_ns = (time.monotonic_ns() - began_ns) * 500 // 10**6  # what either clock may have
    model = clocks.models()["edge"]
    for reading in model.readings:
        assert_within(reading, AHEAD_S * S)
        assert reading.uncertainty_ns <= reading.rtt_ns + 2 * drifted_ns
    assert model.drift_ppm is not None
    drift_ppm, uncertainty_ppm = model.drift_ppm
    assert abs(drift_ppm) <= uncertainty_ppm
    assert two(model).fault() is None


def test_clocks_are_read_between_frames_only_when_that_is_due(nodes: tuple[Ask, Ask]) -> None:
    clocks = Clocks(dict(zip(("ue", "edge"), nodes, strict=True)))
    assert not clocks.models()
    clocks.begin()
    clocks.read_if_due()
    model = clocks.models()["edge"]
    assert len(model.readings) == 1


def test_the_time_since_1970_is_known_from_the_clock_of_the_ue(nodes: tuple[Ask, Ask]) -> None:
    _, ask_shifted = nodes
    clocks = Clocks({"ue": ask_shifted, "edge": ask_shifted})
    clocks.begin()
    model = clocks.models()["edge"]
    unsure_ns = model.origin.rtt_ns + MS  # this machine may set its clock meanwhile
    before_ns = time.time_ns()
    told_ns = ask_shifted() + clocks.ue_epoch_ns
    assert before_ns - unsure_ns <= told_ns <= time.time_ns() + unsure_ns
    assert abs(own_epoch_ns() - clocks.ue_epoch_ns - AHEAD_S * S) <= unsure_ns
