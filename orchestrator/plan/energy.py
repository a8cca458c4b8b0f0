"""Which configuration takes least of the UE's energy among those that are fast enough, by a model.

idle * end to end + (parts * threads + coding) * CPU + sending + receiving
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from orchestrator.ask.devices import Power
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import kind_of
from orchestrator.plan.grid import Floats
from orchestrator.plan.prediction import Plan
from orchestrator.reports.terminal import Line
from orchestrator.results.prediction import on_wire_ms
from splitbed.errors import UsageError


@dataclass(frozen=True)
class LeastEnergy:
    """Of each option (rows) at each point (columns) of a plan, in mJ of all UEs.

    ``best`` is of each point the option that takes least of those that are below ``within_ms``, -1
    where none is: what is held against it is the upper end of what will be measured.
    """

    power: Power
    mj: Floats
    within_ms: float | None
    best: npt.NDArray[np.intp]

    def line(self, plan: Plan, point: int) -> Line:
        """The columns of a point in best.csv."""
        names = ("split", "split_name", "codec", "mj", "ms", "high_ms")
        fastest = int(plan.ranks[0, point])
        told: Line = {"ue_energy_mj": round(float(self.mj[fastest, point]), 3)}
        if (best := int(self.best[point])) < 0:
            return told | {f"least_energy_{name}": None for name in names}
        asked = plan.options[best].configuration
        values = (
            *(asked.split, asked.split_name, asked.codecs),
            *(round(float(of[best, point]), 3) for of in (self.mj, plan.e2e_ms, plan.high_ms)),
        )
        return told | {f"least_energy_{n}": v for n, v in zip(names, values, strict=True)}

    @property
    def words(self) -> str:
        """The objective, and by what it is judged."""
        if self.within_ms is None:
            return "Least energy of the UE"
        return (
            f"Least energy of the UE, end to end within {self.within_ms:g} ms (the upper end of"
            " 90 % for the median, high_ms; a sweep's --threshold tells p95)"
        )


def check_energy(config: SweepConfig, within_ms: float | None) -> None:
    """Raise UsageError for a choice by energy that nothing tells, or a limit to none."""
    if "ue" in config.power and not config.ue_threads:
        raise UsageError(
            "--power ue: a profile tells how long the UE's parts take, and energy goes by all their"
            " threads: say how many by --ue-threads"
        )
    if within_ms is not None and "ue" not in config.power:
        raise UsageError(
            f"--within-ms {within_ms:g} limits what is chosen by energy: give the model of the"
            " UE's by --power ue=FILE.yaml (docs/resources.md)"
        )


def least_energy(plan: Plan, config: SweepConfig, within_ms: float | None) -> LeastEnergy | None:
    """By the model of the UE that was asked for; None without one."""
    if (power := config.powers.get("ue")) is None:
        return None
    mj = _ue_mj(plan, power, config.ue_threads)
    held = mj if within_ms is None else np.where(plan.high_ms <= within_ms, mj, np.inf)
    best = np.where(np.isfinite(held).any(axis=0), held.argmin(axis=0), -1)
    return LeastEnergy(power, mj, within_ms, best)


def _ue_mj(plan: Plan, power: Power, threads: int) -> Floats:
    work, flow = plan.work, plan.work.flow
    slowdown, _, _ = plan.grid.points()
    links = plan.predictor.links(plan.grid)
    ues = [node for node in flow.nodes if kind_of(node) == "ue"]
    total = np.zeros_like(plan.e2e_ms)
    for ue in ues:
        # a profile has times of parts, whose threads compute for as long at most
        own_ms = work.parts_ms[ue] * threads
        pace = slowdown if ue in flow.users else np.ones_like(slowdown)
        cpu_ms = (own_ms + work.others_ms[ue])[:, None] * pace
        total += power.idle_w * plan.e2e_ms + power.cpu_w * cpu_ms
        for hop, sent in work.sent.items():
            sends, receives = (end == ue for end in flow.ends(hop))
            watts = power.sending_w * sends + power.receiving_w * receives
            if watts:
                total += watts * on_wire_ms(replace(work, sent={hop: sent}), {hop: links[hop]})
    return total
