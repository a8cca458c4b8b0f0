"""What must hold, in the words of a command line."""

import numpy as np
import pytest

from orchestrator.capacity.objective import objective
from splitbed.errors import UsageError


def test_words_are_limits() -> None:
    asked = objective("e2e_p99<100ms, response_mean<=0.2s", "<=0.5%")
    first, second = asked.limits
    assert (first.time, first.quantile, first.most_ms) == ("e2e", 0.99, 100)
    assert (second.time, second.quantile, second.most_ms) == ("response", None, 200)
    assert not first.holds(100) and second.holds(200)
    assert asked.drops.holds(0.005) and not asked.drops.holds(0.006)
    assert asked.words == "e2e_p99<100ms, response_mean<=0.2s, lost <=0.5%"


def test_several_options_are_as_one_with_commas() -> None:
    assert objective(["e2e_p99<100ms", "response_p95<1s"]) == objective(
        "e2e_p99<100ms,response_p95<1s"
    )


def test_a_percentile_takes_its_frames() -> None:
    (limit,) = objective("e2e_p99<100ms").limits
    assert limit.frames == 299
    assert limit.of(np.arange(298.0)) is None
    assert limit.of(np.arange(300.0)) == 297


@pytest.mark.parametrize("share", ["<1%", "<=1%", "<10%", "<=50%", "<=99%"])
def test_as_many_come_as_a_percentile_takes_where_all_are_lost_that_may(share: str) -> None:
    asked = objective("e2e_p99<100ms,e2e_mean<1s", share)
    lost = max(lost for lost in range(asked.frames) if asked.drops.holds(lost / asked.frames))
    assert asked.frames - lost >= asked.limits[0].frames


def test_what_was_lost_took_longer_than_any_other() -> None:
    p99, mean = objective("response_p99<100ms,response_mean<100ms").limits
    times_ms = np.array([10.0] * 396 + [np.inf] * 4)
    assert p99.of(times_ms) == np.inf and not p99.holds(np.inf)
    assert mean.of(times_ms) == 10


@pytest.mark.parametrize(
    ("slo", "told"),
    [
        ("", "is no limit"),
        ("e2e_p99", "is no limit"),
        ("e2e_p99>100ms", "is no limit"),
        ("e2e_p99<ten", "is no limit"),
        ("e2e_p99<100ms,", "is no limit"),
        ("respons_p99<100ms", "did you mean response"),
        ("e2e_p0<100ms", "is neither the mean nor a percentile"),
        ("e2e_p100<100ms", "is neither the mean nor a percentile"),
        ("e2e<100ms", "is neither the mean nor a percentile"),
        ("e2e_avg<100ms", "is neither the mean nor a percentile"),
        ("e2e_p99<0ms", "give more than 0"),
        ("e2e_p99<100kg", "is no unit of time"),
        ("e2e_p99<100ms,e2e_p99<50ms", "is limited twice"),
    ],
)
def test_words_that_mean_nothing_are_refused_by_name(slo: str, told: str) -> None:
    with pytest.raises(UsageError, match="--slo") as refused:
        objective(slo)
    assert told in str(refused.value)


@pytest.mark.parametrize("share", ["", "1%", "<1", "<101%", "<0%", ">1%", "<-1%", "<=100%"])
def test_shares_that_are_none_are_refused(share: str) -> None:
    with pytest.raises(UsageError, match="--drop-rate"):
        objective("e2e_p99<100ms", share)
