"""How sure a choice is: of equals none is chosen surely, and what is bold is what might be best."""

import math

import numpy as np
import pytest

from orchestrator.ask.sweep.options import MAX_FRAMES, MIN_FRAMES
from orchestrator.reports.table import sweep_table
from orchestrator.results.judgement.choice import choices
from orchestrator.results.rows import Row
from orchestrator.results.statistics.enough_frames import is_enough
from tests.orchestrator.written import made_row


def timed(split: str, samples_ms: list[float], link: str = "20 Mbit/s", n: int = 9) -> Row:
    """A row whose frames took so long."""
    name = {f"0:{n}": "network anchor", f"{n}:0": "device anchor"}.get(split, split)
    e2e_ms = float(np.median(samples_ms))
    times = {"e2e_ms": e2e_ms, "e2e_low_ms": e2e_ms, "e2e_high_ms": e2e_ms, "e2e_over_bound": 1.0}
    return made_row(
        split=split, split_name=name, link=link, samples_ms=tuple(samples_ms), bound_ms=e2e_ms,
        codec="none" if split == f"{n}:0" else "raw", **times,
    )  # fmt: skip


def bold(table: list[Row]) -> set[str]:
    """The splits whose time is bold, of a table over one link."""
    columns = sweep_table(table).columns
    styles = [str(text.style) for text in columns[-1].texts]
    return {row.split for row, style in zip(table, styles, strict=True) if "bold" in style}


def test_of_equals_a_choice_is_sure_in_5_of_100_runs_at_most() -> None:
    rng, runs, wrong = np.random.default_rng(3), 100, 0
    for _ in range(runs):
        table = [
            timed(f"{k}:{9 - k}", rng.normal(100, 3, 12).tolist(), link)
            for link in ("5 Mbit/s", "20 Mbit/s", "100 Mbit/s")
            for k in range(10)
        ]
        wrong += any(choice.sure for choice in choices(table))
    assert wrong <= 9  # 5 of 100, and twice its standard error


@pytest.mark.parametrize(
    ("noise", "following", "clock_ms"),
    [(0.003, 0.0, 0.0), (0.01, 0.3, 0.0), (0.05, 0.3, 0.0), (0.002, 0.0, 0.5), (0.002, 0.3, 0.2)],
)
def test_of_equals_that_end_when_their_frames_agree_none_is_chosen_surely(
    noise: float, following: float, clock_ms: float
) -> None:
    """However few frames that are, each like the one before it, by a coarse clock."""
    rng, runs, wrong = np.random.default_rng(6), 60, 0
    for _ in range(runs):
        cells = [until_enough(rng, noise, following, clock_ms) for _ in range(8)]
        (choice,) = choices([timed(f"{k}:{7 - k}", ms, n=7) for k, ms in enumerate(cells)])
        wrong += len(choice.tied) < len(cells)
    assert wrong <= 6  # 5 of 100, and twice its standard error


def until_enough(
    rng: np.random.Generator, noise: float, following: float, clock_ms: float
) -> list[float]:
    """Frames of a truth of about 100 ms, until a sweep would end the cell."""
    frames_ms: list[float] = []
    state = rng.standard_normal()
    while len(frames_ms) < MIN_FRAMES or not (is_enough(frames_ms) or len(frames_ms) >= MAX_FRAMES):
        state = following * state + (1 - following**2) ** 0.5 * rng.standard_normal()
        ms = 100.1 * math.exp(noise * state)
        frames_ms.append(round(ms / clock_ms) * clock_ms if clock_ms else ms)
    return frames_ms


def test_what_cannot_be_told_from_the_best_is_bold_with_it() -> None:
    rng = np.random.default_rng(4)
    table = [
        timed(split, rng.normal(ms, 1, 20).tolist())
        for split, ms in (("0:9", 150), ("1:8", 50), ("2:7", 50.2), ("3:6", 60), ("9:0", 100))
    ]
    (choice,) = choices(table)
    assert choice.sure
    assert bold(table) == {"1:8", "2:7"} == {row.split for row in choice.tied}


def test_a_single_frame_of_each_tells_nothing() -> None:
    table = [timed("0:9", [200.0]), timed("1:8", [50.0]), timed("9:0", [100.0])]
    (choice,) = choices(table)
    assert not choice.sure
    assert choice.doubt == "to tell takes 2 frames of each at least: give more --runs"
    assert bold(table) == {"0:9", "1:8", "9:0"}
