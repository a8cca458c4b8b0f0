"""Which cut is best for frames a second, and when that is told."""

from typing import Any

from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.choice import choices
from orchestrator.results.judgement.throughput import most_frames, throughput_of
from orchestrator.results.rows import Row
from tests.orchestrator.written import made_row

STAGES = ("preprocess", "part1", "encode", "uplink", "decode", "part2", "result", "downlink")


def row(split: str, took_ms: tuple[float, ...], **changed: Any) -> Row:
    stages = {f"{name}_ms": ms for name, ms in zip(STAGES, took_ms, strict=True)}
    e2e_ms = sum(took_ms[1:])
    ends = {"e2e_ms": e2e_ms, "e2e_low_ms": e2e_ms, "e2e_high_ms": e2e_ms}
    samples = {"samples_ms": (e2e_ms,) * 6, "frames": 6, "bound_ms": e2e_ms, "e2e_over_bound": 1.0}
    names = {"0:9": "network anchor", "9:0": "device anchor"}
    name = names.get(split, f"cut{split[0]}")
    return made_row(**stages | ends | samples | {"split": split, "split_name": name} | changed)


NETWORK = row("0:9", (1.0, 0.0, 0.0, 50.0, 0.0, 10.0, 0.0, 1.0))
FIRST = row("3:6", (1.0, 4.0, 1.0, 30.0, 1.0, 4.0, 0.0, 1.0))
SECOND = row("6:3", (1.0, 20.0, 2.0, 20.0, 2.0, 1.0, 0.0, 1.0))
DEVICE = row("9:0", (1.0, 90.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0), codec="none")
TABLE = [NETWORK, FIRST, SECOND, DEVICE]


def test_a_row_does_as_many_as_its_slowest_stage() -> None:
    found = throughput_of(SECOND)
    assert found is not None
    assert (found.fps, found.slowest) == (50, "part 1")
    assert found.words == "cut6 (6:3): 50, predicted (part 1)"


def test_a_link_s_delay_is_in_nobody_s_way() -> None:
    took_ms = (1.0, 3.0, 1.0, 30.0, 1.0, 4.0, 0.0, 26.0)
    found = throughput_of(row("3:6", took_ms, delay_ms=27.0, downlink_delay_ms=25.0))
    assert found is not None and found.slowest == "part 2"


def test_slow_preprocessing_is_a_stage() -> None:
    found = throughput_of(row("3:6", (99.0, 4.0, 1.0, 30.0, 1.0, 4.0, 0.0, 1.0)))
    assert found is not None and found.slowest == "preprocess"


def test_what_is_not_known_is_not_predicted() -> None:
    assert throughput_of(made_row()) is None
    assert throughput_of(row("3:6", (1.0,) * 8, uplink_ms=None)) is None
    assert throughput_of(row("3:6", (1.0,) * 8, flow="downlink")) is None


def test_the_best_for_frames_a_second_is_told_where_it_is_another() -> None:
    (choice,) = choices(TABLE)
    assert choice.best is FIRST
    most = most_frames(choice)
    assert most is not None and most.row is SECOND
    (said,) = [line for line in advice(TABLE) if "frames a second" in line]
    assert "at 20 Mbit/s best is cut6 (6:3), 50 (part 1), against 33.3 (uplink) of cut3" in said
    assert "predicted" in said


def test_nothing_is_told_where_it_is_the_same() -> None:
    assert not [line for line in advice([NETWORK, FIRST, DEVICE]) if "frames a second" in line]


def test_what_may_not_be_recommended_is_not_best_for_frames() -> None:
    lossy = row("6:3", (1.0, 5.0, 2.0, 5.0, 2.0, 1.0, 0.0, 60.0), lossless=False, codec="int4")
    (choice,) = choices([NETWORK, FIRST, lossy, DEVICE])
    assert (most := most_frames(choice)) is not None and most.row is FIRST


def test_of_several_in_flight_what_came_is_told() -> None:
    load = {"load": "closed, 4 in flight", "sustained": True, "response_ms": 40.0}
    table = [
        row(one.split, (1.0,) + (one.e2e_ms or 0.0,) * 7, **load, delivered_fps=fps)
        for one, fps in ((NETWORK, 20.0), (FIRST, 31.0), (SECOND, 45.0), (DEVICE, 11.0))
    ]
    (said,) = [line for line in advice(table) if "frames a second" in line]
    assert said.startswith("For frames a second, measured: at 20 Mbit/s, closed, 4 in flight")
    assert "best is cut6 (6:3), 45, against 31 of cut3" in said


def test_nothing_is_predicted_of_an_open_load_or_of_several_ues() -> None:
    assert throughput_of(row("3:6", (1.0,) * 8, load="fps:10", delivered_fps=10.0)) is None
    assert throughput_of(row("3:6", (1.0,) * 8, ues=4)) is None
