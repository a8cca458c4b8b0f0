"""What a battery gave, in joules."""

from pathlib import Path

import pytest

from splitbed.meters.battery import Battery


def battery(folder: Path, **files: str | int) -> Path:
    (one := folder / "BAT0").mkdir(exist_ok=True)
    for name, text in files.items():
        (one / name).write_text(f"{text}\n")
    (mains := folder / "AC").mkdir(exist_ok=True)
    (mains / "type").write_text("Mains\n")
    return folder


def test_what_is_taken_of_its_energy_is_told_in_joules(tmp_path: Path) -> None:
    battery(tmp_path, type="Battery", status="Discharging", energy_now=50_000_000)
    meter = Battery(tmp_path)
    assert meter.lacks() == ""
    battery(tmp_path, energy_now=49_990_000)
    assert meter.read() == pytest.approx({"BAT0": 36})


def test_one_that_counts_charge_tells_it_by_its_voltage(tmp_path: Path) -> None:
    volts = {"voltage_now": 3_800_000}
    battery(tmp_path, type="Battery", status="Discharging", charge_now=3_000_000, **volts)
    meter = Battery(tmp_path)
    battery(tmp_path, charge_now=2_999_000)
    assert meter.read() == pytest.approx({"BAT0": 0.001 * 3.8 * 3600})


def test_a_voltage_that_falls_is_no_energy_taken(tmp_path: Path) -> None:
    charge = {"charge_now": 3_000_000}
    battery(tmp_path, type="Battery", status="Discharging", voltage_now=3_800_000, **charge)
    meter = Battery(tmp_path)
    battery(tmp_path, voltage_now=3_700_000)
    assert meter.read() == {"BAT0": 0}
    battery(tmp_path, charge_now=2_999_000)
    assert meter.read() == pytest.approx({"BAT0": 0.001 * 3.7 * 3600})


def test_a_battery_of_a_mouse_is_not_the_machines(tmp_path: Path) -> None:
    battery(tmp_path, type="Battery", status="Discharging", energy_now=50_000_000)
    (mouse := tmp_path / "hidpp_battery_0").mkdir()
    for name, text in {"type": "Battery", "scope": "Device", "status": "Full"}.items():
        (mouse / name).write_text(f"{text}\n")
    meter = Battery(tmp_path)
    assert meter.lacks() == ""
    assert meter.read() == {"BAT0": 0}


@pytest.mark.parametrize("status", ["Charging", "Full"])
def test_one_that_is_not_discharging_tells_nothing(tmp_path: Path, status: str) -> None:
    battery(tmp_path, type="Battery", status=status, energy_now=50_000_000)
    assert "unplug" in Battery(tmp_path).lacks()


def test_a_machine_without_one_says_so(tmp_path: Path) -> None:
    assert "no battery" in Battery(tmp_path).lacks()
