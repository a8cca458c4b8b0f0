"""A plan, and the folder that it leaves.

plan.csv     every configuration        best.csv     a row per link and pace: the best, the second,
profile.json, facts.json  what it is                 the Pareto set, each policy with its regret
             predicted from             map.png    which is best where
verify/      the run that --verify measured      verify.csv  predicted against measured, under a
                                                 load in verify-load.csv
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path

import numpy as np

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.doubt import doubt_of
from orchestrator.plan.energy import LeastEnergy, check_energy, least_energy
from orchestrator.plan.facts import FACTS_FILE, read_facts, take_facts
from orchestrator.plan.grid import PlanGrid
from orchestrator.plan.lessons import read_lessons
from orchestrator.plan.load.forecast import Carried, carried
from orchestrator.plan.load.held import LoadMeasured, load_probes
from orchestrator.plan.load.processors import shared_processors
from orchestrator.plan.load.under import COLUMNS, UnderLoad, planned_load, under_load
from orchestrator.plan.measured import Held, Measured, verdicts
from orchestrator.plan.nodes import read_nodes, take_nodes, with_told_ue
from orchestrator.plan.plot import plot
from orchestrator.plan.policies import Decisions, decisions
from orchestrator.plan.prediction import Plan, Predictor, make_plan, own_ways
from orchestrator.plan.verify import probed, verify
from orchestrator.reports.terminal import Line
from orchestrator.results.columns import csv_text
from orchestrator.results.profile import Profile
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder, check_free, create
from orchestrator.testbed.local import LocalModel, opened_once
from orchestrator.testbed.site import check_one_ue, checked_site
from splitbed.errors import UsageError

MOST_ROWS = 200_000
MOST_CONFIGURATIONS = 5_000_000
SURE, NOT_SURE = "sure", "not sure"
PLAN_FILE, BEST_FILE, MAP_FILE = "plan.csv", "best.csv", "map.png"


@dataclass(frozen=True)
class PlanOptions:
    """What a plan is asked for besides the model.

    The links; an earlier profile; a CSV of `benchmark_model` for the UE; cells to measure; runs
    whose errors make the intervals.
    """

    grid: PlanGrid
    profile: Path | None = None
    verify: int = 0
    ue_profile_csv: Path | None = None
    learn: tuple[Path, ...] = ()
    within_ms: float | None = None
    """End to end, of what is chosen by energy."""


@dataclass(frozen=True)
class Loaded:
    """What its options carry, and what becomes of them under a load, where one was asked."""

    carries: Carried
    under: UnderLoad | None = None
    energy: LeastEnergy | None = None


@dataclass(frozen=True)
class PlanOutcome:
    """What a plan came to, in `folder`: predictions, each policy's decisions, what was measured.

    `lines` are the rows of best.csv; predicting took `planned_s`.
    """

    folder: RunFolder
    plan: Plan
    loaded: Loaded
    decided: Mapping[str, Decisions]
    lines: Sequence[Line]
    measured: Sequence[Measured]
    planned_s: float
    under_load: Sequence[LoadMeasured] = ()

    @property
    def exit_code(self) -> int:
        """1 where measuring found a choice not to be the best, or could not tell; else 0."""
        found = verdicts(self.measured).values()
        return int(any(one in (Held.WRONG, Held.UNKNOWN) for one in found))


def run_plan(config: SweepConfig, wanted: PlanOptions, watcher: Watcher) -> PlanOutcome:
    """Predict, verify and write. Raises UsageError for what cannot be asked; nothing is left then.

    ``config`` says the model, its splits and codecs, and where it is to run.
    """
    config.only_fp32("a plan goes by a profile of the model as it is")
    check_one_ue(config)
    planned_load(config)
    check_energy(config, wanted.within_ms)
    owns = own_ways(config)
    if config.out:
        check_free(config.out)
    profile = read_nodes(wanted.profile) if wanted.profile else None
    if wanted.verify and (told_by := _told_by(wanted, profile)):
        raise UsageError(
            f"--verify measures the UE of this testbed, and the plan's is of {told_by}: plan "
            "without --verify, or without that profile"
        )
    doubt = doubt_of(read_lessons(wanted.learn))
    paces = tuple(wanted.grid.ue_slowdown.tolist()) if wanted.verify else None
    config = config.replaced(ue_slowdown=paces)
    site = checked_site(config) if wanted.verify or profile is None else None
    with opened_once(config) as local:
        if profile is None:
            assert site is not None
            profile = take_nodes(config, site, local().model, watcher)
        profile = with_told_ue(profile, wanted.ue_profile_csv, lambda: local().model.graph)
        predictor = _predictor(config, wanted, profile, local, watcher)
        doubt = doubt.widened(profile.waited_share)
        shared = shared_processors(config)
        predictor = replace(predictor, doubt=doubt, owns=owns, shared=shared)
        outcome = _planned(config, wanted, predictor)
        if site is None or not wanted.verify:
            return outcome
        probes = probed(config, outcome.plan, outcome.decided, wanted.verify, site)
        told = outcome.loaded
        loads = load_probes(probes, told.carries, told.under) if told.under else []
        model = local().model
        found, loaded = verify(config, probes, site, model, outcome.folder, watcher, loads)
        return replace(outcome, measured=found, under_load=loaded)


def _told_by(wanted: PlanOptions, profile: Profile | None) -> str:
    """The file that another UE's profile is from, else nothing."""
    if wanted.ue_profile_csv:
        return wanted.ue_profile_csv.name
    return profile.ue.source if profile else ""


