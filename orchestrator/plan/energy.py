"""Which configuration takes least of the UE's energy among those that are fast enough, by a model.

idle * end to end + (parts * threads + coding) * CPU + sending + receiving
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from orchestrator.ask.devices import Power
from orchestrator.ask.sweep.config import SweepConfig
from orchestrator.ask.topology import kind_of
from orchestrator.plan.doubt.limits import Expected
from orchestrator.plan.grid import Floats
from orchestrator.plan.prediction import Plan
from orchestrator.reports.terminal import Line
from orchestrator.results.prediction import on_wire_ms
from orchestrator.results.statistics.limits import Limit
from splitbed.errors import UsageError


@dataclass(frozen=True)
class LeastEnergy:
    """Of each option (rows) at each point (columns) of a plan, in mJ of all UEs.

    ``best`` is of each point the option that takes least of those that keep all ``limits``, -1
    where none does: what is held against them is the upper end of what will be measured.
    """

    power: Power
    mj: Floats
    limits: tuple[Expected, ...]
    best: npt.NDArray[np.intp]

    def line(self, plan: Plan, point: int) -> Line:
        """The columns of a point in best.csv."""
        names: tuple[str, ...] = ("split", "split_name", "codec", "mj", "ms", "high_ms")
        fastest = int(plan.ranks[0, point])
        told: Line = {"ue_energy_mj": round(float(self.mj[fastest, point]), 3)}
        if (best := int(self.best[point])) < 0:
            names += tuple(name for one in self.limits for name in one.columns)
            return told | {f"least_energy_{name}": None for name in names}
        asked = plan.options[best].configuration
        values = (
            *(asked.split, asked.split_name, asked.codecs),
            *(round(float(of[best, point]), 3) for of in (self.mj, plan.e2e_ms, plan.high_ms)),
        )
        least: Line = dict(zip(names, values, strict=True))
        for one in self.limits:
            least |= one.at(best, point)
        return told | {f"least_energy_{name}": value for name, value in least.items()}

    @property
    def words(self) -> str:
        """The objective, and by what it is judged."""
        if not self.limits:
            return "Least energy of the UE"
        asked = ", ".join(one.limit.text for one in self.limits)
        return f"Least energy of the UE of what is sure to keep {asked}"


def check_energy(config: SweepConfig, limits: Sequence[Limit]) -> None:
    """Raise UsageError for a choice by energy that nothing tells, or a limit to none."""
    if "ue" in config.power and not config.ue_threads:
        raise UsageError(
            "--power ue: a profile tells how long the UE's parts take, and energy goes by all their"
            " threads: say how many by --ue-threads"
        )
    if limits and "ue" not in config.power:
        raise UsageError(
            f"--slo {limits[0].text} limits what is chosen by energy: give the model of the UE's "
            "by --power ue=FILE.yaml (docs/resources.md)"
        )


def least_energy(
    plan: Plan, config: SweepConfig, limits: tuple[Expected, ...] = ()
) -> LeastEnergy | None:
    """By the model of the UE that was asked for; None without one."""
    if (power := config.powers.get("ue")) is None:
        return None
    mj = _ue_mj(plan, power, config.ue_threads)
    held = mj
    for one in limits:
        held = np.where(one.within, held, np.inf)
    best = np.where(np.isfinite(held).any(axis=0), held.argmin(axis=0), -1)
    return LeastEnergy(power, mj, limits, best)


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
