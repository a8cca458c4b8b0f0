"""Bandwidth traces: read, generated, and integrated over."""

import math
from itertools import islice
from pathlib import Path

import pytest

from netem.wire import wire_bytes
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.named import bandwidth_trace
from splitbed.errors import UsageError


def written(folder: Path, text: str, name: str = "trace.txt") -> str:
    (file := folder / name).write_text(text)
    return str(file)


def test_steps_follow_one_another_and_begin_again() -> None:
    trace = bandwidth_trace("steps:20,5,100@10s")
    assert trace.length_s == 30
    assert [trace.rate_at(at_s) for at_s in (0, 9.9, 10, 20, 30, 41)] == [20, 20, 5, 100, 20, 5]
    assert list(islice(trace.changes(), 4)) == [(10, 5), (20, 100), (30, 20), (40, 5)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trace.txt", "0 20\n2 5\n3 10  # up again\n"),
        ("trace.csv", "seconds,mbit\n0,20\n\n2,5\n3,10\n"),
        ("trace.yaml", "steps: [[0, 20], [2, 5], [3, 10]]\nlength_s: 4\n"),
    ],
)
def test_a_file_of_steps_says_when_each_rate_begins(tmp_path: Path, name: str, text: str) -> None:
    trace = bandwidth_trace(written(tmp_path, text, name))
    assert (trace.starts_s, trace.rates_mbit, trace.length_s) == ((0, 2, 3), (20, 5, 10), 4)


def test_mahimahis_chances_become_rates_and_its_silence_an_outage(tmp_path: Path) -> None:
    busy = "".join(f"{at_ms}\n" for at_ms in range(100))  # one a ms: 12 Mbit/s
    trace = bandwidth_trace(written(tmp_path, busy + "250\n310\n400\n"))
    assert trace.rates_mbit == (12.0, 0.0, 0.12, 0.24)
    assert trace.length_s == pytest.approx(0.4)
    assert trace.least_mbit == 0.12
    assert "from 0.12 to 12 Mbit/s, outages of up to 0.1 s" in trace.words


@pytest.mark.parametrize(
    ("name", "text", "longest_s"),
    [
        ("trace.txt", "0 0\n1 20\n3 0\n", 3),  # the last goes on where it begins again
        ("trace.yaml", "steps: [[0, 0], [1, 20], [3, 0.0]]", 3),
        ("mahimahi", "".join(f"{at_ms}\n" for at_ms in (*range(1000, 3000), 5000)), 1.9),
    ],
)
def test_a_rate_of_0_is_an_outage_in_every_format(
    tmp_path: Path, name: str, text: str, longest_s: float
) -> None:
    trace = bandwidth_trace(written(tmp_path, text, name))
    assert [trace.rate_at(at_s) > 0 for at_s in (0.5, 2, 4)] == [False, True, False]
    assert trace.longest_outage_s == pytest.approx(longest_s)


def test_steps_may_be_out() -> None:
    trace = bandwidth_trace("steps:20,0,5@2s")
    assert (trace.rates_mbit, trace.longest_outage_s) == ((20, 0, 5), 2)


def test_a_transfer_waits_for_the_end_of_an_outage() -> None:
    trace = BandwidthTrace("out", (0.0, 1.0, 3.0), (8.0, 0.0, 8.0), math.inf)
    alone_ms = trace.air_ms(1448, 0)
    assert trace.air_ms(1448, 1.5) == pytest.approx(1500 + alone_ms)
    assert trace.air_ms(1448, 1 - alone_ms / 2e3) == pytest.approx(2000 + alone_ms)
    assert BandwidthTrace("end", (0.0, 1.0), (8.0, 0.0), math.inf).air_ms(1448, 2) == math.inf


@pytest.mark.parametrize(("kind", "least", "most"), [("lte", 0.5, 50), ("5g", 2, 150)])
def test_a_generated_trace_is_its_seeds_and_within_its_range(
    kind: str, least: float, most: float
) -> None:
    trace = bandwidth_trace(f"{kind}:1")
    assert trace == bandwidth_trace(f"{kind}:1")
    assert trace.rates_mbit != bandwidth_trace(f"{kind}:2").rates_mbit
    assert all(least <= rate <= most for rate in trace.rates_mbit)
    assert max(trace.rates_mbit) > 3 * min(trace.rates_mbit)
    assert (len(trace.rates_mbit), trace.length_s) == (600, 60)
    assert "generated" in trace.words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0 20\n1 fast\n", "line 2: 'fast' is no number"),
        ("0 20\n1 -1\n", "line 2: '-1' is no number of Mbit/s of 0 .an outage. or more"),
        ("0 0\n1 0\n", "is one outage: give it a rate above 0"),
        ("0 20\n2 5\n1 5\n", "line 3: 1 s does not come after 2 s"),
        ("1 20\n", "line 1: a trace begins at 0 s"),
        ("0 20 3\n", "line 1: expected seconds and Mbit/s"),
        ("5\n3\n", "line 2: 3 ms comes before 5 ms"),
        ("5\n-3\n", "line 2: expected one whole number"),
        ("0\n", "line 1: a trace of 0 ms"),
        ("\n# nothing\n", "has no lines"),
    ],
)
def test_a_bad_line_is_told_with_its_file_and_number(tmp_path: Path, text: str, says: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(UsageError, match=says) as told:
        bandwidth_trace(file)
    assert file in str(told.value)


@pytest.mark.parametrize("text", ["lte:one", "steps:", "steps:5,-1", "steps:5@0s", "nowhere.txt"])
def test_what_names_no_trace_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=text):
        bandwidth_trace(text)


def test_a_transfer_takes_what_each_rate_gives_it() -> None:
    trace = BandwidthTrace("two", (0.0, 1.0), (8.0, 80.0), math.inf)
    payload_bytes = 1_448_000  # in 1000 full frames
    megabits = wire_bytes(payload_bytes) * 8 / 1e6
    assert trace.air_ms(payload_bytes, 1.5) == pytest.approx(megabits / 80 * 1e3)
    # half a second at 8 Mbit/s carries 4 of them
    assert trace.air_ms(payload_bytes, 0.5) == pytest.approx(500 + (megabits - 4) / 80 * 1e3)


def test_mahimahis_last_millisecond_makes_no_spike(tmp_path: Path) -> None:
    chances = [*range(4, 1001, 4), 1001, 1001, 1001]
    (file := tmp_path / "3mbit").write_text("".join(f"{at_ms}\n" for at_ms in chances))
    assert max(bandwidth_trace(str(file)).rates_mbit) < 4
