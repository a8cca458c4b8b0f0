"""When frames are due, as it is asked, and what cannot be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.ask.load import Load, load_named
from orchestrator.ask.sweep.config import sweep_config
from splitbed.errors import UsageError


def test_frames_of_a_rate_are_due_evenly_whatever_the_seed() -> None:
    load = load_named("fps:30")
    assert load.due_ns(4, seed=0) == load.due_ns(4, seed=1) == [0, 33333333, 66666667, 100000000]


def test_the_seed_draws_a_poisson_load_whose_gaps_are_exponential_about_its_rate() -> None:
    load = load_named("poisson:20")
    due_ns = load.due_ns(20_000, seed=3)
    assert due_ns == load.due_ns(20_000, seed=3) != load.due_ns(20_000, seed=4)
    gaps_s = np.diff(due_ns) / 1e9
    assert gaps_s.mean() == pytest.approx(1 / 20, rel=0.03)
    assert gaps_s.std() == pytest.approx(1 / 20, rel=0.05)  # as of no other distribution evenly cut


def test_ues_are_not_in_step() -> None:
    for word in ("fps:10", "poisson:10", "burst:2/0.2"):
        load = load_named(word)
        first, other = (load.due_ns(50, 0, ue) for ue in ("ue-1", "ue-2"))
        assert first != other
        assert first == load.due_ns(50, 0, "ue-1")
    with_trace = Load("trace", 10, times_s=(0, 0.1, 0.2), name="trace")
    assert with_trace.due_ns(3, 0, "ue-1") != with_trace.due_ns(3, 0, "ue-2")
    gaps = np.diff(load_named("fps:10").due_ns(50, 0, "ue-1"))
    assert set(gaps) == {100_000_000}


def test_frames_of_a_burst_are_due_at_once() -> None:
    load = load_named("burst:3/0.5")
    assert load.due_ns(7, seed=0) == [0] * 3 + [500_000_000] * 3 + [1_000_000_000]
    assert load.rate_fps == 6


def test_a_trace_has_a_time_a_line_and_as_many_frames(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("# seconds\n0\n0.25\n\n0.25\n1.5\n")
    load = load_named(f"trace:{tmp_path / 't.txt'}")
    assert load.frames(None) == 4
    assert load.due_ns(load.frames(3), seed=0) == [0, 250_000_000, 250_000_000]


def test_a_trace_is_known_by_its_times_and_no_other_takes_its_place(tmp_path: Path) -> None:
    names = []
    for times in ("0\n1\n", "0\n1\n2\n", "0\n1\n"):
        (tmp_path / "t.txt").write_text(times)
        names.append(load_named(f"trace:{tmp_path / 't.txt'}").words)
    assert names[0] == names[2] != names[1]


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ("0\n2\n1\n", "line 3: 1 s comes after 2 s, and time does not go back"),
        ("0\nsoon\n", "line 2: 'soon' is no time"),
        ("0\n-1\n", "line 2: '-1' is no time from 0"),
        ("0\nnan\n", "line 2: 'nan' is no time"),
        ("# nothing\n", "it has no times"),
    ],
)
def test_a_trace_that_cannot_be_is_refused_by_its_line(
    times: str, why: str, tmp_path: Path
) -> None:
    (tmp_path / "t.txt").write_text(times)
    with pytest.raises(UsageError, match=why):
        load_named(f"trace:{tmp_path / 't.txt'}")


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("fps:0", "0 is no number of frames a second"),
        ("fps:-3", "-3 is no number"),
        ("fps:1e400", "is no number"),
        ("fps:20000", "0.05 ms between frames, and no clock here keeps that"),
        ("poisson:0.0001", "no clock here keeps that"),
        ("burst:0/1", "1 to 100000 frames at once"),
        ("burst:4", "nothing is no number of seconds between bursts"),
        ("burst:4/0.0001", "no clock here keeps that"),
        ("trace:/no/such", "it cannot be read"),
        ("trace:", "no file is named"),
        ("often", "there is no such load"),
        ("closed:3", "there is no such load"),
    ],
)
def test_a_load_that_cannot_be_is_refused_with_the_reason(word: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        load_named(word)


def test_of_live_media_the_latest_frame_wins_and_of_others_none_is_dropped() -> None:
    assert (load_named("fps:30").drop, load_named("fps:30").queue) == ("oldest", 1)
    assert load_named("poisson:3").drop == "none"
    assert (
        load_named("fps:30", drop="newest", queue=4).words == "fps:30, queue 4, the newest dropped"
    )
    assert load_named("fps:30", drop="none").words == "fps:30, queue 1, none dropped"
    assert load_named("fps:30").words == "fps:30"


def test_a_rate_has_one_name_however_it_is_written() -> None:
    assert load_named("fps:30") == load_named("fps:30.0")
    assert load_named("burst:08/0.50").words == "burst:8/0.5"


def test_frames_asked_for_one_by_one_have_no_load_and_no_queue() -> None:
    assert Load() == load_named("closed")
    assert not Load().offered
    assert Load().words == ""
    every: list[dict[str, Any]] = [{"queue": 3}, {"drop": "newest"}, {"deadline_ms": 30.0}]
    for own in every:
        with pytest.raises(UsageError, match="--load fps:30"):
            load_named("closed", **own)


def test_a_load_has_the_frames_that_tell_its_99th_percentile_in_a_minute() -> None:
    assert load_named("fps:30").frames(None) == load_named("fps:5").frames(None) == 300
    assert load_named("fps:2").frames(None) == 120
    assert load_named("fps:0.1").frames(None) == 60
    assert load_named("fps:30").frames(1000) == 1000


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"budget": "30s"}, "--budget predicts frames that come one at a time"),
        ({"until_sure": True}, "--until-sure predicts"),
        ({"max_runs": 30}, "give --runs"),
        ({"runs": 11}, "12 frames are the least to tell whether it is sustained, and it has 11"),
        ({"queue": 0}, "queue"),
        ({"load": ""}, "^--load : should name something$"),
        ({"load": ""}, "--load : should name something"),
        ({"drop": "best"}, "drop"),
        ({"deadline_ms": 0}, "deadline"),
    ],
)
def test_what_goes_with_no_load_is_refused_by_name(options: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        sweep_config({"model": "m", "load": "fps:10", **options})
