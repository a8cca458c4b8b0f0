"""Energy as the kernel's files tell it: whole, once, over the end of a counter."""

import os
from pathlib import Path

import pytest

from splitbed.meters.powercap import Powercap

RECORDED = Path(__file__).with_name("powercap.txt")


def laid_out(machine: str, folder: Path) -> Path:
    """The files that a machine has, in the folder."""
    for line in RECORDED.read_text().splitlines():
        if line.startswith(f"{machine}/"):
            name, text = line.removeprefix(f"{machine}/").split(maxsplit=1)
            (file := folder / name).parent.mkdir(exist_ok=True)
            file.write_text(f"{text}\n")
    return folder


def count(folder: Path, zone: str, energy_uj: int) -> None:
    (folder / zone / "energy_uj").write_text(f"{energy_uj}\n")


def test_packages_and_their_memory_are_counted_once(tmp_path: Path) -> None:
    meter = Powercap(laid_out("server", tmp_path))
    assert meter.lacks() == ""
    assert not meter.own
    count(tmp_path, "intel-rapl:0:0", 991_000_000)  # cores, which are in the package
    count(tmp_path, "intel-rapl:0:1", 5_500_000)
    count(tmp_path, "intel-rapl:1", 9_000_000)
    count(tmp_path, "intel-rapl:1:0", 3_250_000)
    joules = meter.read()
    expected = {"package-0": 0, "dram of package-0": 0.5, "package-1": 2, "dram of package-1": 0.25}
    assert joules == pytest.approx(expected)


def test_a_counter_goes_on_beyond_its_end(tmp_path: Path) -> None:
    meter = Powercap(laid_out("server", tmp_path))
    for energy_uj in (671_150, 10_671_150, 262_143_000_000, 671_150):
        count(tmp_path, "intel-rapl:0", energy_uj)
        told = meter.read()["package-0"]
    # to the end once more than its length: 1 J over it, then all of it
    assert told == pytest.approx(1 + 262_143.328850)


def test_memory_is_not_counted_beside_the_platform_that_has_it(tmp_path: Path) -> None:
    meter = Powercap(laid_out("laptop", tmp_path))
    count(tmp_path, "intel-rapl:0:1", 5_200_000)
    count(tmp_path, "intel-rapl:1", 19_000_000)
    assert meter.read() == pytest.approx({"psys": 10})


def test_a_counter_that_falls_without_an_end_to_it_is_not_made_up(tmp_path: Path) -> None:
    (laid_out("laptop", tmp_path) / "intel-rapl:1/max_energy_range_uj").unlink()
    meter = Powercap(tmp_path)
    count(tmp_path, "intel-rapl:1", 4_000_000)
    assert meter.read() == pytest.approx({"psys": -5})


def test_counters_that_only_root_may_read_are_named_with_what_repairs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = laid_out("laptop", tmp_path) / "intel-rapl:1/energy_uj"
    file.chmod(0o400)
    if os.geteuid() == 0:  # to whom nothing is forbidden
        read = Path.read_text

        def refused(self: Path) -> str:
            if self == file:
                raise PermissionError(13, "Permission denied", str(file))
            return read(self)

        monkeypatch.setattr(Path, "read_text", refused)
    lacks = Powercap(tmp_path).lacks()
    assert str(file) in lacks
    assert "root" in lacks


def test_a_machine_that_counts_none_says_so(tmp_path: Path) -> None:
    assert "counts none" in Powercap(tmp_path / "absent").lacks()
