"""A package that brings a link backend, installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from netem.backends import check_rates, choose
from netem.spec import symmetric
from splitbed.errors import UsageError
from tests.extensions.installing import installed


@pytest.fixture(autouse=True)
def _far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed("link_backend", tmp_path, monkeypatch)


def test_an_installed_backend_is_among_the_choices() -> None:
    with pytest.raises(UsageError, match="did you mean far"):
        choose("farr")
    with pytest.raises(UsageError, match="choose native, linkbox, mininet, far, or auto"):
        choose("carrier-pigeon")


def test_its_rates_are_its_own() -> None:
    check_rates("far", symmetric(rate_mbit=100))
    with pytest.raises(UsageError, match=r"101 .* the 100 Mbit/s that backend far .* native"):
        check_rates("far", symmetric(rate_mbit=101))


def test_a_command_line_knows_it() -> None:
    argv = [sys.executable, "-m", "netem.cli", "prove", "--backend", "far", "--rate-mbit", "101"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 3), done.stderr  # 3 where this machine can make no link at all
    assert "no link backend is called" not in done.stderr
