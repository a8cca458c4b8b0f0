"""Measures a plan where its decision is closest, and holds predictions and policies against that.

At each chosen point: the best and the second option, and what each policy would have chosen.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from netem.spec import FRAME_BYTES, LinkSpec, Shape
from orchestrator.ask.config import SweepConfig
from orchestrator.ask.grid import Cell
from orchestrator.ask.pace import Pace
from orchestrator.measure.conditions import conditions, now
from orchestrator.measure.sweeper import Sweeper
from orchestrator.measure.watcher import Watcher
from orchestrator.plan.facts import Option
from orchestrator.plan.grid import Grid
from orchestrator.plan.policies import Decisions
from orchestrator.plan.prediction import Plan
from orchestrator.results.rows import Row, number
from orchestrator.results.run_folder import SUMMARY_FILE, create
from orchestrator.results.summary import rows, to_csv
from orchestrator.results.verdict import judge_run
from orchestrator.testbed.testbed import check_testbed, testbed
from splitbed.errors import LinkError, UsageError

PLANNER = "plan"


@dataclass(frozen=True)
class Probe:
    """An option to measure at a point of the grid; `roles` are those who would choose it there."""

    option: Option
    slowdown: float
    delay_ms: float
    bw_mbit: float
    predicted_ms: float
    roles: tuple[str, ...]

    @property
    def link(self) -> LinkSpec:
        """Both directions alike."""
        shape = Shape(
            rate_mbit=self.bw_mbit,
            delay_ms=self.delay_ms,
            queue_packets=_queue(self.bw_mbit, self.delay_ms),
        )
        return LinkSpec(uplink=shape, downlink=shape)

    @property
    def place(self) -> tuple[float, float, float]:
        """The point."""
        return self.slowdown, self.delay_ms, self.bw_mbit

    @property
    def pace(self) -> Pace:
        """What is asked of the UE."""
        return Pace(slowdown=self.slowdown) if self.slowdown > 1 else Pace()


@dataclass(frozen=True)
class Measured:
    """What was measured of a probe; `measured_ms` is None where the row is not valid."""

    probe: Probe
    measured_ms: float | None
    reason: str

    @property
    def error_pct(self) -> float | None:
        """How far the prediction is off, of the measured time."""
        if self.measured_ms is None:
            return None
        return 100 * (self.probe.predicted_ms / self.measured_ms - 1)

    def row(self) -> Row:
        """For verify.csv and the terminal."""
        probe = self.probe
        return {
            "ue_slowdown": probe.slowdown,
            "delay_ms": probe.delay_ms,
            "bw_mbit": probe.bw_mbit,
            "split": probe.option.split_name,
            "codec": probe.option.codec,
            "chosen by": ", ".join(probe.roles),
            "predicted_ms": probe.predicted_ms,
            "measured_ms": self.measured_ms if self.measured_ms is not None else self.reason,
            "error_pct": self.error_pct if self.error_pct is not None else "",
        }


def closest(plan: Plan, count: int, possible: Callable[[float], bool]) -> list[int]:
    """Up to `count` points of the grid, those first where the second is nearest to the best.

    Each pair of options is taken once at each pace of the UE, where it is closest, before any is
    taken again; `possible` says which rates a link can have.
    """
    slowdown, _, bw_mbit = plan.grid.points()
    able = {rate: possible(rate) for rate in plan.grid.bw_mbit.tolist()}
    first: list[int] = []
    again: list[int] = []
    seen: set[tuple[float, frozenset[int]]] = set()
    for point in np.argsort(plan.margin, kind="stable").tolist():
        if not able[bw_mbit[point]]:
            continue
        pair = (slowdown[point], frozenset(plan.ranks[:, point].tolist()))
        (again if pair in seen else first).append(point)
        seen.add(pair)
    return [*first, *again][:count]


def can_shape(config: SweepConfig) -> Callable[[float], bool]:
    """Whether the testbed of `config` can do a rate."""

    def possible(rate_mbit: float) -> bool:
        try:
            check_testbed(config.model_copy(update={"bw": (rate_mbit,)}))
        except UsageError:
            return False
        return True

    return possible


def probes(plan: Plan, decided: Mapping[str, Decisions], points: Sequence[int]) -> list[Probe]:
    """What is to be measured at these points."""
    slowdown, delay_ms, bw_mbit = plan.grid.points()
    found = []
    for point in points:
        at = (float(slowdown[point]), float(delay_ms[point]), float(bw_mbit[point]))
        best, second = (plan.options[rank] for rank in plan.ranks[:, point])
        roles: dict[Option, list[str]] = {best: [PLANNER]}
        roles.setdefault(second, []).append("second")
        for name, decisions in decided.items():
            option = decisions.options[decisions.chosen[point]]
            if option is not None:
                same = [o for o in plan.options if (o.k, o.codec) == (option.k, option.codec)]
                roles.setdefault(same[0] if same else option, []).append(name)
        single = Grid(np.array([at[2]]), np.array([at[1]]), np.array([at[0]]))
        told = plan.predictor.e2e_ms(plan.predictor.work([*roles]), single)[:, 0]
        found += [
            Probe(option, *at, float(ms), tuple(names))
            for (option, names), ms in zip(roles.items(), told, strict=True)
        ]
    return found


def _queue(bw_mbit: float, delay_ms: float) -> int:
    """Packets that a sweep's link holds, or what is in flight where that is more."""
    return max(1000, math.ceil(bw_mbit * 1e3 * delay_ms / (FRAME_BYTES * 8)))


