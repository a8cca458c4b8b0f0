"""Devices that a UE can be as slow as."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.ask.devices import PROFILES, load_profile, power_of, slowdown_for
from splitbed.errors import UsageError

POSENET_MACS = 1_191_790_016
GOOD = "name: mine\ntitle: Mine\nsource: a stopwatch\n"


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_comes_along_says_where_its_figure_is_from(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert "lause" in profile.source or "elative" in profile.source


def test_the_a01_does_the_published_table_in_the_published_time() -> None:
    # S4-231771, row 27:4: 380.9222 ms for the MACs of the first 27 layers
    a01 = load_profile("samsung-a01")
    assert slowdown_for(a01, 1_157_757_376, 100.0) == pytest.approx(3.809, rel=1e-3)


def test_a_faster_machine_is_slowed_more() -> None:
    a01 = load_profile("samsung-a01")
    here, faster = (slowdown_for(a01, POSENET_MACS, full_ms) for full_ms in (40.0, 20.0))
    assert faster == pytest.approx(2 * here)


def test_a_relative_profile_asks_for_its_factor_on_any_machine() -> None:
    slower = load_profile("4x-slower")
    assert slowdown_for(slower, POSENET_MACS, 20.0) == 4
    assert slowdown_for(slower, 0, 0.0) == 4


def test_a_machine_slower_than_the_device_is_refused_with_both_times() -> None:
    laptop = load_profile("laptop-i7-9850h")
    with pytest.raises(UsageError, match=r"500\.0 ms here and 77\.7 ms there"):
        slowdown_for(laptop, 20_150_906_112, 500.0)


def test_a_part_that_computes_nothing_is_not_compared() -> None:
    with pytest.raises(UsageError, match="computes something"):
        slowdown_for(load_profile("samsung-a01"), 0, 0.1)


def test_a_profile_of_ones_own_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(GOOD + "gmac_per_s: 2\nthreads: 1\n")
    assert load_profile(str(file)).gmac_per_s == 2


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_profile("samsung-a01").gmac_per_s = 1.0  # type: ignore[misc]  # that is the test


POWER = "power: {idle_w: 1, cpu_w: 2, sending_w: 4, receiving_w: 3, source: here}\n"


def test_a_device_takes_its_idle_power_and_what_it_does_besides(tmp_path: Path) -> None:
    (file := tmp_path / "mine.yaml").write_text(GOOD + "slowdown: 2\n" + POWER)
    power = power_of(str(file))
    assert power.joules(wall_s=10, cpu_s=3, sending_s=2, receiving_s=1) == 10 + 6 + 8 + 3


def test_a_device_that_does_not_say_what_it_takes_is_no_model_of_energy() -> None:
    with pytest.raises(UsageError, match=r"samsung-a01 does not say.*`power:` with idle_w"):
        power_of("samsung-a01")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD, "one of gmac_per_s and slowdown"),
        (GOOD + "gmac_per_s: 2\nslowdown: 4\n", "one of gmac_per_s and slowdown"),
        (GOOD + "gmac_per_s: 0\n", "gmac_per_s"),
        (GOOD + "gmac_per_s: .inf\n", "gmac_per_s"),
        (GOOD + "slowdown: 0.5\n", "slowdown"),
        (GOOD + "slowdown: 2\ncolour: red\n", "colour"),
        (GOOD + "slowdown: 2\npower: {idle_w: 1, cpu_w: 2}\n", "source"),
        (GOOD + "slowdown: 2\npower: {idle_w: -1, cpu_w: 2, source: s}\n", "idle_w"),
        ("title: nameless\nslowdown: 2\n", "name"),
        ("- a list\n", "is not a mapping"),
        ("name: [\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_profile_is_refused_with_the_reason(
    tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=said) as refused:
        load_profile(str(file))
    assert str(file) in str(refused.value)


def test_an_unknown_name_lists_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="samsung-a01"):
        load_profile("samsung-a99")
    with pytest.raises(UsageError, match="Is a directory"):
        load_profile(str(tmp_path))
