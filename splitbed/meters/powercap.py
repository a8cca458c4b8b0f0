"""Energy by Linux's powercap, as RAPL counts it (Documentation/power/powercap of the kernel).

intel-rapl:0          package-0        one of several processors' whole
intel-rapl:0:0        core, uncore     parts of the package: not counted beside it
intel-rapl:0:1        dram             beside the package
intel-rapl:1          psys             the whole platform: where there is one, it alone counts
intel-rapl-mmio:0     package-0        the same package by another way: not counted again
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitbed.meters.sysfs import attribute

POWERCAP = Path("/sys/class/powercap")
_UJ = 1e-6


@dataclass
class _Zone:
    """A counter of microjoules, which begins anew at 0 beyond ``range_uj``."""

    name: str
    folder: Path
    range_uj: int | None
    last_uj: int
    total_uj: int = 0

    def joules(self) -> float:
        """So far. Where it fell, and no range tells why, so does this."""
        now_uj = int(attribute(self.folder / "energy_uj"))
        rise_uj = now_uj - self.last_uj
        if rise_uj < 0 and self.range_uj is not None and self.last_uj <= self.range_uj:
            rise_uj += self.range_uj
        self.total_uj += rise_uj
        self.last_uj = now_uj
        return self.total_uj * _UJ


@dataclass
class Powercap:
    """The machine's energy, of all its packages and their memory; ``root`` is the kernel's."""

    root: Path = POWERCAP
    own: bool = False
    _zones: list[_Zone] = field(default_factory=list)
    _lacks: str = ""

    def __post_init__(self) -> None:
        try:
            folders = list(_counted(self.root))
            self._zones = [_zone(name, folder) for name, folder in folders]
        except PermissionError as error:
            self._lacks = (
                f"{error.filename} is for root alone; repair: run the node as root, or"
                f" `chmod o+r {self.root}/*/energy_uj` as root"
            )
        except (OSError, ValueError) as error:
            self._lacks = f"{self.root} cannot be read: {error}"
        else:
            if not folders:
                self._lacks = f"{self.root} has no counter of energy: this machine counts none"

    def lacks(self) -> str:
        """Why it cannot tell; nothing where it can."""
        return self._lacks

    def read(self) -> Mapping[str, float]:
        """Joules so far by domain. Raises OSError, ValueError."""
        return {zone.name: zone.joules() for zone in self._zones}


def _counted(root: Path) -> Iterator[tuple[str, Path]]:
    """The zones that count, of which none is in another, by name."""
    named = [(attribute(folder / "name"), folder) for folder in sorted(root.glob("*:*"))]
    zones = [(name, folder) for name, folder in named if (folder / "energy_uj").exists()]
    # of one kind of counters: others count the same energy
    kinds = dict.fromkeys(folder.name.partition(":")[0] for _, folder in zones)
    kind = next((one for one in kinds if not one.endswith("-mmio")), next(iter(kinds), ""))
    zones = [(name, folder) for name, folder in zones if folder.name.partition(":")[0] == kind]
    if whole := [one for one in zones if one[0] == "psys"]:
        yield from whole
        return
    packages = {folder.name: name for name, folder in zones if folder.name.count(":") == 1}
    for name, folder in zones:
        if folder.name in packages:
            yield name, folder
        elif name == "dram":
            yield f"dram of {packages[folder.name.rpartition(':')[0]]}", folder


def _zone(name: str, folder: Path) -> _Zone:
    most = folder / "max_energy_range_uj"
    range_uj = int(attribute(most)) if most.exists() else None
    return _Zone(name, folder, range_uj, int(attribute(folder / "energy_uj")))