def measure(
    config: SweepConfig, asked: Sequence[Probe], out: Path, progress: Watcher
) -> list[Measured]:
    """Measure each, and leave the run folder `out`. Raises SplitbedError for what stops it."""
    config = config.model_copy(
        update={
            "bw": tuple(dict.fromkeys(probe.bw_mbit for probe in asked)),
            "delay_ms": tuple(dict.fromkeys(probe.delay_ms for probe in asked)),
            "queue_packets": _queue(
                max(probe.bw_mbit for probe in asked), max(probe.delay_ms for probe in asked)
            ),
            "ue_slowdown": tuple(dict.fromkeys(probe.slowdown for probe in asked)),
            "profile": False,
            "delivery": False,
            "out": out,
        }
    )
    with testbed(config) as bed:
        cuts = bed.model.graph.cuts
        order = sorted(asked, key=lambda probe: (probe.option.k, probe.place))
        cells = [
            Cell(p.option.split_name, cuts[p.option.k], p.link, p.option.codec, p.pace)
            for p in order
        ]
        folder = create(out, bed.model.name)
        with folder.locked():
            facts = conditions(bed.pair, bed.link.backend)
            told = {"asked": config.model_dump(mode="json"), "model": bed.model.facts}
            keys = [cell.key for cell in cells]
            folder.write_run({**told, "conditions": facts, "order": "by split", "grid": keys})
            progress.begin(cells, folder.path, bed.link.backend)
            stopped = Sweeper(config, bed, folder, progress).measure(cells)
            table = rows(folder)
            verdict = judge_run(table, len(cells), str(stopped) if stopped else None)
            folder.replace(SUMMARY_FILE, to_csv(table))
            said = {"verdict": verdict.word, "reasons": verdict.reasons, "advice": verdict.advice}
            folder.write_run(folder.read_run() | {"ended": now(), **said})
    if stopped:
        raise stopped
    return [_measured(probe, table) for probe in asked]


def _measured(probe: Probe, table: Sequence[Row]) -> Measured:
    wanted = (probe.option.split, probe.option.codec, probe.link.words, probe.pace.words)
    for row in table:
        if (row["split"], row["codec"], row["link"], row["ue"]) == wanted:
            good = row["valid"] and "e2e_ms" in row
            return Measured(probe, number(row, "e2e_ms") if good else None, str(row["reason"]))
    raise LinkError(f"{probe.option.words} over {probe.link.words} was not measured")


def regrets(found: Sequence[Measured]) -> dict[str, list[float]]:
    """Of the plan and each policy: by what share each choice was slower than the measured best."""
    told: dict[str, list[float]] = {}
    for place in dict.fromkeys(one.probe.place for one in found):
        here = [one for one in found if one.probe.place == place and one.measured_ms is not None]
        least = min((one.measured_ms or 0.0 for one in here), default=0.0)
        for one in here:
            for role in one.probe.roles:
                told.setdefault(role, []).append((one.measured_ms or 0.0) / least - 1)
    return told


def summary(found: Sequence[Measured]) -> str:
    """The prediction's error and the regrets in words."""
    errors = [abs(one.error_pct) for one in found if one.error_pct is not None]
    if not errors:
        return "Nothing could be measured: see the reasons."
    words = (
        f"Prediction error over {len(errors)} measured cells: median "
        f"{statistics.median(errors):.1f} %, worst {max(errors):.1f} %. Regret against the "
        "measured best, median and worst: "
    )
    told = [
        f"{name} {100 * statistics.median(shares):.1f} and {100 * max(shares):.1f} %"
        for name, shares in regrets(found).items()
        if name != "second"
    ]
    return words + "; ".join(told) + "."
