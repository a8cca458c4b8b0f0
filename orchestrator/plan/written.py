"""What a plan leaves: plan.csv, best.csv, and what it is predicted from."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from orchestrator.plan.doubt.limits import Expected
from orchestrator.plan.energy import LeastEnergy
from orchestrator.plan.facts import FACTS_FILE
from orchestrator.plan.load.forecast import Carried, carried
from orchestrator.plan.load.under import COLUMNS, UnderLoad
from orchestrator.plan.policies import Decisions
from orchestrator.plan.prediction import Plan
from orchestrator.reports.terminal import Line
from orchestrator.results.columns import csv_text
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder

MOST_ROWS = 200_000
SURE, NOT_SURE = "sure", "not sure"
PLAN_FILE, BEST_FILE = "plan.csv", "best.csv"


@dataclass(frozen=True)
class Loaded:
    """What its options carry; what becomes of them under a load, by energy and limits, if asked."""

    carries: Carried
    under: UnderLoad | None = None
    energy: LeastEnergy | None = None
    limits: tuple[Expected, ...] = ()


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
    limited = [name for one in loaded.limits for name in one.columns]
    own = "".join(f",{name}" for name in (*limited, *(COLUMNS if under else ())))
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
        further = _further(loaded, place, plan.grid.size)
        for (point, e2e, low, high, ue, front, *fps), more in zip(columns, further, strict=True):
            if everything or front:
                told = f"{e2e:.3f},{low:.3f},{high:.3f},{ue:.3f},{option.sent_bytes}"
                per_s = ",".join(f"{one:.3f}" if math.isfinite(one) else "" for one in fps)
                line = f"{start},{point},{told},{'true' if front else 'false'},{per_s}"
                yield f"{line}{more}\n"


def _further(loaded: Loaded, option: int, points: int) -> Iterator[str]:
    """Of each point what is limited, and what becomes of frames under the load, where asked."""
    of_load = loaded.under.columns(option) if loaded.under else repeat("", points)
    for point, under in enumerate(of_load):
        told = [value for one in loaded.limits for value in one.at(option, point).values()]
        limited = "".join(f",{'' if value is None else value}" for value in told)
        yield f"{limited},{under}" if loaded.under else limited


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
