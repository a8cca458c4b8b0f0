"""What compare and crosscheck say is true of the two runs, whatever these are."""

import math
import re
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from orchestrator.checks.beside import REPRODUCED
from orchestrator.checks.compare import compare
from orchestrator.checks.comparison import lines
from orchestrator.checks.crosscheck import crosscheck
from orchestrator.checks.tolerances import read_tolerances
from orchestrator.results.reading import Reading, read
from orchestrator.results.run_folder import RunFolder
from tests.orchestrator.made_runs import MODEL, NODE
from tests.orchestrator.results.test_summary import add_cell
from tests.orchestrator.written import write_run

SPLITS = ("0:4", "1:3", "2:2", "3:1", "4:0")


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Reading, Reading]:
    """Two runs of one grid: some cells lost, some failed, some disturbed, some slower."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    noise = draw(st.sampled_from([0.0, 0.002, 0.05]))
    shift = draw(st.sampled_from([1.0, 1.02, 1.3, 0.8]))
    frames = draw(st.integers(1, 30))
    medians = {split: float(rng.uniform(30, 300)) for split in SPLITS}
    with TemporaryDirectory() as folder:
        runs = [
            written(Path(folder) / name, rng, medians, noise, frames, by)
            for name, by in (("a", 1.0), ("b", shift))
        ]
    return runs[0], runs[1]


def written(
    path: Path, rng: np.random.Generator, medians: dict[str, float], noise: float, frames: int,
    by: float,
) -> Reading:  # fmt: skip
    """One of them."""
    path.mkdir()
    folder, node = RunFolder(path), {"ue": NODE, "edge": NODE}
    write_run(folder, asked={"model": "m"}, model=MODEL, conditions=node, verdict="VALID")
    kept = [split for split in SPLITS if rng.random() > 0.1] or [SPLITS[0]]
    for split in kept:
        times_ms = (
            medians[split] * by * rng.choice([1.0, 1.0, 1.2]) * rng.lognormal(0, noise, frames)
        )
        busy = {"others_share": float(rng.choice([0.0, 0.0, 0.9])), "steal_share": 0.0}
        sent = int(rng.choice([10_000, 10_000, 10_000, 10_001]))
        error = None if rng.random() > 0.1 else "the edge node died"
        add_cell(
            folder, split, times_ms.tolist(), machine=busy, encoded_bytes=sent,
            intermediate_bytes=sent, frames=frames, error=error,
        )  # fmt: skip
    return read(path)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_what_compare_says_is_true_of_both_runs(runs: tuple[Reading, Reading]) -> None:
    a, b = runs
    found = compare(a, b)
    for change, line in zip(found.changes, lines(found), strict=True):
        base, other = a.by_point[change.point], b.by_point[change.point]
        assert base.valid and other.valid
        for name, row in (("A ms", base), ("B ms", other)):
            ends = f"({row.e2e_low_ms:.1f}–{row.e2e_high_ms:.1f})"
            assert line[name] == f"{row.e2e_ms:.1f} {ends}"
        ratio = (other.e2e_ms or 0) / (base.e2e_ms or 1)
        assert str(line["B/A"]).startswith(f"{ratio:.3f}")
        if change.word in ("faster", "slower"):
            assert not base.disturbed and not other.disturbed
            low, high = change.ratio_interval or (0, math.inf)
            assert high < 1 if change.word == "faster" else low > 1
            assert (ratio < 1) == (change.word == "faster")
        if change.word == "disturbed":
            assert base.disturbed or other.disturbed
    if not found.changes:
        assert found.overall == "the runs have no row in common"
        return
    words = [change.word for change in found.changes]
    for count, word in re.findall(r"(\d+) (faster|slower|noise|disturbed)", found.overall):
        assert int(count) == words.count(word)
    shift = 100 * (math.exp(median(math.log(change.ratio) for change in found.changes)) - 1)
    side = "slower" if shift > 0 else "faster"
    assert f"of all {len(words)} rows the median is {abs(shift):.1f} % {side} in B" in found.overall
    noisy = [one.ratio_interval for one in found.changes if one.word == "noise"]
    beyond = sum(not one[0] <= 1 <= one[1] for one in noisy if one)
    assert (f"intervals of {beyond} in noise exclude 1" in found.overall) == bool(beyond)
    assert len(words) + len(found.only) == len({*a.by_point, *b.by_point})
    for reading in runs:
        count = sum(bool(row.disturbed) for row in reading.rows)
        told = f"{count} of {len(reading.rows)} rows of {reading.name} were disturbed"
        assert any(told in remark for remark in found.remarks) == bool(count)


@settings(max_examples=40, deadline=None)
@given(pairs())
def test_what_crosscheck_says_is_true_of_both_runs(runs: tuple[Reading, Reading]) -> None:
    a, b = runs
    found = crosscheck(a, b, read_tolerances(None))
    assert len(found.rows) == len({*a.by_point, *b.by_point})
    for name, faults in (("deterministic", "differs"), ("timing", "times")):
        word, sentence = found.verdicts[name]
        kept = sum(not getattr(row, faults) for row in found.rows)
        assert f" in {kept} of {len(found.rows)} rows" in sentence
        assert (word == REPRODUCED) == (kept == len(found.rows))  # asked the same of the same model
    rows = [(row, b.by_point[point]) for point, row in a.by_point.items() if point in b.by_point]
    if both := [(row, other) for row, other in rows if row.valid and other.valid]:
        ratios = [(other.e2e_ms or 0) / (row.e2e_ms or 1) for row, other in both]
        words = f"B's end-to-end times are {median(ratios):.3f} times A's"
        assert words in found.verdicts["timing"][1]
        assert found.ratios == pytest.approx(ratios)
    for row in found.rows:
        for words in (*row.differs, *row.times):
            if told := re.match(r"encoded_bytes (\d+) and (\d+)", words):
                assert told[1] != told[2]
