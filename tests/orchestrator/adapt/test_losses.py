"""Nothing is chosen or recommended in a trace that may lose more than --max-drop."""

import pytest

from orchestrator.adapt.losses import Losses, least
from orchestrator.adapt.rows import TraceRow
from orchestrator.ask.configuration import Configuration
from orchestrator.results.judgement.accuracy import Fitness
from orchestrator.results.records import Accuracy

RAW, LOSSY = Configuration(2, 6, "middle"), Configuration(2, 6, "middle", "fp16")
DEVICE = Configuration(6, 6, "device anchor", "none")


def losses(drop: float, low: float, high: float, weights: str = "trained") -> Losses:
    judged = Accuracy("AP", 0.5, frames=100, drop=drop, drop_low=low, drop_high=high)
    return Losses(weights, 0.01, {(2, "fp16"): judged})


@pytest.mark.parametrize(
    ("ends", "is_"),
    [
        ((0.005, 0.0, 0.010), Fitness.FIT),
        ((0.005, 0.0, 0.011), Fitness.UNDECIDED),
        ((0.020, 0.011, 0.030), Fitness.TOO_LOSSY),
    ],
)
def test_a_lossy_arm_is_fit_where_it_is_sure_to_lose_no_more(
    ends: tuple[float, float, float], is_: Fitness
) -> None:
    found = losses(*ends)
    assert found.fitness(LOSSY) is is_
    told = "".join(found.told([RAW, LOSSY, DEVICE]))
    assert (f"middle fp16 loses {ends[0]:g} [" in told) == (is_ is not Fitness.FIT)
    assert ("undecided" in told) == (is_ is Fitness.UNDECIDED)
    assert "middle raw" not in told


def test_with_seeded_weights_no_lossy_arm_is_chosen_and_it_is_said_what_would_make_it_so() -> None:
    found = losses(0.0, 0.0, 0.0, weights="seeded, 1")
    assert [found.is_fit(one) for one in (RAW, LOSSY, DEVICE)] == [True, False, True]
    [told] = found.told([RAW, LOSSY, DEVICE])
    assert "no policy chooses middle fp16; --weights FILE" in told


def test_a_codec_that_was_not_judged_is_not_chosen() -> None:
    found = Losses("trained", 0.01, {})
    assert "middle fp16 was not judged" in found.told([RAW, LOSSY])[0]


def row(policy: str, mean_ms: float) -> TraceRow:
    return TraceRow(policy=policy, frames=3, lost=0, mean_ms=mean_ms)


def test_what_took_least_is_told_without_the_statics_that_lose_too_much() -> None:
    table = [row("static:a/fp16", 10), row("static:a/raw", 22), row("argmin", 20)]
    [told] = least(table, ["static:a/fp16"], 0.09)
    assert told == (
        "In one pass over the trace argmin took least: 20.00 ms a frame; static:a/raw, the best "
        "arm that stays, took 22.00 ms, 10.0 % more."
    )
    [stays] = least(table, [], 0.0)
    assert "static:a/fp16 took least: 10.00 ms a frame; then argmin, 20.00 ms, 100.0 %" in stays
    assert least(table[:1], [], 0.0) == []
    [doubt] = least(table, ["static:a/fp16"], 0.11)
    assert "cannot be told: the same arm took up to 11% more" in doubt
