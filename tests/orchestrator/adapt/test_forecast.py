"""The policy `forecast` and the steadiness of the others, replayed in simulation: no wall time."""

import statistics
from pathlib import Path

import numpy as np
import pytest

from orchestrator.adapt.arms import Arm
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.forecast import RateForecast
from orchestrator.adapt.named import bandwidth_trace
from orchestrator.adapt.policies import Policy, PolicySetting, new_policy
from orchestrator.adapt.rows import TraceRow
from orchestrator.ask.configuration import Configuration
from tests.orchestrator.adapt.simulation import played, row

SECONDS = 60
Traces = dict[str, list[BandwidthTrace]]


def arm(k: int, up_bytes: int, fixed_ms: float) -> Arm:
    codec = "raw" if up_bytes else "none"
    return Arm(Configuration(k, 6, f"{k}:{6 - k}", codec), up_bytes, 100, fixed_ms)


DEVICE = {"few": 200, "many": 480, "light": 14}
ARMS = {
    "few": (arm(0, 500_000, 20), arm(3, 100_000, 60)),
    "many": (arm(0, 270_000, 160), arm(2, 720_000, 190), arm(3, 180_000, 230), arm(4, 90_000, 300)),
    "light": (arm(0, 49_000, 4), arm(3, 16_000, 6)),
}
ARMS = {name: (*arms, arm(6, 0, DEVICE[name])) for name, arms in ARMS.items()}


def policy(name: str, arms: tuple[Arm, ...], trace: BandwidthTrace) -> Policy:
    names = {one.configuration.split: (one.configuration,) for one in arms}
    return new_policy(name, PolicySetting(arms, arms, names, max(trace.rates_mbit), 0))


def came_to(name: str, arms: tuple[Arm, ...], trace: BandwidthTrace) -> TraceRow:
    return row(name, policy(name, arms, trace), arms, trace, min(trace.length_s, SECONDS))


def static_ms(arm: Arm, arms: tuple[Arm, ...], trace: BandwidthTrace) -> float:
    """The mean time of a frame by a split that never moves."""
    stays = policy(f"static:{arm.configuration.split}", arms, trace)
    frames = played(stays, arms, trace, min(trace.length_s, SECONDS))
    return statistics.fmean(frame.e2e_ms for frame in frames)


def worse_than_static_pct(mine: TraceRow, arms: tuple[Arm, ...], trace: BandwidthTrace) -> float:
    """By how much more a frame took than with the best split that never moves."""
    best_ms = min(static_ms(one, arms, trace) for one in arms)
    assert mine.mean_ms
    return (mine.mean_ms / best_ms - 1) * 100


@pytest.fixture(scope="module", params=["generated", "mahimahi"])
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    """Of each kind of link, generated ones, or others as they are recorded."""
    kinds = "lte", "5g"
    if request.param == "generated":
        return {kind: [bandwidth_trace(f"{kind}:{seed}") for seed in (1, 2, 3)] for kind in kinds}
    folder = tmp_path_factory.mktemp("traces")
    return {kind: [recorded(kind, seed, folder) for seed in (11, 12)] for kind in kinds}


def recorded(kind: str, seed: int, folder: Path) -> BandwidthTrace:
    """A generated trace as a file of mahimahi: a line for each chance to send 1500 bytes."""
    made = bandwidth_trace(f"{kind}:{seed}")
    sent = np.cumsum([0, *(rate * 0.1e6 / 8 / 1500 for rate in made.rates_mbit)])
    at_ms = np.interp(np.arange(1, int(sent[-1]) + 1), sent, np.arange(len(sent)) * 100)
    file = folder / f"{kind}-{seed}.up"
    file.write_text("".join(f"{round(ms)}\n" for ms in at_ms))
    return bandwidth_trace(str(file))


@pytest.mark.parametrize("arms", ARMS.values(), ids=ARMS)
@pytest.mark.parametrize("kind", ["lte", "5g"])
def test_forecast_has_little_regret_and_over_seeds_no_split_that_stays_beats_it(
    kind: str, arms: tuple[Arm, ...], traces: Traces
) -> None:
    regrets, worse = [], []
    for trace in traces[kind]:
        mine = came_to("forecast", arms, trace)
        assert mine.regret_pct is not None
        regrets.append(mine.regret_pct)
        worse.append(worse_than_static_pct(mine, arms, trace))
    assert statistics.fmean(regrets) <= 10, regrets
    assert max(regrets) <= 15, regrets
    assert max(worse) <= 2, worse


@pytest.mark.parametrize("name", ["threshold", "argmin", "forecast"])
@pytest.mark.parametrize("arms", ARMS.values(), ids=ARMS)
def test_two_steps_are_no_reason_for_many_switches(name: str, arms: tuple[Arm, ...]) -> None:
    trace = bandwidth_trace("steps:50,0.2,50@10s")
    mine = came_to(name, arms, trace)
    assert mine.switches is not None
    assert mine.steps
    # a probe of a link that was left is two
    assert mine.switches <= 24


def test_a_rate_about_the_threshold_is_no_reason_to_switch() -> None:
    rates = [23.2 * factor for factor in (1.03, 0.97)] * 50
    trace = BandwidthTrace("near", tuple(0.2 * n for n in range(100)), tuple(rates), 20)
    arms = (ARMS["few"][0], ARMS["few"][-1])
    assert (came_to("threshold", arms, trace).switches or 0) <= 20


def test_a_link_that_cannot_be_worth_it_is_not_even_tried() -> None:
    trace = bandwidth_trace("steps:1,0,1,0.5@5s")
    assert came_to("forecast", ARMS["few"], trace).regret_pct == pytest.approx(0)


def test_a_change_is_believed_at_once_and_noise_is_averaged() -> None:
    rate = RateForecast(np.log(20))
    for second in range(5):
        rate.tell(second, 20.0)
    rate.tell(5.0, 25.0)
    assert 20 < np.exp(rate.at(5.0)[0]) < 25
    rate.tell(6.0, 1.0)
    assert np.exp(rate.at(6.0)[0]) == pytest.approx(1)


def test_what_is_not_measured_returns_to_the_mean_and_is_doubted() -> None:
    rate = RateForecast(np.log(20))
    rate.tell(1.0, 1.0)
    (soon, sure), (later, doubted) = rate.at(1.1), rate.at(20.0)
    assert soon < later <= rate.mean
    assert sure < doubted
