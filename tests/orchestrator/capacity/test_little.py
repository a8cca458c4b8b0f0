"""Little's law holds of a steady run, and not of one whose queue grows."""

import numpy as np
import pytest

from orchestrator.capacity.little import little
from orchestrator.plan.load.queueing import departures


def test_it_holds_of_a_steady_server() -> None:
    due = np.cumsum(np.random.default_rng(1).exponential(1 / 0.7, 5000))
    found = little(due, departures(due, np.ones(5000)))
    assert found is not None and found.holds
    # a load of 0.7 has 0.7 + 0.7^2 / (2 x 0.3) frames in the system
    assert found.under_way == pytest.approx(0.7 + 0.49 / 0.6, rel=0.15)


def test_it_does_not_hold_where_the_queue_grows() -> None:
    due = np.arange(1000.0)
    found = little(due, departures(due, np.full(1000, 1.5)))
    assert found is not None and not found.holds
    assert "not steady" in found.words


def test_few_frames_tell_nothing() -> None:
    assert little(np.arange(19.0), np.arange(19.0) + 1) is None
    assert little(np.zeros(100), np.ones(100)) is None
