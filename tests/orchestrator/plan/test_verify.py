"""What `orchestrate plan --verify` measures, and when it says that a choice held."""

import pytest

from orchestrator.plan.grid import PlanPoint
from orchestrator.plan.measured import Held, Measured, Probe, held, regrets, summary, verdicts
from orchestrator.plan.policies import decisions
from orchestrator.plan.verify import closest, probes
from tests.orchestrator.plan.test_plan import planned, predictor
from tests.orchestrator.written import made_row


def test_verification_looks_where_the_second_is_nearest() -> None:
    plan = planned("0.5:500", "0:20:3", "1,4")
    points = closest(plan, 5, lambda rate: rate >= 1)
    slowdown, _, bw_mbit = plan.grid.points()
    pairs = {(slowdown[one], frozenset(plan.ranks[:, one].tolist())) for one in points}
    assert len(pairs) == 5
    able = plan.margin[bw_mbit >= 1]
    assert plan.margin[points[0]] == able.min()
    assert min(bw_mbit[points]) >= 1


def test_what_is_verified_is_the_best_the_second_and_every_policys_choice() -> None:
    plan = planned("20", slowdown="3")
    asked = probes(plan, decisions(plan), [0])
    roles = {role: one for one in asked for role in one.roles}
    assert {"plan", "second", "device only", "network only", "neurosurgeon", "dads"} == {*roles}
    at = plan.grid.at(0)
    best = plan.options[plan.ranks[0, 0]].configuration
    assert roles["plan"].configuration == best.over(at.link, at.pace)
    assert roles["plan"].predicted_ms == pytest.approx(plan.best_ms[0])
    assert len({one.configuration for one in asked}) == len(asked)


def test_what_is_sure_is_never_measured_before_what_is_not() -> None:
    plan = planned("0.5:500", "0:20:3", "1,4")
    points = closest(plan, plan.grid.size, lambda rate: True)
    pairs = [(point, frozenset(plan.ranks[:, point].tolist())) for point in points]
    slowdown, _, _ = plan.grid.points()
    first = {(slowdown[point], pair) for point, pair in pairs if not plan.sure[point]}
    assert 1 < len(first) < plan.grid.size
    assert not plan.sure[points[: len(first)]].any()
    rest = plan.margin[points[len(first) :]].tolist()
    assert rest == sorted(rest)


POINT = PlanPoint(1, 0, 20)


def measured(
    role: str, low_ms: float, high_ms: float, *, valid: bool = True, offered: bool = True
) -> Measured:
    asked = predictor().options[0].configuration
    row = made_row(
        e2e_ms=(low_ms + high_ms) / 2, e2e_low_ms=low_ms, e2e_high_ms=high_ms, valid=valid
    )
    return Measured(Probe(asked, POINT, 100.0, 80.0, 120.0, (role,), offered), row)


@pytest.mark.parametrize(
    ("rival_ms", "told"),
    [
        ((80, 89.99), Held.WRONG),  # all of it below the choice's
        ((80, 90), Held.OPEN),  # they touch: frames do not tell
        ((110, 120), Held.OPEN),
        ((110.01, 120), Held.BEST),
    ],
)
def test_a_choice_fails_only_where_the_intervals_lie_apart(
    rival_ms: tuple[float, float], told: Held
) -> None:
    assert held([measured("plan", 90, 110), measured("second", *rival_ms)]) is told


def test_what_was_not_measured_may_be_the_best() -> None:
    choice, gone = measured("plan", 90, 110), measured("second", 150, 160, valid=False)
    slower, faster = measured("dads", 150, 160), measured("dads", 50, 60)
    assert held([choice, gone, slower]) is Held.UNKNOWN
    assert held([choice, gone, faster]) is Held.WRONG  # whatever the other is
    assert held([measured("plan", 1, 2, valid=False), slower]) is Held.UNKNOWN


def test_what_the_plan_could_not_choose_is_no_rival() -> None:
    choice, beyond = measured("plan", 90, 110), measured("dads", 50, 60, offered=False)
    assert held([choice, beyond]) is Held.BEST


def test_numbers_and_reasons_have_columns_of_their_own() -> None:
    row = measured("plan", 90, 110, valid=False).row()
    names = ("measured_ms", "measured_low_ms", "measured_high_ms", "error_pct")
    assert [row[name] for name in names] == [None] * 4
    assert isinstance(row["reason"], str)


def test_the_summary_tells_each_verdict_with_its_count() -> None:
    found = [measured("plan", 90, 110), measured("second", 80, 85)]
    assert verdicts(found) == {POINT: Held.WRONG}
    told = summary(found)
    assert "The plan's choice: not the best at 1 of 1. Prediction error over 2" in told
    assert "2 of them in their intervals" in told


@pytest.mark.parametrize(("ms", "inside"), [(79.9, 0), (80, 1), (120, 1), (120.1, 0)])
def test_what_was_predicted_has_its_interval(ms: float, inside: int) -> None:
    assert f"{inside} of them in their intervals" in summary([measured("plan", ms, ms)])


def test_regret_is_against_the_measured_best() -> None:
    told = regrets([measured("second", 90, 90), measured("plan", 99, 99)])
    assert told == {"second": [0.0], "plan": [pytest.approx(0.1)]}


def test_an_invalid_row_is_no_measurement() -> None:
    assert measured("plan", 80, 80).error_pct == pytest.approx(25)
    assert measured("plan", 80, 80, valid=False).error_pct is None
