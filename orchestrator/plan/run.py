"""A plan, and the folder that it leaves.

plan.csv     every configuration        best.csv     a row per link and pace: the best, the second,
profile.json, facts.json  what it is                 the Pareto set, each policy with its regret
             predicted from             map.png    which is best where
verify/      the run that --verify measured      verify.csv  predicted against measured, under a
                                                 load in verify-load.csv
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.doubt import doubt_of
from orchestrator.plan.doubt.lessons import read_lessons
from orchestrator.plan.doubt.limits import Doubts, expected
from orchestrator.plan.energy import check_energy, least_energy
from orchestrator.plan.facts import read_facts, take_facts
from orchestrator.plan.grid import PlanGrid
from orchestrator.plan.load.forecast import carried
from orchestrator.plan.load.held import LoadMeasured, load_probes
from orchestrator.plan.load.processors import shared_processors
from orchestrator.plan.load.under import planned_load, under_load
from orchestrator.plan.measured import Held, Measured, verdicts
from orchestrator.plan.nodes import read_nodes, take_nodes, with_told_ue
from orchestrator.plan.plot import plot
from orchestrator.plan.policies import Decisions, decisions
from orchestrator.plan.prediction import Plan, Predictor, make_plan, own_ways
from orchestrator.plan.verify import probed, verify
from orchestrator.plan.written import Loaded, write
from orchestrator.reports.terminal import Line
from orchestrator.results.profile import Profile
from orchestrator.results.run_folder import RunFolder, check_free, create
from orchestrator.results.statistics.limits import Limit
from orchestrator.testbed.local import LocalModel, opened_once
from orchestrator.testbed.site import check_one_ue, checked_site
from splitbed.errors import UsageError

MAP_FILE = "map.png"
MOST_CONFIGURATIONS = 5_000_000


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
    limits: tuple[Limit, ...] = ()
    """Of what is chosen by energy."""


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
    check_energy(config, wanted.limits)
    owns = own_ways(config)
    if config.out:
        check_free(config.out)
    profile = read_nodes(wanted.profile) if wanted.profile else None
    if wanted.verify and (told_by := _told_by(wanted, profile)):
        raise UsageError(
            f"--verify measures the UE of this testbed, and the plan's is of {told_by}: plan "
            "without --verify, or without that profile"
        )
    lessons = read_lessons(wanted.learn)
    doubt, doubts = doubt_of(lessons), [(one, doubt_of(lessons, one)) for one in wanted.limits]
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
        doubts = [(limit, one.widened(profile.waited_share)) for limit, one in doubts]
        shared = shared_processors(config)
        predictor = replace(predictor, doubt=doubt, owns=owns, shared=shared)
        outcome = _planned(config, wanted, predictor, doubts)
        if site is None or not wanted.verify:
            return outcome
        told = outcome.loaded
        chosen = outcome.decided, told.energy
        probes = probed(config, outcome.plan, *chosen, wanted.verify, site)
        loads = load_probes(probes, told.carries, told.under) if told.under else []
        model = local().model
        found, loaded = verify(config, probes, site, model, outcome.folder, watcher, loads)
        return replace(outcome, measured=found, under_load=loaded)


def _told_by(wanted: PlanOptions, profile: Profile | None) -> str:
    """The file that another UE's profile is from, else nothing."""
    if wanted.ue_profile_csv:
        return wanted.ue_profile_csv.name
    return profile.ue.source if profile else ""


def _planned(
    config: SweepConfig, wanted: PlanOptions, predictor: Predictor, doubts: Doubts = ()
) -> PlanOutcome:
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
    decided, told = decisions(plan), loaded(plan, config, doubts)
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


def loaded(plan: Plan, config: SweepConfig, doubts: Doubts = ()) -> Loaded:
    """Under the load of `config`, where frames come at times of their own; by energy, too.

    Limits are judged by their `doubts`. Raises UsageError.
    """
    carries, load = carried(plan), planned_load(config)
    under = under_load(plan, carries, load, config.seed) if load.open else None
    limits = expected(plan, doubts)
    return Loaded(carries, under, least_energy(plan, config, limits), limits)
