"""What a plan and its verification say is true of their tables, whatever these are."""

import re
from collections.abc import Sequence
from itertools import groupby
from statistics import median

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from orchestrator.plan.doubt import Doubt, Errors
from orchestrator.plan.grid import PlanPoint, grid
from orchestrator.plan.load.forecast import carried
from orchestrator.plan.measured import PLANNER, Held, Measured, Probe, summary, verdicts
from orchestrator.plan.policies import decisions
from orchestrator.plan.prediction import Plan, Predictor, make_plan
from orchestrator.plan.show import _doubt, _policy_lines, _stretches
from orchestrator.plan.written import NOT_SURE, SURE, Loaded, _best_lines
from orchestrator.reports.terminal import Line
from orchestrator.results.profile import CutSizes, NodeProfile, PartTime, Profile
from orchestrator.results.statistics.intervals import median_interval
from splitbed.graphs.mincut import Dag, Wire
from tests.orchestrator.plan.test_plan import node, predictor
from tests.orchestrator.written import made_row

ROLES = (PLANNER, "second", "device only", "neurosurgeon")


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Of three layers that take whatever they like, at one or two paces, delays and many rates."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = [int(one) for one in rng.lognormal(11, 1.5, 4)]
    slower = draw(st.sampled_from([0.5, 1.0, 8.0]))
    layers = tuple(float(ms) for ms in rng.lognormal(2.5, 1, 3))
    ue, edge = node(tuple(slower * ms for ms in layers)), node(layers)
    if draw(st.booleans()):  # with parts that were run, and are no sums of layers
        ue = with_parts(ue, [(0, k) for k in (1, 2, 3)], rng)
        edge = with_parts(edge, [(k, 3) for k in range(3)], rng)
    cuts = [CutSizes(k=k, part1_bytes=k, intermediate_bytes=n) for k, n in enumerate(sizes)]
    facts = predictor().facts
    wires = (
        Wire("input", sizes[0], None, (0,)),
        *(Wire(f"x{k}", sizes[k + 1], k, (k + 1,)) for k in range(3)),
    )
    kept = {"raw": 1.0, "int8+zstd": float(rng.uniform(0.1, 1)), "none": 0.0}
    options = tuple(
        one.replaced(
            coded=tuple(
                own.replaced(
                    nbytes=int(sizes[one.configuration.k] * kept[one.configuration.codec]),
                    **(
                        {"encode_ms": 0.0, "decode_ms": 0.0}
                        if one.configuration.codec == "raw"
                        else {}
                    ),
                )
                for own in one.coded
            )
        )
        for one in facts.options
    )
    facts = facts.replaced(options=options, dag=Dag(4, wires))
    wide = draw(st.sampled_from([0.0, 0.02, 0.5]))
    errors = Errors(1 - wide, 1 + wide, 34)
    told = Predictor(
        Profile(ue=ue, edge=edge, cuts=tuple(cuts)), facts, doubt=Doubt(errors, errors)
    )
    return make_plan(told, grid(draw(st.sampled_from(["1:1000:40", "5", "2,30"])), "0,20", "1,4"))


def with_parts(
    told: NodeProfile, spans: Sequence[tuple[int, int]], rng: np.random.Generator
) -> NodeProfile:
    """The same with parts that were run."""
    parts = [
        PartTime(first=first, last=last, ms=float(rng.uniform(0.8, 1.5)) * told.ms(first, last))
        for first, last in spans
    ]
    return told.replaced(parts=tuple(parts))


@settings(max_examples=30, deadline=None)
@given(plans())
def test_what_a_plan_prints_is_what_its_tables_have(plan: Plan) -> None:
    decided = decisions(plan)
    table = [*_best_lines(plan, decided, Loaded(carried(plan)))]
    check_doubt(_doubt(plan), table)
    said = [*_stretches(plan)]
    least = [line for line in table if line["delay_ms"] == 0]
    held = [
        [*group]
        for _, group in groupby(least, key=lambda line: (line["ue_slowdown"], words(plan, line)))
    ]
    assert len(said) == len(held)
    for stretch, lines in zip(said, held, strict=True):
        check_stretch(stretch, lines, plan)
    for policy in _policy_lines(plan, decided):
        column = f"{str(policy['policy']).replace(' ', '_')}_regret_pct"
        regrets = [float(str(line[column])) for line in table]
        assert number(policy["regret, median"]) == pytest.approx(median(regrets), abs=0.06)
        assert number(policy["worst"]) == pytest.approx(max(regrets), abs=0.06)
        choice = column.removesuffix("_regret_pct")
        alike = [line for line in table if line[choice] == words(plan, line)]
        assert all(float(str(line[column])) == 0 for line in alike)
        used = {line[choice] for line in table}
        assert {*str(policy["chooses"]).removesuffix(", …").split(", ")} <= used


def words(plan: Plan, line: Line) -> str:
    """The best of a line of best.csv as a plan prints it."""
    asked = (one.configuration for one in plan.options)
    return next(
        one.words for one in asked if (one.split, one.codec) == (line["split"], line["codec"])
    )


def number(told: object) -> float:
    """The first in what is told."""
    found = re.match(r"[-\d.]+", str(told))
    assert found
    return float(found[0])


