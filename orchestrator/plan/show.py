"""A plan as a user is told it."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from orchestrator.ask.flow import FLOWS, UPLINK
from orchestrator.plan.energy import LeastEnergy
from orchestrator.plan.load.forecast import Carried
from orchestrator.plan.load.held import load_summary
from orchestrator.plan.load.under import UnderLoad
from orchestrator.plan.measured import summary, verdicts
from orchestrator.plan.plot import text_map
from orchestrator.plan.policies import Decisions
from orchestrator.plan.prediction import Plan, Predictor
from orchestrator.plan.run import PlanOutcome
from orchestrator.reports.terminal import Line, rounded, show_lines, stdout
from orchestrator.results.judgement.accuracy import drawn
from splitbed.command import say

NONE_HOLDS, NOT_HELD = "none sustains it", "not sustained"
NONE_WITHIN = "none is sure to be within it"
BUSY_SHARE = 0.05
"""More waiting than this is told."""


def show(outcome: PlanOutcome, *, as_json: bool) -> None:
    """Print the best options, the map, the policies, and what was measured."""
    facts = outcome.plan.predictor.facts
    if as_json:
        told = {
            "plan": str(outcome.folder.path),
            "model": facts.model,
            "weights": facts.weights,
            "intervals": outcome.plan.predictor.doubt.words,
            "configurations": outcome.plan.e2e_ms.size,
            "planned_s": outcome.planned_s,
            "best": outcome.lines,
            "least_energy": energy.words if (energy := outcome.loaded.energy) else None,
            "limits": [one.words for one in outcome.loaded.limits],
            "left_out": [one.configuration.words for one in outcome.plan.predictor.left_out],
            "verified": [one.row() for one in outcome.measured],
            "verdicts": [
                {**asdict(point), "choice": told}
                for point, told in verdicts(outcome.measured).items()
            ],
            "verified_under_load": [one.row() for one in outcome.under_load],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    _show(outcome)
    if (waited := outcome.plan.predictor.profile.waited_share) > BUSY_SHARE:
        say(
            f"The machine was busy while it was profiled: parts waited {waited:.0%} of their time "
            "for a processor. Intervals are so much wider; plan again when it is quiet."
        )
    if source := outcome.plan.predictor.profile.ue.source:
        say(f"The UE's parts are those of {source}; coding was timed on this machine.")
    stdout().print(
        f"{facts.model}, weights: {facts.weights}{_flow(outcome.plan)}. "
        f"{outcome.plan.e2e_ms.size:,} configurations predicted in {outcome.planned_s:.2f} s; no "
        "frame was sent for that.\n"
        f"All of them, the map and the Pareto sets: {outcome.folder.path}",
        soft_wrap=True,
        markup=False,
    )


def _show(outcome: PlanOutcome) -> None:
    plan, decided, measured = outcome.plan, outcome.decided, outcome.measured
    console = stdout()
    delay_ms = plan.grid.delay_ms[0]
    console.print(f"Best at a delay of {delay_ms:g} ms, predicted:")
    show_lines([*_stretches(plan)], as_json=False)
    console.print(_doubt(plan), soft_wrap=True, markup=False)
    console.print(text_map(plan), markup=False)
    console.print(
        f"Best for frames a second at a delay of {delay_ms:g} ms, predicted by the slowest stage, "
        "with several frames under way:"
    )
    show_lines([*_carried(plan, outcome.loaded.carries)], as_json=False)
    if under := outcome.loaded.under:
        console.print(
            f"Under {under.load.words} at a delay of {delay_ms:g} ms, predicted, from when a frame "
            "is due until it is done:"
        )
        show_lines([*_loaded(plan, under)], as_json=False)
    if energy := outcome.loaded.energy:
        console.print(
            f"{energy.words}, at a delay of {delay_ms:g} ms, predicted by the model of "
            f"{energy.power.source.strip()}:",
            soft_wrap=True,
            markup=False,
        )
        show_lines([*_least_energy(plan, energy)], as_json=False)
        for limited in energy.limits:
            console.print(limited.words, soft_wrap=True, markup=False)
    show_lines([*_policy_lines(plan, decided)], as_json=False)
    if "dads" in decided and (gain_ms := decided["dads"].gain_ms.max()) > 0:
        console.print(
            f"The minimum cut over the graph beats every cut k:n-k by up to {gain_ms:.3g} ms by "
            "its own costs (best.csv says where); this testbed measures cuts k:n-k only.",
            soft_wrap=True,
        )
    if left_out := plan.predictor.left_out:
        words = ", ".join(option.configuration.words for option in left_out)
        console.print(_left_out(plan.predictor, words), soft_wrap=True, markup=False)
    if measured:
        show_lines([rounded(one.row()) for one in measured], as_json=False)
        console.print(summary(measured), soft_wrap=True)
    if outcome.under_load:
        show_lines([rounded(one.row()) for one in outcome.under_load], as_json=False)
        console.print(load_summary(outcome.under_load), soft_wrap=True)


def _flow(plan: Plan) -> str:
    """The flow in words, where it is not the usual one."""
    flow = plan.options[0].configuration.flow
    words = "" if flow == UPLINK else f"; flow {flow}: {FLOWS[flow].words}"
    for hop, (rate_mbit, delay_ms) in plan.predictor.owns.items():
        own = [f"{rate_mbit:g} Mbit/s"] if rate_mbit is not None else []
        own += [f"{delay_ms:g} ms"] if delay_ms is not None else []
        words += f"; its {hop} has {' and '.join(own)} of its own" if own else ""
    return words


def _doubt(plan: Plan) -> str:
    """Where the choice is not sure, and by which intervals."""
    open_points = int((~plan.sure).sum())
    words = plan.predictor.doubt.words
    if not open_points:
        return f"Sure at every link. {words}"
    return (
        f"Not sure at {open_points:,} of {plan.grid.size:,} links: another's interval overlaps the "
        f"best's (best.csv says where; --verify N measures). {words}"
    )


def _left_out(predictor: Predictor, words: str) -> str:
    if drawn(predictor.facts.weights):
        why = "with seeded weights what that loses is unknown; --weights FILE takes trained ones"
    else:
        most = f"--max-drop {predictor.max_drop:g}"
        why = f"it is not sure that no more accuracy is lost than {most}"
    return f"Not planned, since {why}: {words}."


def _stretches(plan: Plan) -> Iterator[Line]:
    """At the least delay, the rates over which one option stays the best, at each pace."""
    shape, rates = plan.grid.shape, plan.grid.bw_mbit
    best = plan.ranks[0].reshape(shape)[:, 0]
    second = plan.ranks[1].reshape(shape)[:, 0]
    best_ms, margin, sure = (
        values.reshape(shape)[:, 0] for values in (plan.best_ms, plan.margin, plan.sure)
    )
    for pace, slowdown in enumerate(plan.grid.ue_slowdown):
        for option, group in groupby(range(len(rates)), key=best[pace].__getitem__):
            held = [*group]
            near = min(held, key=margin[pace].__getitem__)
            first, last = held[0], held[-1]
            yield {
                "UE slower": f"{slowdown:g}x",
                "Mbit/s": _span(rates[first], rates[last]),
                "best": plan.options[option].configuration.words,
                "ms": _span(best_ms[pace, first], best_ms[pace, last]),
                "closest second": plan.options[second[pace, near]].configuration.words,
                "margin": f"{100 * margin[pace, near]:.1f} % at {rates[near]:g}",
                "sure at": f"{int(sure[pace, held].sum())} of {len(held)}",
                "accuracy drop": _drop(plan.options[option].accuracy_drop),
            }


def _held(plan: Plan, best: NDArray[np.intp]) -> Iterator[tuple[int, Sequence[int], Line]]:
    """At the least delay, at each pace, each option that is best, its points, their rates."""
    shape, rates = plan.grid.shape, plan.grid.bw_mbit
    points = np.arange(plan.grid.size).reshape(shape)[:, 0]
    for slowdown, row in zip(plan.grid.ue_slowdown, points, strict=True):
        for option, group in groupby(row, key=lambda point: int(best[point])):
            held = [*group]
            at = _span(rates[held[0] - row[0]], rates[held[-1] - row[0]])
            yield option, held, {"UE slower": f"{slowdown:g}x", "Mbit/s": at}


def _carried(plan: Plan, carries: Carried) -> Iterator[Line]:
    """The rates over which one option carries most."""
    for option, held, where in _held(plan, carries.best):
        first, last = held[0], held[-1]
        fps, own = carries.fps[option], carries.fps[plan.ranks[0, held], held]
        most_fps = carries.ends_fps(option, last)[2]
        yield where | {
            "most frames": plan.options[option].configuration.words,
            "frames/s": _span(fps[first], fps[last]),
            "from": f"{carries.low_fps[option, first]:.4g}",
            "to": "" if most_fps is None else f"{most_fps:.4g}",
            "slowest": carries.slowest(option, first),
            "the best in latency": _span(own[0], own[-1]),
        }


def _loaded(plan: Plan, under: UnderLoad) -> Iterator[Line]:
    """The rates over which one option is best of those that sustain it."""
    for option, held, where in _held(plan, under.best):
        first, last = held[0], held[-1]
        if option < 0:
            yield where | dict.fromkeys(("ms", "from", "to", "p99"), "") | {"best": NONE_HOLDS}
            continue
        middle_ms = under.middle.median_ms[option]
        yield where | {
            "best": plan.options[option].configuration.words,
            "ms": _span(middle_ms[first], middle_ms[last]),
            "from": _end(under.medians_ms(option, last)[1]),
            "to": _end(under.medians_ms(option, first)[2]),
            "p99": f"{under.middle.p99_ms[option, first]:.4g}",
        }


def _least_energy(plan: Plan, energy: LeastEnergy) -> Iterator[Line]:
    """The rates over which one option takes least of those that are fast enough."""
    columns = {"mJ": energy.mj, "ms": plan.e2e_ms}
    for one in energy.limits:
        columns |= {f"{one.limit.name} ms": one.ms, "at most": one.high_ms}
    for option, held, where in _held(plan, energy.best):
        own_mj = energy.mj[plan.ranks[0, held], held]
        ends = {"the best in latency mJ": _span(own_mj[0], own_mj[-1])}
        if option < 0:
            yield where | {"least energy": NONE_WITHIN} | dict.fromkeys(columns, "") | ends
            continue
        taken = (of[option, [held[0], held[-1]]] for of in columns.values())
        words = plan.options[option].configuration.words
        spans = zip(columns, (_span(*both) for both in taken), strict=True)
        yield where | {"least energy": words} | dict(spans) | ends


def _end(ms: float | None) -> str:
    return NOT_HELD if ms is None else f"{ms:.4g}"


def _span(first: float, last: float) -> str:
    return f"{first:.4g}" if first == last else f"{first:.4g} to {last:.4g}"


def _drop(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _policy_lines(plan: Plan, decided: Mapping[str, Decisions]) -> Iterator[Line]:
    for name, made in decided.items():
        regret = 100 * made.regret(plan)
        chosen = [made.labels[one] for one in np.bincount(made.chosen).argsort()[::-1]]
        used = [label for label in chosen if label in {made.labels[one] for one in made.chosen}]
        yield {
            "policy": name,
            "regret, median": f"{np.median(regret):.1f} %",
            "worst": f"{regret.max():.1f} %",
            "within 0.5 % of the plan": f"{100 * np.mean(regret <= 0.5):.0f} % of links",
            "chooses": ", ".join(used[:3]) + (", …" if len(used) > 3 else ""),
        }