def _planned(config: SweepConfig, wanted: PlanOptions, predictor: Predictor) -> PlanOutcome:
    began = time.perf_counter()
    if not predictor.options:
        raise UsageError(
            "there is nothing to plan: of every configuration it is not sure that no more accuracy "
            f"is lost than --max-drop {config.max_drop:g}; give more, or codecs that lose less"
        )
    if (count := len(predictor.options) * wanted.grid.size) > MOST_CONFIGURATIONS:
        raise UsageError(
            f"{count:,} configurations are more than {MOST_CONFIGURATIONS:,}: "
            "give fewer points of --bw, --delay or --ue-slowdown"
        )
    plan = make_plan(predictor, wanted.grid)
    decided, told = decisions(plan), loaded(plan, config, wanted.within_ms)
    folder = create(config.out, f"plan-{predictor.facts.model}")
    lines = write(plan, decided, folder, told)
    planned_s = time.perf_counter() - began
    plot(plan, folder.path / MAP_FILE)
    return PlanOutcome(folder, plan, told, decided, lines, (), planned_s)


def _predictor(
    config: SweepConfig,
    wanted: PlanOptions,
    profile: Profile,
    local: Callable[[], LocalModel],
    watcher: Watcher,
) -> Predictor:
    """With what an earlier plan left of the model, as far as it serves; else measured now."""
    facts = read_facts(wanted.profile) if wanted.profile else None
    if facts is None or not facts.answer(config):
        facts = take_facts(config, local(), profile, watcher.note)
    return Predictor(profile, facts, config.max_drop)


def loaded(plan: Plan, config: SweepConfig, within_ms: float | None = None) -> Loaded:
    """Under the load of `config`, where frames come at times of their own; by energy, too.

    Raises UsageError.
    """
    carries, load = carried(plan), planned_load(config)
    under = under_load(plan, carries, load, config.seed) if load.open else None
    return Loaded(carries, under, least_energy(plan, config, within_ms))


def write(
    plan: Plan, decided: Mapping[str, Decisions], folder: RunFolder, told: Loaded | None = None
) -> list[Line]:
    """Write all but the pictures; gives back the rows of best.csv."""
    told = told or Loaded(carried(plan))
    folder.replace(PROFILE_FILE, plan.predictor.profile.model_dump_json(indent=1))
    folder.replace(FACTS_FILE, plan.predictor.facts.model_dump_json(indent=1))
    folder.replace(PLAN_FILE, "".join(_configurations(plan, told)))
    lines = [*_best_lines(plan, decided, told)]
    folder.replace(BEST_FILE, csv_text(tuple(lines[0]), lines))
    return lines