def check_doubt(sentence: str, table: Sequence[Line]) -> None:
    count = sum(line["decision"] == NOT_SURE for line in table)
    if not count:
        assert sentence.startswith("Sure at every link.")
        return
    assert sentence.startswith(f"Not sure at {count:,} of {len(table):,} links")
    assert all(bool(line["may_be_best"]) == (line["decision"] == NOT_SURE) for line in table)


def check_stretch(stretch: Line, lines: Sequence[Line], plan: Plan) -> None:
    """One of the first table against the lines of best.csv that it stands for."""
    assert stretch["best"] == words(plan, lines[0])
    rates = [number(line["bw_mbit"]) for line in lines]
    assert stretch["Mbit/s"] == span(rates[0], rates[-1])
    times = [float(str(line["predicted_ms"])) for line in lines]
    assert number(stretch["ms"]) == pytest.approx(times[0], rel=1e-3)
    near = min(lines, key=lambda line: float(str(line["margin_pct"])))
    assert number(stretch["margin"]) == pytest.approx(float(str(near["margin_pct"])), abs=0.06)
    sure = sum(line["decision"] == SURE for line in lines)
    assert stretch["sure at"] == f"{sure} of {len(lines)}"


def span(first: float, last: float) -> str:
    return f"{first:.4g}" if first == last else f"{first:.4g} to {last:.4g}"


@st.composite
def verified(draw: st.DrawFn) -> list[Measured]:
    """What was measured at one to three points: some rows failed, some could not be chosen."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = draw(st.sampled_from([0.0, 0.003, 0.1]))
    apart = draw(st.sampled_from([0.005, 0.3]))
    asked = predictor().options[0].configuration
    found = []
    for rate in (5.0, 20.0, 100.0)[: draw(st.integers(1, 3))]:
        for role in ROLES:
            middle_ms = 100 * rng.lognormal(0, apart)
            frames_ms = (middle_ms * rng.lognormal(0, noise, int(rng.integers(2, 12)))).tolist()
            ends = median_interval(frames_ms)
            row = made_row(
                e2e_ms=median(frames_ms), e2e_low_ms=ends.low, e2e_high_ms=ends.high,
                samples_ms=tuple(frames_ms), valid=bool(rng.random() > 0.1),
            )  # fmt: skip
            probe = Probe(
                asked, PlanPoint(1, 0, rate), 100.0, 90.0, 110.0, (role,),
                offered=role in ROLES[:2] or rng.random() > 0.3,
            )  # fmt: skip
            found.append(Measured(probe, row))
    return found


@settings(max_examples=60, deadline=None)
@given(verified())
def test_what_a_verification_says_is_true_of_what_it_measured(found: list[Measured]) -> None:
    said, judged = summary(found), verdicts(found)
    for held, count in re.findall(
        r"(the best|open: [^;.]+|not the best|not measured) at (\d+)", said
    ):
        assert [*judged.values()].count(Held(held)) == int(count)
    assert f" of {len(judged)}" in said
    for point, held in judged.items():
        check_held(held, [one for one in found if one.probe.point == point])
    rows = [one.row() for one in found]
    errors = [abs(float(str(row["error_pct"]))) for row in rows if row["error_pct"] is not None]
    if not errors:
        assert "Nothing could be measured" in said
        return
    assert f"over {len(errors)} measured cell" in said
    assert f"median {median(errors):.1f} %, worst {max(errors):.1f} %" in said
    inside = [
        row for row in rows
        if row["measured_ms"] is not None
        and row["predicted_low_ms"] <= row["measured_ms"] <= row["predicted_high_ms"]  # type: ignore[operator]
    ]  # fmt: skip
    assert f"{len(inside)} of them in their intervals" in said
    for role, middle, worst in re.findall(r"(\w[\w ]*) ([\d.]+) and ([\d.]+) %", said):
        shares = [*shares_of(role.removeprefix("worst: "), found)]
        assert float(middle) == pytest.approx(100 * median(shares), abs=0.06)
        assert float(worst) == pytest.approx(100 * max(shares), abs=0.06)


def shares_of(role: str, found: Sequence[Measured]) -> list[float]:
    """By how much the role's choice was slower than the fastest measured, at each point."""
    shares = []
    for point in {one.probe.point: None for one in found}:
        timed = [one for one in found if one.probe.point == point and one.measured_ms is not None]
        own = [one.measured_ms for one in timed if role in one.probe.roles]
        shares += [(ms or 0) / min(one.measured_ms or 0 for one in timed) - 1 for ms in own]
    return shares


def check_held(held: Held, here: Sequence[Measured]) -> None:
    """Against medians alone."""
    (choice,) = [one for one in here if PLANNER in one.probe.roles]
    rivals = [one for one in here if one.probe.offered and one is not choice]
    times = [one.measured_ms for one in rivals]
    if held is Held.BEST:
        assert choice.measured_ms is not None
        assert all(ms is not None and ms > choice.measured_ms for ms in times)
    if held is Held.WRONG:
        assert choice.measured_ms is not None
        assert min(ms for ms in times if ms is not None) < choice.measured_ms
    if held is Held.UNKNOWN:
        assert choice.measured_ms is None or None in times
