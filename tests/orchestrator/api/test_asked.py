"""What the door refuses before anything is opened, in the words of the command line."""

from pathlib import Path

import pytest

import splitbed
from splitbed.errors import UsageError


def test_a_search_takes_what_must_hold_or_one_that_was_begun(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is to hold: give --slo"):
        splitbed.capacity("shapesnet", bw=20)
    with pytest.raises(UsageError, match="e2e_p99<fast"):
        splitbed.capacity("shapesnet", bw=20, slo="e2e_p99<fast")
    with pytest.raises(UsageError, match="give no others"):
        splitbed.capacity(resume=tmp_path, slo="e2e_p99<100ms")


def test_loadgen_takes_a_scenario_that_it_has() -> None:
    with pytest.raises(UsageError, match="did you mean Server"):
        splitbed.loadgen("shapesnet", split="stage2", bw=20, scenario="Servers")


def test_one_split_is_served_under_an_address_that_anybody_reaches() -> None:
    with (
        pytest.raises(UsageError, match="give IP:PORT"),
        splitbed.serve("shapesnet", split="stage2", bw=20, infer="unix:/run/here"),
    ):
        pass
