"""What a plan says of frames a second and of times under a load."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netem.wire import wire_bytes
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.load import load_named
from orchestrator.plan.facts import Option
from orchestrator.plan.grid import Floats, grid
from orchestrator.plan.load.forecast import carried, response
from orchestrator.plan.load.processors import Processors
from orchestrator.plan.load.queueing import Source
from orchestrator.plan.load.under import UnderLoad, under_load
from orchestrator.plan.policies import decisions
from orchestrator.plan.prediction import Plan, make_plan
from orchestrator.plan.show import NOT_HELD, _loaded
from orchestrator.plan.written import Loaded, write
from orchestrator.results.run_folder import RunFolder
from splitbed.errors import UsageError
from tests.orchestrator.plan.test_plan import coded, in_pieces, planned, predictor

NETWORK, EARLY, CODED, LATE, DEVICE = range(5)
PART1_MS = {EARLY: 11.4, LATE: 33.4, DEVICE: 66.4}  # after a pause, and 0.4 ms to run it at all
PART2_MS = {NETWORK: 33.4, EARLY: 27.9, LATE: 16.9}


def due(every_ms: float, count: int) -> Floats:
    return np.arange(count, dtype=np.float64) * float(every_ms)


def wire_ms(nbytes: int, bw_mbit: float) -> float:
    return wire_bytes(round(nbytes * 1.0005)) * 8 / (bw_mbit * 1e3)


def test_the_slowest_stage_says_how_many_frames_a_second() -> None:
    told = carried(planned("8,1000"))
    slow, fast = 0, 1
    assert told.fps[EARLY, slow] == pytest.approx(1e3 / wire_ms(100_000, 8))
    assert told.slowest(EARLY, slow) == "uplink"
    assert told.fps[EARLY, fast] == pytest.approx(1e3 / PART2_MS[EARLY])
    assert told.slowest(EARLY, fast) == "part on edge"
    assert told.fps[DEVICE, slow] == pytest.approx(1e3 / PART1_MS[DEVICE])


def test_a_link_may_be_as_fast_as_its_proof_lets_it_be() -> None:
    told = carried(planned("8"))
    middle, low, high = told.ends_fps(EARLY, 0)
    assert told.slowest(EARLY, 0) == "uplink"
    assert high == pytest.approx(1.03 * middle)
    assert low < 0.97 * middle


@pytest.mark.filterwarnings("error")
def test_where_nothing_is_known_to_take_any_time_a_rate_has_no_high_end(tmp_path: Path) -> None:
    plan = planned("8")
    told = carried(plan)
    told = replace(told, fast=[one.fast(np.zeros_like(one.ms[0])) for one in told.stages])
    assert told.ends_fps(DEVICE, 0)[2] is None
    write(plan, decisions(plan), RunFolder(tmp_path), Loaded(told))
    with (tmp_path / "plan.csv").open() as stream:
        found = {row["split_name"]: row["high_per_s"] for row in csv.DictReader(stream)}
    assert found["device anchor"] == ""
    assert "inf" not in found.values()


def test_the_best_for_frames_a_second_is_another_than_the_best_in_latency() -> None:
    plan = planned("1000")
    told = carried(plan)
    assert plan.options[plan.ranks[0, 0]].configuration.split_name == "network anchor"
    assert plan.options[told.best[0]].configuration.split_name == "early"


def test_a_link_s_delay_is_in_nobody_s_way() -> None:
    assert np.array_equal(carried(planned("20", "0")).fps, carried(planned("20", "50")).fps)


def test_a_slow_ue_is_slow_for_every_frame() -> None:
    told = carried(planned("1000", slowdown="1,4"))
    assert told.fps[DEVICE, 1] == pytest.approx(told.fps[DEVICE, 0] / 4)
    assert told.fps[NETWORK, 1] == pytest.approx(told.fps[NETWORK, 0])


def shared(threads: int) -> Plan:
    own = Processors(2, {"ue": threads, "edge": threads})
    return make_plan(replace(predictor(), shared=own), grid("1000", "0", "1"))


def test_nodes_on_one_machine_share_its_processors() -> None:
    coding_ms, result_ms = 0.2, 4.0  # each by one of two processors
    all_ms = PART1_MS[EARLY] + PART2_MS[EARLY] + (coding_ms + result_ms) / 2
    told = carried(shared(threads=0))
    assert told.fps[EARLY, 0] == pytest.approx(1e3 / all_ms)
    assert told.slowest(EARLY, 0) == "processors"
    alone = carried(shared(threads=1))
    assert alone.fps[EARLY, 0] == pytest.approx(1e3 / PART2_MS[EARLY])


def test_ends_hold_the_prediction() -> None:
    told = carried(shared(threads=0))
    assert (told.low_fps < told.fps).all() and (told.fps < told.high_fps).all()


def test_frames_that_meet_nobody_take_what_the_plan_says() -> None:
    plan = planned("20", "5")
    found = response(carried(plan).stages, due(1e4, 50), Source(4))
    assert found.median_ms == pytest.approx(plan.e2e_ms)
    assert found.sustained.all() and not found.dropped.any()


def test_what_is_encoded_meanwhile_delays_a_frame_that_meets_nobody_as_the_plan_says() -> None:
    bare = predictor()
    options = [one.replaced(coded=tuple(map(in_pieces, one.coded))) for one in bare.facts.options]
    plan = make_plan(
        replace(bare, facts=bare.facts.replaced(options=(*options,))), grid("20", "5", "1")
    )
    ways, alone_ms = carried(plan).stages, float(plan.e2e_ms[EARLY, 0])
    assert response(ways, due(1e4, 50), Source(4)).median_ms == pytest.approx(plan.e2e_ms)
    for share, sustained in ((1.02, True), (0.98, False)):
        found = response(ways, due(share * alone_ms, 500), Source(in_flight=1))
        assert found.sustained[EARLY, 0] == sustained


def test_of_several_users_what_is_encoded_for_all_is_on_each_way() -> None:
    bare, asked = predictor(), Configuration(1, 3, "early", "int8", flow="multi-head")
    heads, (own,) = replace(asked, heads=((0,), (1,))), coded(9_000, 30, 4)
    for one in (own, in_pieces(own)):
        facts = bare.facts.replaced(options=(Option(configuration=heads, coded=(one,)),))
        owns = {"downlink2": (4.0, None), "downlink": (8.0, None)}
        profile = bare.profile.replaced(others={"ue-2": bare.profile.ue})
        plan = make_plan(
            replace(bare, profile=profile, facts=facts, owns=owns), grid("8", "5", "1")
        )
        found = response(carried(plan).stages, due(1e4, 50), Source(4))
        assert found.median_ms == pytest.approx(plan.e2e_ms)


def test_a_load_is_sustained_up_to_what_is_carried() -> None:
    told = carried(planned("20"))
    for option in (NETWORK, EARLY, LATE):
        for share, sustained in ((0.98, True), (1.02, False)):
            due_ms = due(1e3 / (told.fps[option, 0] * share), 2000)
            found = response(told.stages, due_ms, Source(in_flight=16))
            assert found.sustained[option, 0] == sustained


def test_one_under_way_carries_one_in_its_whole_time() -> None:
    plan = planned("20")
    every_ms = 0.9 * plan.e2e_ms[EARLY, 0]
    due_ms = due(every_ms, 500)
    found = response(carried(plan).stages, due_ms, Source(in_flight=1))
    assert not found.sustained[EARLY, 0]
    more = response(carried(plan).stages, due_ms, Source(in_flight=8))
    assert more.sustained[EARLY, 0]


def test_the_source_hears_that_a_frame_ended_over_the_way_back() -> None:
    # 5 ms to the user, 40 ms back to the source, which then begins the next
    asked = Configuration(1, 3, "early", "int8", flow="remote-source")
    bare = predictor()
    facts = bare.facts.replaced(options=(Option(configuration=asked, coded=coded(9_000, 3, 4)),))
    owns = {"uplink": (None, 40.0), "downlink": (None, 5.0)}
    plan = make_plan(replace(bare, facts=facts, owns=owns), grid("8", "20", "1"))
    told = carried(plan)
    assert told.stages[0].heard[0, 0] == 40.0
    every_ms = plan.e2e_ms[0, 0] + 40.0
    for share, sustained in ((1.02, True), (0.98, False)):
        found = response(told.stages, due(share * every_ms, 500), Source(in_flight=1))
        assert found.sustained[0, 0] == sustained


def test_what_is_dropped_is_what_is_not_carried() -> None:
    told = carried(planned("20"))
    due_ms = due(1e3 / (2 * told.fps[EARLY, 0]), 3000)
    found = response(told.stages, due_ms, Source(8, most=1, drop="oldest"))
    assert found.dropped[EARLY, 0] == pytest.approx(0.5, abs=0.02)


def under(plan: Plan, word: str, in_flight: int = 8) -> UnderLoad:
    return under_load(plan, carried(plan), load_named(word, in_flight), seed=0)


def test_the_best_under_a_load_is_one_that_sustains_it() -> None:
    plan = planned("20,1000")
    told = under(plan, "poisson:30")
    for point in range(2):
        best = int(told.best[point])
        assert told.middle.sustained[best, point]
        held = told.middle.median_ms[told.middle.sustained[:, point], point]
        assert told.middle.median_ms[best, point] == held.min()
    assert (under(plan, "fps:900").best == -1).all()


def test_ends_of_a_response_hold_it() -> None:
    told = under(make_plan(predictor(), grid("20,1000", "0,20", "1")), "poisson:20")
    assert (told.fast.median_ms <= told.middle.median_ms).all()
    held = told.slow.sustained
    assert held.any()
    assert (told.middle.median_ms[held] <= told.slow.median_ms[held]).all()


def test_what_is_not_sustained_has_no_time(tmp_path: Path) -> None:
    plan = planned("1,1000")
    told = Loaded(carried(plan), under(plan, "fps:25"))
    write(plan, decisions(plan), RunFolder(tmp_path), told)
    with (tmp_path / "plan.csv").open() as file:
        lines = [*csv.DictReader(file)]
    assert {line["sustained"] for line in lines} == {"true", "false"}
    for line in lines:
        assert bool(line["response_ms"]) == (line["sustained"] == "true")
        if line["sustained"] == "true":
            assert float(line["response_low_ms"]) <= float(line["response_ms"]) + 1e-3
    with (tmp_path / "best.csv").open() as file:
        for line in csv.DictReader(file):
            here = [one for one in lines if float(one["bw_mbit"]) == float(line["bw_mbit"])]
            alike = [one for one in here if one["response_ms"]]
            least = min((float(one["response_ms"]) for one in alike), default=None)
            assert line["load_response_ms"] == ("" if least is None else f"{least:g}")


def test_an_end_that_is_not_sustained_has_no_time() -> None:
    plan = planned("1000")
    rate_fps = 0.98 * carried(plan).fps[EARLY, 0]
    told = under(plan, f"fps:{rate_fps:.3f}")
    assert told.best[0] == EARLY and not told.slow.sustained[EARLY, 0]
    middle, low, high, p99, dropped, sustained = next(told.columns(EARLY)).split(",")
    assert float(low) <= float(middle) <= float(p99)
    assert (high, dropped, sustained) == ("", "0.00", "true")
    (line,) = _loaded(plan, told)
    assert line["to"] == NOT_HELD and line["from"] != NOT_HELD


def test_frames_that_are_dropped_at_random_are_not_sustained() -> None:
    plan = planned("1000")
    load = load_named("poisson:15", queue=1, drop="newest")  # one at a time, of some 22
    told = under_load(plan, carried(plan), load, seed=0)
    assert told.middle.dropped[EARLY, 0] > 0.05
    assert not told.middle.sustained[EARLY, 0]
    kept = under_load(plan, carried(plan), load_named("poisson:15"), seed=0)
    assert kept.middle.sustained[EARLY, 0]


def test_more_than_can_be_simulated_is_refused() -> None:
    with pytest.raises(UsageError, match="more than is simulated"):
        under(planned("1:1000:80", "0:50:80"), "fps:10")
