"""Predictions under a load, held against what was measured under it."""

import pytest

from orchestrator.ask.load import load_named
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.plan.grid import PlanPoint
from orchestrator.plan.load.forecast import carried
from orchestrator.plan.load.held import LoadMeasured, LoadProbe, What, load_probes, load_summary
from orchestrator.plan.load.under import planned_load, under_load
from orchestrator.plan.policies import decisions
from orchestrator.plan.verify import probes
from splitbed.errors import UsageError
from tests.orchestrator.plan.test_plan import planned, predictor
from tests.orchestrator.written import made_row


def test_each_option_that_is_verified_is_so_for_response_and_for_frames_a_second() -> None:
    plan = planned("8,20")
    carries, point = carried(plan), 1
    told = under_load(plan, carries, load_named("fps:10"), seed=0)
    asked = probes(sweep_config({"model": "small"}), plan, decisions(plan), [point])
    found = load_probes(asked, carries, told)
    assert len(found) == 2 * sum(one.offered for one in asked)
    best = [one for one in found if one.configuration.k == asked[0].configuration.k][:2]
    option = plan.ranks[0, point]
    response, rate = best
    assert (response.what, response.configuration.load.name) == ("response_ms", "fps:10")
    assert response.predicted == pytest.approx(told.middle.median_ms[option, point])
    assert (rate.what, rate.predicted) == ("frames_per_s", carries.fps[option, point])
    # a frame more than the stages have, so that the slowest never waits for one
    load = rate.configuration.load
    assert not load.open
    assert load.in_flight >= told.middle.median_ms[option, point] * carries.fps[option, point] / 1e3


def measured(
    what: What, low: float | None, high: float | None, *, valid: bool = True, **row: object
) -> LoadMeasured:
    asked = predictor().options[0].configuration
    probe = LoadProbe(asked, PlanPoint(1, 0, 20), what, low, low, high)
    return LoadMeasured(probe, made_row(valid=valid, **row))


@pytest.mark.parametrize(
    ("found", "within"),
    [
        (measured("response_ms", 10, 20, response_ms=15.0), True),
        (measured("response_ms", 10, 20, response_ms=21.0), False),
        (measured("response_ms", 10, 20, response_ms=9.0), False),
        (measured("response_ms", 10, None, response_ms=21.0), True),
        (measured("response_ms", 10, None, sustained=False), True),
        (measured("response_ms", 10, 20, sustained=False), False),
        (measured("response_ms", None, None, response_ms=21.0), False),
        (measured("response_ms", None, None, sustained=False), True),
        (measured("frames_per_s", 10, 20, delivered_fps=15.0, response_ms=30.0), True),
        (measured("frames_per_s", 10, 20, delivered_fps=9.0), False),
        (measured("frames_per_s", 10, 20, delivered_fps=15.0, valid=False), None),
        # preprocessing is in a response and in no prediction, and may be the slowest stage
        (measured("response_ms", 10, 20, response_ms=25.0, preprocess_ms=6.0), True),
        (measured("response_ms", 10, 20, response_ms=15.0, preprocess_ms=6.0), False),
        (measured("frames_per_s", 10, 20, delivered_fps=9.9, preprocess_ms=100.0), True),
        (measured("frames_per_s", 10, 20, delivered_fps=9.0, preprocess_ms=100.0), False),
        (measured("frames_per_s", 10, 20, delivered_fps=9.0, preprocess_ms=5.0), False),
        (measured("frames_per_s", 10, None, delivered_fps=900.0), True),
    ],
)
def test_what_was_measured_lies_within_what_was_predicted_or_not(
    found: LoadMeasured, within: bool | None
) -> None:
    assert found.expected is within
    assert found.row()["within"] is within


def test_the_summary_counts_what_was_measured() -> None:
    found = [
        measured("response_ms", 10, 20, response_ms=15.0),
        measured("response_ms", 10, 20, response_ms=25.0),
        measured("frames_per_s", 10, 20, delivered_fps=15.0, valid=False),
    ]
    assert "1 of 2 responses and 0 of 0 frame rates" in load_summary(found)


@pytest.mark.parametrize("own", [{"edge_workers": 2}, {"batch": "max=4"}, {"edge_queue": 2}])
def test_what_ues_share_at_the_edge_is_not_simulated(own: dict[str, object]) -> None:
    config = sweep_config({"model": "small", "load": "fps:10", **own})
    with pytest.raises(UsageError, match="an edge works on one at a time"):
        planned_load(config)