def _configurations(plan: Plan, loaded: Loaded) -> Iterator[str]:
    """Every configuration, or of very many those on the Pareto front."""
    yield "split,split_name,codec,ue_slowdown,delay_ms,bw_mbit,"
    carries, under = loaded.carries, loaded.under
    own = ",".join(("", *COLUMNS) if under else ())
    yield f"e2e_ms,low_ms,high_ms,ue_ms,sent_bytes,pareto,frames_per_s,low_per_s,high_per_s{own}\n"
    slowdown, delay_ms, bw_mbit = plan.grid.points()
    points = [f"{s:g},{d:g},{b:g}" for s, d, b in zip(slowdown, delay_ms, bw_mbit, strict=True)]
    ue_ms = plan.predictor.ue_ms(plan.work, slowdown)
    everything = plan.e2e_ms.size <= MOST_ROWS
    for place, option in enumerate(plan.options):
        asked = option.configuration
        start = f"{asked.split},{asked.split_name},{asked.codecs}"
        columns = zip(
            points,
            plan.e2e_ms[place].tolist(),
            plan.low_ms[place].tolist(),
            plan.high_ms[place].tolist(),
            ue_ms[place].tolist(),
            plan.pareto[place].tolist(),
            *(fps[place].tolist() for fps in (carries.fps, carries.low_fps, carries.high_fps)),
            strict=True,
        )
        of_load = under.columns(place) if under else repeat("")
        for (point, e2e, low, high, ue, front, *fps), more in zip(columns, of_load, strict=False):
            if everything or front:
                told = f"{e2e:.3f},{low:.3f},{high:.3f},{ue:.3f},{option.sent_bytes}"
                per_s = ",".join(f"{one:.3f}" if math.isfinite(one) else "" for one in fps)
                line = f"{start},{point},{told},{'true' if front else 'false'},{per_s}"
                yield f"{line},{more}\n" if under else f"{line}\n"


def _best_lines(plan: Plan, decided: Mapping[str, Decisions], loaded: Loaded) -> Iterator[Line]:
    best_ms, margin, rivals = plan.best_ms.tolist(), plan.margin.tolist(), plan.may_be_best
    regrets = {name: made.regret(plan).tolist() for name, made in decided.items()}
    gains = decided["dads"].gain_ms.tolist() if "dads" in decided else []
    words = [option.configuration.words for option in plan.options]
    for point, (slowdown, delay_ms, bw_mbit) in enumerate(zip(*plan.grid.points(), strict=True)):
        best, second = (plan.options[rank] for rank in plan.ranks[:, point])
        line: Line = {
            "ue_slowdown": float(slowdown),
            "delay_ms": float(delay_ms),
            "bw_mbit": float(bw_mbit),
            "split": best.configuration.split,
            "split_name": best.configuration.split_name,
            "codec": best.configuration.codecs,
            "predicted_ms": round(best_ms[point], 3),
            "low_ms": round(float(plan.low_ms[plan.ranks[0, point], point]), 3),
            "high_ms": round(float(plan.high_ms[plan.ranks[0, point], point]), 3),
            "second": second.configuration.words,
            "margin_pct": round(100 * margin[point], 2),
            "decision": NOT_SURE if rivals[:, point].any() else SURE,
            "may_be_best": "; ".join(words[one] for one in np.flatnonzero(rivals[:, point])),
            "accuracy_drop": best.accuracy_drop,
            "pareto": "; ".join(words[one] for one in np.flatnonzero(plan.pareto[:, point])),
        }
        line |= _most_frames(plan, loaded.carries, point)
        line |= _under_load(plan, loaded.under, point) if loaded.under else {}
        line |= loaded.energy.line(plan, point) if loaded.energy else {}
        for name, made in decided.items():
            column = name.replace(" ", "_")
            line[column] = made.labels[made.chosen[point]]
            line[f"{column}_regret_pct"] = round(100 * regrets[name][point], 2)
        yield line | ({"dads_gain_ms": round(gains[point], 3)} if gains else {})


def _most_frames(plan: Plan, carries: Carried, point: int) -> Line:
    """Frames a second of the best in latency, and which is best for them."""
    most, best = int(carries.best[point]), int(plan.ranks[0, point])
    asked = plan.options[most].configuration
    fps, low_fps, high_fps = carries.ends_fps(most, point)
    return {
        "frames_per_s": round(float(carries.fps[best, point]), 3),
        "most_frames_split": asked.split,
        "most_frames_split_name": asked.split_name,
        "most_frames_codec": asked.codecs,
        "most_frames_per_s": round(fps, 3),
        "most_frames_low_per_s": round(low_fps, 3),
        "most_frames_high_per_s": None if high_fps is None else round(high_fps, 3),
        "most_frames_slowest": carries.slowest(most, point),
    }


def _under_load(plan: Plan, under: UnderLoad, point: int) -> Line:
    """The best of those that sustain the load; nothing where none does."""
    names = ("split", "split_name", "codec", "response_ms", "response_low_ms", "response_high_ms")
    if (best := int(under.best[point])) < 0:
        return {f"load_{name}": None for name in names}
    asked = plan.options[best].configuration
    times_ms = [None if ms is None else round(ms, 3) for ms in under.medians_ms(best, point)]
    told = (asked.split, asked.split_name, asked.codecs, *times_ms)
    return {f"load_{name}": value for name, value in zip(names, told, strict=True)}
