"""The native backend, on a kernel that has sch_netem: a user-mode Linux guest's."""

import sys
from pathlib import Path

import pytest

from tests.net import guest

pytestmark = pytest.mark.measures


@pytest.fixture(autouse=True)
def _machine() -> None:
    if lacks := guest.lacks():
        pytest.skip(lacks)


def test_native_proves_a_link() -> None:
    prove = [sys.executable, "-m", "netem.cli", "prove", "--rate-mbit", "20", "--delay-ms", "10"]
    outcome = guest.run_in_guest(prove)
    assert outcome.exit_code == 0, outcome.output
    assert "backend native" in outcome.output


def test_native_does_to_traffic_what_the_link_box_does() -> None:
    tests = str(Path(__file__).with_name("test_link.py"))
    # Not what needs no kernel of its own.
    chosen = "rate or delay or loss or jitter or reads or shape"
    options = ["-q", "-p", "no:cacheprovider", "--color=no", "-k", f"({chosen}) and not another"]
    outcome = guest.run_in_guest([sys.executable, "-m", "pytest", *options, tests])
    assert outcome.exit_code == 0, outcome.output
    assert "backend='linkbox'" not in outcome.output
    assert "skipped" not in outcome.output
