"""The intervals of a plan: what they are learned from, what they cover, what they leave open."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from orchestrator.plan.doubt import COVERAGE, ELSEWHERE, Doubt, Errors, Lesson, doubt_of, errors_of
from orchestrator.plan.doubt.lessons import _of_rows, read_lessons
from orchestrator.plan.grid import grid
from orchestrator.plan.prediction import make_plan
from orchestrator.results.profile import CutSizes, Profile
from splitbed.errors import UsageError
from tests.orchestrator.commands import orchestrate
from tests.orchestrator.plan.test_plan import by_hand_ms, node, predictor
from tests.orchestrator.written import made_row

NARROW, WIDE = Errors(0.9, 1.1, 20), Errors(0.5, 2.0, 20)


@pytest.mark.parametrize(
    ("count", "ends"),
    [(19, (1, 19)), (20, (1, 20)), (38, (1, 38)), (39, (2, 38)), (59, (3, 57)), (99, (5, 95))],
)
def test_the_interval_is_of_order_statistics(count: int, ends: tuple[int, int]) -> None:
    found = errors_of(float(one) for one in range(count, 0, -1))
    assert found is not None
    assert (found.low, found.high, found.cells, found.here) == (*ends, count, True)


def test_too_few_errors_make_none_and_what_is_built_in_stays() -> None:
    assert errors_of([1.0] * 18) is None
    told = doubt_of([Lesson(1.0, long=True)] * 18 + [Lesson(1.1, long=False)] * 19)
    assert told.long == ELSEWHERE.long
    assert told.short == Errors(1.1, 1.1, 19, here=True)
    assert doubt_of([]) == ELSEWHERE


@pytest.mark.parametrize("count", [19, 30, 60])
def test_a_new_error_lies_inside_as_often_as_is_said(count: int) -> None:
    dice = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        *earlier, new = np.exp(dice.laplace(size=count + 1) / 10)
        found = errors_of(earlier)
        assert found is not None
        inside += found.low <= new <= found.high
    # three standard deviations of 2000 draws below
    assert inside / 2000 >= COVERAGE - 3 * (0.9 * 0.1 / 2000) ** 0.5


def test_a_profile_of_a_busy_machine_widens_both_ends() -> None:
    told = Doubt(NARROW, WIDE).widened(0.1)
    assert (told.long.low, told.long.high) == pytest.approx((0.81, 1.21))
    assert (told.short.low, told.short.high) == pytest.approx((0.45, 2.2))
    assert Doubt(NARROW, WIDE).widened(0) == Doubt(NARROW, WIDE)
    assert Doubt(NARROW, WIDE).widened(3).short.low == 0


def test_short_and_long_parts_have_intervals_of_their_own() -> None:
    made = replace(predictor(), doubt=Doubt(NARROW, WIDE))
    plan = make_plan(made, grid("5,20", "0", "1,2"))
    long = made.long_parts(plan.work, plan.grid)
    assert long.all()
    short = replace(made, profile=made.profile.model_copy(update={"ue": node((4.1, 20.0, 30.0))}))
    told = make_plan(short, plan.grid)
    # 1.1 times and 0.4 ms more is below 5 ms, unless the UE is twice as slow
    early = short.long_parts(told.work, told.grid)[1]
    assert early.tolist() == [False, False, True, True]
    wire_ms = short.wire_ms(told.work, told.grid)[1]
    nodes_ms = told.e2e_ms[1] - wire_ms
    assert np.allclose((told.low_ms[1] - wire_ms) / nodes_ms, [0.5, 0.5, 0.9, 0.9])
    assert np.allclose((told.high_ms[1] - wire_ms) / nodes_ms, [2.0, 2.0, 1.1, 1.1])


def test_a_choice_is_sure_only_below_every_other_interval() -> None:
    made, axes = predictor(), grid("1:1000:40", "0", "1")
    loose, exact = (
        make_plan(replace(made, doubt=Doubt(errors, errors)), axes)
        for errors in (NARROW, Errors(1.0, 1.0, 20))
    )
    assert exact.sure.all()
    assert 0 < loose.sure.sum() < axes.size
    wire_ms = made.wire_ms(loose.work, axes)
    best, nodes_ms = loose.ranks[0], loose.e2e_ms - wire_ms
    for point in range(axes.size):
        low_ms, high_ms = (wire_ms + of * nodes_ms for of in (0.9, 1.1))
        rivals = np.delete(low_ms[:, point], best[point])
        assert loose.sure[point] == (high_ms[best[point], point] < rivals.min())


def test_what_a_link_takes_is_not_in_doubt() -> None:
    low_ms, high_ms = Doubt(NARROW, WIDE).ends_ms(
        np.array([1000.0, 1000.0]), np.array([900.0, 0.0]), np.array([True, True])
    )
    assert low_ms == pytest.approx([990, 900])
    assert high_ms == pytest.approx([1010, 1100])


def test_a_run_teaches_what_a_plan_would_have_got_wrong() -> None:
    made = predictor()
    cuts = [CutSizes(k=k, part1_bytes=0, intermediate_bytes=0) for k in range(4)]
    profile = Profile(ue=made.profile.ue, edge=made.profile.edge, cuts=tuple(cuts))
    option = made.options[1]
    told = by_hand_ms(option, 1, 10, 20)
    wire_ms = made.wire_ms(made.work([option]), grid("20", "10", "1")).item()
    row = made_row(
        split="1:2", split_name="early", bw_mbit=20.0, downlink_mbit=20.0, delay_ms=10.0,
        downlink_delay_ms=10.0, encoded_bytes=option.sent_bytes, encode_ms=0.1, decode_ms=0.1,
        result_ms=4.0, result_bytes=1000, e2e_ms=wire_ms + 1.25 * (told - wire_ms),
    )  # fmt: skip
    (lesson,) = _of_rows([row], profile)
    assert lesson.ratio == pytest.approx(1.25)
    assert lesson.long
    others: tuple[dict[str, Any], ...] = (
        {"valid": False},
        {"ue": "2x slower"},
        {"loss_pct": 1.0},
        {"downlink_mbit": 5.0},
    )
    left = [msgspec.structs.replace(row, **changed) for changed in others]
    assert not [*_of_rows(left, profile)]


def test_a_folder_that_teaches_nothing_is_refused_with_its_repair(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of a sweep that profiled"):
        read_lessons([tmp_path])
    profile = tmp_path / "profile.json"
    profile.write_text(predictor().profile.model_dump_json())
    ended = orchestrate("plan", "--model", "shapesnet", "--learn", str(tmp_path))
    assert ended.code == 2
    assert "is no run" in ended.err
