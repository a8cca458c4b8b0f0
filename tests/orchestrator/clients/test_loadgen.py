"""LoadGen's own library on a system that takes a known time, and what both say of that."""

import math
from collections.abc import Callable
from pathlib import Path
from threading import Barrier

import pytest
from msgspec.structs import replace

from orchestrator.clients.loadgen.agreement import (
    HANDED_MS,
    QUANTILES,
    disagreements,
    latencies_ms,
    percentiles,
)
from orchestrator.clients.loadgen.asked import SCENARIOS, LoadgenAsked
from orchestrator.clients.loadgen.log import read_result
from orchestrator.clients.loadgen.process import drive
from orchestrator.clients.loadgen.system import AskedSample, Run, Sample, SystemUnderTest
from orchestrator.results.statistics.intervals import ranks_of
from splitbed.errors import NodeError, RunError, UsageError
from splitbed.v1.nodes_pb2 import FrameRecord
from tests.shared_machine import HANG_S

FEW = {"duration_s": 0.2, "queries": 10, "target_qps": 100.0, "samples_per_query": 2}
LONG_S = 600.0


class Inputs:
    """A system whose frames take no time, or fail from one on."""

    def __init__(self, fails_at: int = 0, error: Exception | None = None) -> None:
        self.took: list[int] = []
        self._fails_at, self._error = fails_at, error

    def run(self, place: int) -> FrameRecord:
        if self._error is not None and len(self.took) >= self._fails_at:
            raise self._error
        self.took.append(place)
        return FrameRecord(frame=len(self.took))


def driven(
    run: Run,
    scenario: str,
    logs: Path,
    check: Callable[[], None] = lambda: None,
    **asked: float,
) -> SystemUnderTest:
    pytest.importorskip("mlperf_loadgen", reason="needs LoadGen: pip install 'splitbed[loadgen]'")
    under_test, words = SystemUnderTest(run), FEW | asked
    drive(LoadgenAsked(scenario, **words), under_test, 3, logs, check)  # type: ignore[arg-type]
    return under_test


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_loadgen_asks_for_inputs_in_each_of_its_scenarios(scenario: str, tmp_path: Path) -> None:
    system = Inputs()
    under_test = driven(system.run, scenario, tmp_path)
    said, asked = read_result(tmp_path), under_test.asked
    assert len(asked) == len(system.took) == len(under_test.records)
    assert [one.frame for one in asked] == [*range(1, len(asked) + 1)]
    assert {*system.took} == {0, 1, 2}
    ours = latencies_ms(asked, by_query=scenario == "MultiStream")
    found = percentiles(ours, said.latencies_ms)
    assert [one.quantile for one in found] == [0.5, 0.9, 0.99]
    assert all(one.low_ms <= one.ours_ms <= one.high_ms for one in found)
    assert found[0].loadgen_ms >= found[0].ours_ms - HANDED_MS  # it waits for no less than we do


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("error", [NodeError("the edge node died"), ValueError("a fault of ours")])
def test_once_a_frame_fails_loadgen_is_ended_however_long_it_was_to_ask(
    scenario: str, error: Exception, tmp_path: Path
) -> None:
    system = Inputs(fails_at=5, error=error)
    under_test = driven(system.run, scenario, tmp_path, duration_s=LONG_S)
    assert under_test.failed is error
    assert len(system.took) == len(under_test.asked) == 5


def test_a_signal_ends_loadgen_and_what_was_measured_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mlperf_loadgen", reason="needs LoadGen: pip install 'splitbed[loadgen]'")
    system, asked = SystemUnderTest((inputs := Inputs()).run), LoadgenAsked(duration_s=LONG_S)

    def check() -> None:
        if len(inputs.took) > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(asked, system, 3, tmp_path, check)
    assert len(system.asked) == len(system.records) == len(inputs.took) > 3


def test_of_loadgen_that_dies_is_told_where_its_logs_are(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=f"LoadGen died with .*{tmp_path}"):
        driven(Inputs().run, "SingleStream", tmp_path, samples_per_query=-1)


def test_several_samples_are_under_way_at_once_and_each_is_told_once() -> None:
    together, told = Barrier(3), list[int]()

    def run(place: int) -> FrameRecord:
        together.wait(HANG_S)
        return FrameRecord(frame=1 + place)

    system = SystemUnderTest(run, in_flight=3)
    system.issue([Sample(10 + place, place) for place in range(6)], told.append)
    system.end()
    assert sorted(told) == [*range(10, 16)]
    assert {one.query for one in system.asked} == {0}


def samples(*latencies_ms: float) -> list[AskedSample]:
    return [
        AskedSample(query=n, input=0, frame=n, issued_ns=0, answered_ns=int(ms * 1e6))
        for n, ms in enumerate(latencies_ms)
    ]


def test_percentiles_agree_within_our_interval_and_what_handing_over_takes() -> None:
    ours = latencies_ms(samples(*range(1, 1001)), by_query=False)
    low, _, high = percentiles(ours, dict.fromkeys((0.5, 0.9, 0.99), 0.0))
    assert (low.ours_ms, high.ours_ms) == (501, 991)  # of the rank that LoadGen takes
    assert low.low_ms < 501 < low.high_ms
    for beyond_ms, agrees in ((HANDED_MS / 2, True), (2 * HANDED_MS, False)):
        theirs = {0.5: 501.0, 0.9: 901.0, 0.99: high.high_ms + beyond_ms}
        said = disagreements(percentiles(ours, theirs))
        assert bool(said) != agrees
        assert all("do not agree: p99 is 991.00 ms" in one for one in said)


@pytest.mark.parametrize("quantile", QUANTILES)
def test_a_percentile_is_judged_from_as_many_samples_as_have_an_interval_of_it(
    quantile: float,
) -> None:
    far_off = dict.fromkeys(QUANTILES, 1e6)
    [one] = [one for one in percentiles([1.0], far_off) if one.quantile == quantile]
    for count in (one.needs - 1, one.needs):
        [one] = [one for one in percentiles([*range(count)], far_off) if one.quantile == quantile]
        judged = ranks_of(count, quantile) is not None
        assert judged == (count == one.needs)
        assert one.agrees == bool(one.unjudged) == (not judged)
    assert f"takes {one.needs} latencies" in replace(one, count=one.needs - 1).unjudged


def test_a_query_takes_until_its_last_sample() -> None:
    both = [
        AskedSample(query=0, input=place, frame=place, issued_ns=0, answered_ns=ns)
        for place, ns in enumerate((2_000_000, 5_000_000, 3_000_000))
    ]
    assert latencies_ms(both, by_query=True) == [5]
    assert sorted(latencies_ms(both, by_query=False)) == [2, 3, 5]


def test_logs_without_a_result_are_told(tmp_path: Path) -> None:
    (tmp_path / "mlperf_log_detail.txt").write_text('x\n:::MLLOG {"key": "a", "value": 1}\n')
    with pytest.raises(RunError, match="LoadGen came to no result"):
        read_result(tmp_path)


def test_a_scenario_that_loadgen_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="did you mean Server"):
        LoadgenAsked("server").check()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (LoadgenAsked(duration_s=math.inf), "--duration-s inf"),
        (LoadgenAsked(latency_ms=math.nan), "--latency-ms nan"),
        (LoadgenAsked(queries=1 << 64), "--queries 1.8"),
        (LoadgenAsked(samples_per_query=100_001), "up to 100000"),
    ],
)
def test_more_than_loadgen_counts_is_refused_by_name(asked: LoadgenAsked, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        asked.check()
