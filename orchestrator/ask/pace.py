"""How fast the UE is to be: its own pace, or that of a slower device."""

from dataclasses import dataclass

from orchestrator.ask.devices import UeProfile, load_profile, slowdown_for
from orchestrator.ask.sweep.config import SweepConfig
from splitbed.errors import UsageError
from splitbed.v1.nodes_pb2 import LimitRequest


@dataclass(frozen=True)
class Pace:
    """One point of the axis; `slowdown` and `cpus` are what is asked, a row has what was measured.

    With neither, the UE runs at its own pace.  A `device`'s slow-down follows from the time that
    the model takes here.
    """

    slowdown: float | None = None
    cpus: float | None = None
    device: UeProfile | None = None

    @property
    def words(self) -> str:
        """As a row tells it: ``4x slower``, ``0.25 CPU``, ``samsung-a01``; empty: no limit."""
        if self.device is not None:
            return self.device.name
        if self.cpus is not None:
            return f"{self.cpus:g} CPU"
        return f"{self.slowdown:g}x slower" if self.limits else ""

    @property
    def limits(self) -> bool:
        """Whether the UE is slowed at all."""
        return self.device is not None or self.cpus is not None or (self.slowdown or 1) > 1

    @property
    def most(self) -> float:
        """About how many times slower a frame may be, for time limits."""
        return max(self.slowdown or 0, 1 / self.cpus if self.cpus else 0, 100 if self.device else 1)

    def request(self, macs: int, full_ms: float | None) -> LimitRequest:
        """What to ask of the UE, whose own time for the whole model of `macs` is `full_ms`.

        Raises UsageError where the UE is the slower one, or its time is not known.
        """
        if self.cpus is not None:
            return LimitRequest(cpus=self.cpus)
        if self.device is None:
            return LimitRequest(slowdown=self.slowdown or 1)
        if full_ms is None and self.device.gmac_per_s:
            raise UsageError(f"--ue-profile {self.device.name} needs the nodes' --profile")
        return LimitRequest(slowdown=slowdown_for(self.device, macs, full_ms or 0))


def paces(config: SweepConfig) -> list[Pace]:
    """Every pace that is asked for, once; UsageError for a device that is not known."""
    asked = [Pace(slowdown=slowdown) for slowdown in config.ue_slowdown or ()]
    asked += [Pace(cpus=cpus) for cpus in config.ue_cpu or ()]
    asked += [Pace(device=load_profile(name)) for name in config.ue_profile or ()]
    if any(pace.device and pace.device.gmac_per_s for pace in asked) and not config.profile:
        raise UsageError("--ue-profile goes by the UE's time for the model: not with --no-profile")
    found = list(dict.fromkeys(asked or [Pace()]))
    if len({pace.words for pace in found}) < len(found):
        raise UsageError("two paces of the UE have the same name: rename one of the profiles")
    return found
