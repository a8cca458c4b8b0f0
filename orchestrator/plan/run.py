"""The command plan: what it prints, and the folder that it leaves.

plan.csv     every configuration        best.csv     a row per link and pace: the best, the second,
profile.json, facts.json  what it is                 the Pareto set, each policy with its regret
             predicted from             map.png    which is best where
verify/      the run that --verify measured      verify.csv  predicted against measured
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from orchestrator.ask.config import SweepConfig
from orchestrator.measure.profile import take_profile
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.facts import FACTS_FILE, read_facts, take_facts
from orchestrator.plan.grid import Grid
from orchestrator.plan.plot import plot, text_map
from orchestrator.plan.policies import Decisions, decisions
from orchestrator.plan.prediction import Plan, Predictor, make_plan
from orchestrator.plan.verify import Measured, probed, summary, verify
from orchestrator.reports.terminal import Line, show_lines, stdout
from orchestrator.results.profile import NodeProfile, Profile
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder, check_free, create, csv_text
from orchestrator.testbed.local import LocalModel, opened_once
from orchestrator.testbed.model import SweptModel
from orchestrator.testbed.testbed import Site, checked_site, testbed
from splitbed.errors import UsageError

MOST_ROWS = 200_000
MOST_CONFIGURATIONS = 5_000_000
PLAN_FILE, BEST_FILE, MAP_FILE = "plan.csv", "best.csv", "map.png"


@dataclass(frozen=True)
class PlanOptions:
    """What a plan is asked for besides the model.

    The links; an earlier profile; cells to measure; the accuracy that a codec may cost.
    """

    grid: Grid
    profile: Path | None = None
    verify: int = 0
    max_drop: float = math.inf


def run_plan(
    config: SweepConfig, wanted: PlanOptions, watcher: Watcher, *, as_json: bool = False
) -> None:
    """Predict, print and write. Raises UsageError for what cannot be asked; nothing is left then.

    ``config`` says the model, its splits and codecs, and where it is to run.
    """
    if config.out:
        check_free(config.out)
    profile = read_nodes(wanted.profile) if wanted.profile else None
    paces = tuple(wanted.grid.ue_slowdown.tolist()) if wanted.verify else None
    config = config.replaced(ue_slowdown=paces)
    site = checked_site(config) if wanted.verify or profile is None else None
    with opened_once(config) as local:
        predictor = _predictor(config, wanted, profile, site, local)
        began = time.perf_counter()
        if (count := len(predictor.options) * wanted.grid.size) > MOST_CONFIGURATIONS:
            raise UsageError(
                f"{count:,} configurations are more than {MOST_CONFIGURATIONS:,}: "
                "give fewer points of --bw, --delay or --ue-slowdown"
            )
        plan = make_plan(predictor, wanted.grid)
        decided = decisions(plan)
        folder = create(config.out, f"plan-{predictor.facts.model}")
        lines = write(plan, decided, folder)
        planned_s = time.perf_counter() - began
        plot(plan, folder.path / MAP_FILE)
        measured: list[Measured] = []
        if site and wanted.verify:
            probes = probed(plan, decided, wanted.verify, site)
            measured = verify(config, probes, site, local().model, folder, watcher)
    if as_json:
        answer = {"plan": str(folder.path), "model": predictor.facts.model}
        told = answer | {"weights": predictor.facts.weights, "configurations": plan.e2e_ms.size}
        verified = [one.row() for one in measured]
        told |= {"planned_s": planned_s, "best": lines, "verified": verified}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
        return
    _show(plan, decided, measured)
    stdout().print(
        f"{predictor.facts.model}, weights: {predictor.facts.weights}. {plan.e2e_ms.size:,} "
        f"configurations predicted in {planned_s:.2f} s; no frame was sent for that.\n"
        f"All of them, the map and the Pareto sets: {folder.path}",
        soft_wrap=True,
        markup=False,
    )


def read_nodes(place: Path) -> Profile:
    """The profile in a run's or a plan's folder, or in a file of `orchestrate profile --json`."""
    file = place / PROFILE_FILE if place.is_dir() else place
    try:
        return Profile.model_validate_json(file.read_text())
    except (OSError, ValueError):
        raise UsageError(
            f"--profile {place} holds no profile: give the folder of a sweep or a plan, or what "
            "`orchestrate profile --json` printed"
        ) from None


def _predictor(
    config: SweepConfig,
    wanted: PlanOptions,
    profile: Profile | None,
    site: Site | None,
    local: Callable[[], LocalModel],
) -> Predictor:
    """From what an earlier plan left, as far as it serves; else measured now."""
    place = wanted.profile
    if profile and place and (facts := read_facts(place)) and facts.answer(config):
        return Predictor(profile, facts, wanted.max_drop)
    if profile is None:
        assert site is not None
        profile = _profile(config, site, local().model)
    return Predictor(profile, take_facts(config, local(), profile, _say), wanted.max_drop)


def _profile(config: SweepConfig, site: Site, model: SweptModel) -> Profile:
    """Of two profiles, the quicker of each node: what slows one of them is not the node."""
    _say("profiling both nodes, twice")
    with testbed(site, model, config.links) as bed:
        first, second = (take_profile(config, bed.model, bed.pair) for _ in range(2))
    ue, edge = _quicker(first.ue, second.ue), _quicker(first.edge, second.edge)
    return Profile(ue=ue, edge=edge, cuts=first.cuts)


def _quicker(one: NodeProfile, other: NodeProfile) -> NodeProfile:
    quick = min(one, other, key=lambda node: node.steady_ms)
    paced_ms = min(one.paced_ms, other.paced_ms)
    return NodeProfile.model_validate({**dict(quick), "paced_ms": paced_ms})


def _say(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def write(plan: Plan, decided: Mapping[str, Decisions], folder: RunFolder) -> list[Line]:
    """Write all but the pictures; gives back the rows of best.csv."""
    folder.replace(PROFILE_FILE, plan.predictor.profile.model_dump_json(indent=1))
    folder.replace(FACTS_FILE, plan.predictor.facts.model_dump_json(indent=1))
    folder.replace(PLAN_FILE, "".join(_configurations(plan)))
    lines = [*_best_lines(plan, decided)]
    folder.replace(BEST_FILE, csv_text(tuple(lines[0]), lines))
    return lines


def _configurations(plan: Plan) -> Iterator[str]:
    """Every configuration, or of very many those on the Pareto front."""
    yield "split,split_name,codec,ue_slowdown,delay_ms,bw_mbit,e2e_ms,ue_ms,sent_bytes,pareto\n"
    slowdown, delay_ms, bw_mbit = plan.grid.points()
    points = [f"{s:g},{d:g},{b:g}" for s, d, b in zip(slowdown, delay_ms, bw_mbit, strict=True)]
    ue_ms = plan.predictor.ue_ms(plan.work, slowdown)
    everything = plan.e2e_ms.size <= MOST_ROWS
    for place, option in enumerate(plan.options):
        asked = option.configuration
        start = f"{asked.split},{asked.split_name},{asked.codec}"
        columns = zip(
            points,
            plan.e2e_ms[place].tolist(),
            ue_ms[place].tolist(),
            plan.pareto[place].tolist(),
            strict=True,
        )
        for point, e2e, ue, front in columns:
            if everything or front:
                told = f"{e2e:.3f},{ue:.3f},{option.encoded_bytes},{'true' if front else 'false'}"
                yield f"{start},{point},{told}\n"


def _best_lines(plan: Plan, decided: Mapping[str, Decisions]) -> Iterator[Line]:
    best_ms, margin = plan.best_ms.tolist(), plan.margin.tolist()
    regrets = {name: made.regret(plan).tolist() for name, made in decided.items()}
    gains = decided["dads"].gain_ms.tolist()
    words = [option.configuration.words for option in plan.options]
    for point, (slowdown, delay_ms, bw_mbit) in enumerate(zip(*plan.grid.points(), strict=True)):
        best, second = (plan.options[rank] for rank in plan.ranks[:, point])
        line: Line = {
            "ue_slowdown": float(slowdown),
            "delay_ms": float(delay_ms),
            "bw_mbit": float(bw_mbit),
            "split": best.configuration.split,
            "split_name": best.configuration.split_name,
            "codec": best.configuration.codec,
            "predicted_ms": round(best_ms[point], 3),
            "second": second.configuration.words,
            "margin_pct": round(100 * margin[point], 2),
            "accuracy_drop": best.accuracy_drop,
            "pareto": "; ".join(words[one] for one in np.flatnonzero(plan.pareto[:, point])),
        }
        for name, made in decided.items():
            column = name.replace(" ", "_")
            line[column] = made.labels[made.chosen[point]]
            line[f"{column}_regret_pct"] = round(100 * regrets[name][point], 2)
        yield line | {"dads_gain_ms": round(gains[point], 3)}


def _show(plan: Plan, decided: Mapping[str, Decisions], measured: list[Measured]) -> None:
    console = stdout()
    delay_ms = plan.grid.delay_ms[0]
    console.print(f"Best at a delay of {delay_ms:g} ms, predicted:")
    show_lines([*_stretches(plan)], as_json=False)
    console.print(text_map(plan), markup=False)
    show_lines([*_policy_lines(plan, decided)], as_json=False)
    if (gain_ms := decided["dads"].gain_ms.max()) > 0:
        console.print(
            f"The minimum cut over the graph beats every cut k:n-k by up to {gain_ms:.3g} ms by "
            "its own costs (best.csv says where); this testbed measures cuts k:n-k only.",
            soft_wrap=True,
        )
    if measured:
        show_lines([one.row() for one in measured], as_json=False)
        console.print(summary(measured), soft_wrap=True)


def _stretches(plan: Plan) -> Iterator[Line]:
    """At the least delay, the rates over which one option stays the best, at each pace."""
    shape, rates = plan.grid.shape, plan.grid.bw_mbit
    best = plan.ranks[0].reshape(shape)[:, 0]
    second = plan.ranks[1].reshape(shape)[:, 0]
    best_ms, margin = (values.reshape(shape)[:, 0] for values in (plan.best_ms, plan.margin))
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
                "accuracy drop": _drop(plan.options[option].accuracy_drop),
            }


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
            "as good as the plan": f"{100 * np.mean(regret <= 0.5):.0f} % of links",
            "chooses": ", ".join(used[:3]) + (", …" if len(used) > 3 else ""),
        }
