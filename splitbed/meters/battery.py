"""Energy by a battery that is not charged (sysfs-class-power of the kernel): the whole device's.

It tells in steps of some joules to tens of them, and seconds apart: of cells that take minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SUPPLIES = Path("/sys/class/power_supply")
_UWH, _UAH_UV = 3.6e-3, 3.6e-9
"""In J: a microwatt-hour; a microampere-hour at a microvolt."""


@dataclass
class Battery:
    """What was taken of all batteries since this was made; ``root`` is the kernel's folder."""

    root: Path = SUPPLIES
    own: bool = False
    _left_j: dict[Path, float] = field(default_factory=dict)
    _lacks: str = ""

    def __post_init__(self) -> None:
        try:
            batteries = [one for one in sorted(self.root.glob("*")) if _kind(one) == "Battery"]
            self._left_j = {one: _left_j(one) for one in batteries}
            charged = [one.name for one in batteries if _text(one / "status") != "Discharging"]
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
        return {one.name: began_j - _left_j(one) for one, began_j in self._left_j.items()}


def _left_j(battery: Path) -> float:
    if (energy := battery / "energy_now").exists():
        return int(energy.read_text()) * _UWH
    volts = battery / "voltage_now"
    return int((battery / "charge_now").read_text()) * int(volts.read_text()) * _UAH_UV


def _kind(supply: Path) -> str:
    return _text(supply / "type") if (supply / "type").exists() else ""


def _text(file: Path) -> str:
    return file.read_text().strip()
