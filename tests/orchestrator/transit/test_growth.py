"""What is told of splits that became possible while part 1 grew."""

from pathlib import Path

import pytest

from orchestrator.cli.show.models import show_growth
from orchestrator.transit.growth.row import GROWING, WHOLE, GrowthRow
from orchestrator.transit.outcome import Outcome


def row(way: str, **told: object) -> GrowthRow:
    usual = {
        "model": "m", "split": "3:3", "split_name": "middle", "codec": "raw", "part_coder": "dummy",
        "bw_mbit": 5, "delay_ms": 0, "loss_pct": 0, "part1_coded_bytes": 9, "part1_sha256": "00",
        "came_bytes": 9, "link_ms": 2.0, "link_bound_ms": 1.0, "decode_tail_ms": 1.0,
        "open_ms": 1.0, "since_request_ms": 5.0, "frames": 3, "e2e_ms": 4.0,
    }  # fmt: skip
    return GrowthRow(way=way, **usual, **told)  # type: ignore[arg-type]


def test_what_is_wrong_with_a_row_and_what_disturbed_it_are_told_with_how_its_part_came(
    capsys: pytest.CaptureFixture[str],
) -> None:
    busy = row(GROWING, disturbed="other processes used 50% of the processors")
    wrong = row(WHOLE, fault="it came faster than physics", valid=False)
    outcome = Outcome([busy, wrong], Path("there"))
    show_growth(outcome, as_json=False)
    assert capsys.readouterr().err.splitlines() == [
        "middle, growing, over 5 Mbit/s: disturbed: other processes used 50% of the processors",
        "middle, at once, over 5 Mbit/s: it came faster than physics",
    ]
    assert outcome.exit_code == 1
