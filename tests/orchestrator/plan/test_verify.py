"""What `orchestrate plan --verify` measures, and when it says that a choice held."""

from dataclasses import replace
from statistics import median

import pytest

from orchestrator.ask.sweep.config import sweep_config
from orchestrator.plan.grid import PlanPoint
from orchestrator.plan.measured import Held, Measured, Probe, regrets, summary, verdicts
from orchestrator.plan.policies import decisions
from orchestrator.plan.prediction import make_plan
from orchestrator.plan.verify import closest, probes
from orchestrator.results.statistics.intervals import median_interval
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
    asked = probes(sweep_config({"model": "small"}), plan, decisions(plan), [0])
    roles = {role: one for one in asked for role in one.roles}
    assert {"plan", "second", "device only", "network only", "neurosurgeon", "dads"} == {*roles}
    at = plan.grid.at(0)
    best = plan.options[plan.ranks[0, 0]].configuration
    assert roles["plan"].configuration == best.over([at.link], at.pace)
    assert roles["plan"].predicted_ms == pytest.approx(plan.best_ms[0])
    assert len({one.configuration for one in asked}) == len(asked)


def test_what_a_policy_chooses_of_the_plans_own_is_measured_once() -> None:
    asked = sweep_config({"model": "small.onnx", "bw": (1, 5, 20, 100), "delay_ms": 0})
    plan = planned("1,5,20,100")
    heads = {one.configuration: replace(one.configuration, heads=((),)) for one in plan.options}
    options = tuple(
        one.model_copy(update={"configuration": heads[one.configuration]}) for one in plan.options
    )
    facts = plan.predictor.facts.model_copy(update={"options": options})
    plan = make_plan(replace(plan.predictor, facts=facts), plan.grid)
    decided = decisions(plan)
    chosen = decided["neurosurgeon"]
    assert {one.configuration for one in chosen.options if one} <= {*heads.values()}
    keys = [one.configuration.key for one in probes(asked, plan, decided, range(plan.grid.size))]
    assert len({*keys}) == len(keys)


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
    role: str, *frames_ms: float, valid: bool = True, offered: bool = True, point: PlanPoint = POINT
) -> Measured:
    asked = predictor().options[0].configuration
    told = median_interval(frames_ms)
    times = {"e2e_ms": median(frames_ms), "e2e_low_ms": told.low, "e2e_high_ms": told.high}
    row = made_row(**times, samples_ms=frames_ms, valid=valid)
    return Measured(Probe(asked, point, 100.0, 80.0, 120.0, (role,), offered), row)


def held(*found: Measured) -> Held:
    return verdicts(found)[POINT]


CHOICE_MS = (10_000, 13_000, 9_000, 16_000, 11_000, 10_000, 15_000)
"""They differ by more than any rival differs from them: the inputs do."""


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ((0.98, 0.97, 0.98, 0.99, 0.98, 0.97, 0.99), Held.WRONG),
        ((0.98, 1.02, 0.98, 1.01, 0.99, 1.02, 0.99), Held.OPEN),
        ((1.02, 1.01, 1.02, 1.03, 1.02, 1.01, 1.03), Held.BEST),
    ],
)
def test_a_choice_is_told_from_others_frame_by_frame(over: tuple[float, ...], told: Held) -> None:
    rival_ms = [ms * ratio for ms, ratio in zip(CHOICE_MS, over, strict=True)]
    assert held(measured("plan", *CHOICE_MS), measured("second", *rival_ms)) is told


def test_many_points_fail_no_plan_by_chance() -> None:
    """A p of 0.03 is enough for one comparison, and is expected among many."""
    points = [PlanPoint(1, 0, rate) for rate in (1, 2, 4, 8)]
    choice_ms, rival_ms = (10_000, 10_000, 10_000), (9_895, 9_885, 9_890)
    one = [measured("plan", *choice_ms), measured("second", *rival_ms)]
    assert held(*one) is Held.WRONG
    many = [
        measured(role, *ms, point=point)
        for point in points
        for role, ms in (("plan", choice_ms), ("second", rival_ms))
    ]
    assert set(verdicts(many).values()) == {Held.OPEN}


def test_what_was_not_measured_may_be_the_best() -> None:
    choice, gone = measured("plan", 100, 101, 100), measured("second", 150, 150, valid=False)
    slower, faster = measured("dads", 150, 152, 151), measured("dads", 50, 51, 50)
    assert held(choice, gone, slower) is Held.UNKNOWN
    assert held(choice, gone, faster) is Held.WRONG  # whatever the other is
    assert held(measured("plan", 1, 1, valid=False), slower) is Held.UNKNOWN


def test_what_the_plan_could_not_choose_is_no_rival() -> None:
    choice, beyond = measured("plan", 90, 91), measured("dads", 50, 50, offered=False)
    assert held(choice, beyond) is Held.BEST


def test_numbers_and_reasons_have_columns_of_their_own() -> None:
    row = measured("plan", 90, 91, valid=False).row()
    names = ("measured_ms", "measured_low_ms", "measured_high_ms", "error_pct")
    assert [row[name] for name in names] == [None] * 4
    assert isinstance(row["reason"], str)


def test_the_summary_tells_each_verdict_with_its_count() -> None:
    found = [measured("plan", 110, 111, 110), measured("second", 82, 83, 82)]
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
