"""Energy by a battery that is not charged (sysfs-class-power of the kernel): the whole device's.

It tells in steps of some joules to tens of them, and seconds apart: of cells that take minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitbed.meters.sysfs import attribute

SUPPLIES = Path("/sys/class/power_supply")
_UWH, _UAH_UV = 3.6e-3, 3.6e-9
"""In J: a microwatt-hour; a microampere-hour at a microvolt."""


@dataclass
class _Left:
    """What is left in a battery, as last looked at; ``taken_j`` of it since this was made."""

    folder: Path
    taken_j: float = 0.0

    def __post_init__(self) -> None:
        self._charge = not (self.folder / "energy_now").exists()
        self._last = self._now()

    def _now(self) -> int:
        return int(attribute(self.folder / ("charge_now" if self._charge else "energy_now")))

    def joules(self) -> float:
        """Taken so far."""
        last, self._last = self._last, (now := self._now())
        # the voltage falls under load, which is no energy taken: only what flowed counts
        unit_j = int(attribute(self.folder / "voltage_now")) * _UAH_UV if self._charge else _UWH
        self.taken_j += (last - now) * unit_j
        return self.taken_j


@dataclass
class Battery:
    """What was taken of all batteries since this was made; ``root`` is the kernel's folder.

    Those of a mouse or a pen (scope Device) do not feed this machine.
    """

    root: Path = SUPPLIES
    own: bool = False
    _left: list[_Left] = field(default_factory=list)
    _lacks: str = ""

    def __post_init__(self) -> None:
        try:
            batteries = [one for one in sorted(self.root.glob("*")) if _feeds(one)]
            self._left = [_Left(one) for one in batteries]
            charged = [one.name for one in batteries if attribute(one / "status") != "Discharging"]
        except (OSError, ValueError) as error:
            self._lacks = f"{self.root} cannot be read: {error}"
            return
        if not batteries:
            self._lacks = f"{self.root} has no battery"
        elif charged:
            self._lacks = f"{', '.join(charged)} is not discharging; repair: unplug the device"

    def lacks(self) -> str:
        """Why it cannot tell; nothing where it can."""
        return self._lacks

    def read(self) -> Mapping[str, float]:
        """Joules so far by battery; of one that was charged meanwhile fewer than before."""
        return {one.folder.name: one.joules() for one in self._left}


def _feeds(supply: Path) -> bool:
    kind, scope = (
        attribute(file) if file.exists() else "" for file in (supply / "type", supply / "scope")
    )
    return kind == "Battery" and scope != "Device"
