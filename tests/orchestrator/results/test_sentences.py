"""Every number in a sentence of advice is the table's, whatever the table."""

import math
import re
from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from orchestrator.results.judgement.accuracy import is_fit
from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.anchors import as_accurate, compared
from orchestrator.results.judgement.compression import compression_needed, without_data_ms
from orchestrator.results.judgement.words import within
from orchestrator.results.rows import Row, known
from tests.orchestrator.written import made_row

LINKS = {"5 Mbit/s": 5.0, "20 Mbit/s, 30 ms": 20.0}
CONFIGURATIONS = (
    ("0:4", "network anchor", "raw"), ("0:4", "network anchor", "jpeg:75"),
    ("1:3", "early", "raw"), ("1:3", "early", "int8"), ("3:1", "late", "raw"),
    ("4:0", "device anchor", "none"),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows over two links whose frames take whatever they like."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = draw(st.integers(1, 15))
    noise = draw(st.sampled_from([0.001, 0.02, 0.3]))
    seeded = draw(st.booleans())
    return compared([
        row(link, *one, rng, frames, noise, weights="seeded (seed 0)" if seeded else "a file")
        for link in LINKS
        for one in CONFIGURATIONS
    ])  # fmt: skip


def row(
    link: str, split: str, name: str, codec: str,
    rng: np.random.Generator, frames: int, noise: float, **changed: Any,
) -> Row:  # fmt: skip
    """One of them."""
    delay_ms = 30.0 if "30 ms" in link else 0.0
    samples_ms = 100 * rng.lognormal(0, 0.7) * rng.lognormal(0, noise, frames) + 2 * delay_ms
    e2e_ms = float(np.median(samples_ms))
    drop = float(rng.uniform(0, 0.02)) if codec in ("jpeg:75", "int8") else 0.0
    times: dict[str, Any] = {
        "samples_ms": tuple(samples_ms.tolist()),
        "e2e_ms": e2e_ms,
        "e2e_low_ms": float(samples_ms.min()),
        "e2e_high_ms": float(samples_ms.max()),
        "uplink_ms": delay_ms + float(rng.uniform(0, 0.9)) * (e2e_ms - 2 * delay_ms),
        "bound_ms": e2e_ms,
        "e2e_over_bound": 1.0,
        "frame_kbit": 1.0,
    }
    judged = {"accuracy": 0.8 - drop, "accuracy_drop": drop, "accuracy_metric": "AP"}
    told = {"split": split, "split_name": name, "codec": codec, "lossless": not drop}
    where = {"link": link, "bw_mbit": LINKS[link], "delay_ms": delay_ms, "max_drop": 0.01}
    return made_row(**times | judged | told | where | changed)


def rows_in(sentence: str, table: list[Row]) -> list[tuple[Row, float]]:
    """The rows that it names, each with the milliseconds that stand behind it."""
    link = next(link for link in LINKS if sentence.startswith((f"At {link}", f"Faster at {link}")))
    found = []
    for one in table:
        names = [one.label]
        if one.is_network_anchor:
            names += [f"network anchor with its input {'as ' * (one.codec != 'raw')}{one.codec}"]
        for name in names:
            behind = rf"{re.escape(name)}(?:,? \(?at [\d.]+ less AP\)?| \([\d.]+ less AP\))?"
            behind += r"(?: takes|:|,)? (?P<ms>\d+) ms"
            if one.link == link and (match := re.search(behind, sentence)):
                found.append((one, float(match["ms"])))
    return found


@settings(max_examples=150, deadline=None)
@given(tables())
def test_times_factors_and_winners_in_sentences_are_the_tables(table: list[Row]) -> None:
    for sentence in advice(table):
        if not sentence.startswith(("At ", "Faster at ")):
            continue
        named = rows_in(sentence, table)
        for one, ms in named:
            assert f"{ms:.0f}" == f"{one.e2e_ms:.0f}"
        if " cut at " in sentence:
            (split, _), *_ = [pair for pair in named if not pair[0].is_anchor]
            here = [r for r in table if r.conditions == split.conditions and is_fit(r)]
            anchors = [r for r in here if r.is_anchor and as_accurate(r, split)]
            assert is_fit(split)
            assert known(split.e2e_ms) < min(known(r.e2e_ms) for r in anchors)
            factors = [float(f) for f in re.findall(r"([\d.]+) times", sentence)]
            ratios = sorted(known(r.e2e_ms) / known(split.e2e_ms) for r in anchors)
            for factor in factors:
                assert any(factor == pytest.approx(ratio, abs=0.006) for ratio in ratios)
            assert min(factors) == pytest.approx(ratios[0], abs=0.006)
            check_intervals(sentence)
        elif " do not split: " in sentence:
            best = min(
                (r for r, _ in named if "Faster" not in sentence), key=lambda r: r.e2e_ms or 0
            )
            assert best.is_anchor
            check_intervals(sentence)
            check_compression(sentence, named)
        elif "cannot be told apart" in sentence:
            doubt = r"about \d+ frames? more would tell|even 10000|give more --runs"
            assert re.search(doubt, sentence)
            pairs = [
                (split, anchor)
                for split, anchor in product(table, table)
                if sentence.startswith(f"At {split.link} the best split, {split.label}")
                and split.link == anchor.link
                and f"apart: {within(split)} and {within(anchor)}" in sentence
            ]
            assert any(anchor.is_anchor and not split.is_anchor for split, anchor in pairs)


def check_intervals(sentence: str) -> None:
    """Each factor lies in its interval, and a claim's interval is never on both sides of 1."""
    told = re.findall(r"([\d.]+) times \(([\d.]+) to ([\d.]+)\)", sentence)
    for factor, low, high in told:
        assert float(low) <= float(factor) <= float(high)


def check_compression(sentence: str, named: list[tuple[Row, float]]) -> None:
    """With its data shrunk by what is told, the split takes what the anchor does, or never does."""
    (split,) = [r for r, _ in named if not r.is_anchor]
    needed = compression_needed(split)
    assert needed is not None
    anchor_ms = known(split.e2e_ms) * known(split.speedup_vs_best_anchor)
    if math.isfinite(needed):
        assert f"{needed:#.3g} times smaller" in sentence
        data_ms = known(split.e2e_ms) - without_data_ms(split)
        assert without_data_ms(split) + data_ms / needed == pytest.approx(anchor_ms)
    else:
        assert f"would still take {without_data_ms(split):.0f} ms" in sentence
        assert without_data_ms(split) >= anchor_ms
