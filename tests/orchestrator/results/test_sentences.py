"""Every number in a sentence is the table's, and every claim is true of its rows."""

import math
import re
from collections.abc import Sequence
from statistics import median
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from orchestrator.reports.page_facts import ANSWER, _answer
from orchestrator.results.judgement.accuracy import Fitness, fitness, is_fit
from orchestrator.results.judgement.advice import advice
from orchestrator.results.judgement.anchors import as_accurate, compared
from orchestrator.results.judgement.choice import Choice, choices
from orchestrator.results.judgement.compression import compression_needed, without_data_ms
from orchestrator.results.judgement.verdict import judge_run
from orchestrator.results.judgement.words import MAX_NAMED, ms_words, place_words, within
from orchestrator.results.rows import Conditions, Row, known
from orchestrator.results.statistics.comparison import difference
from orchestrator.results.statistics.intervals import median_interval
from tests.orchestrator.written import made_row

LINKS = {"5 Mbit/s": 5.0, "20 Mbit/s, 30 ms": 20.0}
PACES = ("", "4x slower")
CONFIGURATIONS = (
    ("0:4", "network anchor", "raw"), ("0:4", "network anchor", "jpeg:75"),
    ("0:4", "network anchor", "avc:18"), ("1:3", "early", "raw"), ("1:3", "early", "int8"),
    ("2:2", "middle", "raw"), ("3:1", "late", "raw"), ("3:1", "late", "int4"),
    ("4:0", "device anchor", "none"),
)  # fmt: skip
LOSSY = ("jpeg:75", "avc:18", "int8", "int4")


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows over two links, at one or two paces, whose frames take whatever they like.

    Some take the same, some fail, some are lost, and some anchors were not asked for.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    frames = draw(st.integers(1, 30))
    noise = draw(st.sampled_from([0.0, 0.001, 0.02, 0.3]))
    apart = draw(st.sampled_from([0.0, 0.02, 0.7]))
    weights = draw(st.sampled_from(["a file", "a file", "seeded (seed 0)"]))
    max_drop = draw(st.sampled_from([0.01, 0.01, 0.05, math.inf]))
    missing = draw(st.sets(st.sampled_from(CONFIGURATIONS), max_size=3))
    paces = PACES[: draw(st.integers(1, 2))]
    asked = [one for one in CONFIGURATIONS if one not in missing]
    shared: dict[str, Any] = {"weights": weights, "max_drop": max_drop}
    told = {one: shared | judged(one[2], rng) for one in asked}
    return compared([
        row(link, ue, *one, rng, frames, noise, apart, **told[one])
        for link in LINKS
        for ue in paces
        for one in asked
    ])  # fmt: skip


def judged(codec: str, rng: np.random.Generator) -> dict[str, Any]:
    """The accuracy of a split and codec, which links and paces do not change."""
    if codec not in LOSSY:
        return {"accuracy": 0.8, "accuracy_drop": 0.0, "accuracy_metric": "AP"}
    if rng.random() > 0.85:
        return {}
    drop = float(rng.uniform(-0.005, 0.03))
    reach = float(rng.choice([0.0005, 0.004, 0.02]))
    told: dict[str, Any] = {"accuracy": 0.8 - drop, "accuracy_drop": drop, "accuracy_metric": "AP"}
    if rng.random() < 0.9:
        told |= {"accuracy_drop_low": drop - reach, "accuracy_drop_high": drop + reach}
        told["accuracy_frames"] = 50
    return told


def row(
    link: str, ue: str, split: str, name: str, codec: str,
    rng: np.random.Generator, frames: int, noise: float, apart: float, **changed: Any,
) -> Row:  # fmt: skip
    """One of them."""
    told: dict[str, Any] = {"split": split, "split_name": name, "codec": codec, "ue": ue}
    told |= {"link": link, "bw_mbit": LINKS[link], "lossless": codec not in LOSSY}
    told["delay_ms"] = delay_ms = 30.0 if "30 ms" in link else 0.0
    if rng.random() < 0.05:
        return made_row(**told | {"valid": False, "reason": "the edge node died"} | changed)
    middle_ms = rng.choice([3.0, 100.0]) * rng.lognormal(0, apart)
    samples_ms = middle_ms * rng.lognormal(0, noise, max(1, frames - int(rng.integers(3))))
    samples_ms = samples_ms + 2 * delay_ms
    e2e_ms = float(np.median(samples_ms))
    ends = median_interval(samples_ms.tolist())
    bound_ms = e2e_ms / float(rng.choice([1.0, 1.04, 1.06, 1.5]))
    part1_ms, part2_ms = rng.uniform(0.1, 0.4, 2) * (e2e_ms - 2 * delay_ms)
    told |= {
        "frames": len(samples_ms),
        "samples_ms": tuple(samples_ms.tolist()),
        "e2e_ms": e2e_ms,
        "e2e_low_ms": ends.low,
        "e2e_high_ms": ends.high,
        "e2e_coverage_pct": None if ends.coverage is None else 100 * ends.coverage,
        "uplink_ms": delay_ms + float(rng.uniform(0, 0.9)) * (e2e_ms - 2 * delay_ms),
        "bound_ms": bound_ms,
        "e2e_over_bound": e2e_ms / bound_ms,
        "frame_kbit": 1.0,
        "link_attempts": int(rng.choice([1, 1, 1, 3])),
        "disturbed": str(rng.choice(["", "", "other processes used 90% of the processors"])),
        "part1_ms": part1_ms,
        "part2_ms": part2_ms,
        "part1_predicted_ms": part1_ms * rng.uniform(0.8, 1.2),
        "part2_predicted_ms": part2_ms * rng.uniform(0.8, 1.2),
        "prediction_error_pct": float(rng.normal(0, 5)),
        "ue_slowdown": float(rng.uniform(3, 5)) if ue and name != "network anchor" else None,
        "ue_slowdown_asked": 4.0 if ue else None,
        "part1_bytes": 1000,
        "part1_delivery_ms": float(rng.uniform(100, 2000)),
        "valid": bool(rng.random() > 0.07),
    }
    return made_row(**told | {"reason": "" if told["valid"] else "too late"} | changed)


def under(sentence: str, table: Sequence[Row]) -> list[Row]:
    """The rows under the conditions that the sentence begins with."""
    where = r"(?:At|Faster at) (.+?)(?: with the UE slowed \((.+?)\))?"
    found = re.match(where + "(?: cut at | do not split: | the best split, | than )", sentence)
    assert found, sentence
    asked = (found[2] or "").rpartition("asked ")[2]  # beside what was measured, if that is off
    return [r for r in table if r.conditions == Conditions(found[1], asked)]


LOST = r"(?:,? \(?(?:at )?(?:[\d.]+ less AP|under 0\.001 less AP|no loss|a loss that is not known)"
LOST += r"(?: over \d+ inputs?)?\)?)?"


def names(one: Row) -> list[str]:
    """How sentences call it."""
    sent = f"network anchor with its input {'as ' * (one.codec != 'raw')}{one.codec}"
    return [one.label, sent] if one.is_network_anchor else [one.label]


def rows_in(sentence: str, here: Sequence[Row]) -> list[Row]:
    """Those that it names with a time, which is theirs."""
    found = []
    for one in here:
        for name in names(one):
            behind = rf"{re.escape(name)}{LOST}(?: takes|:|,)? (?P<ms>[\d.]+ ms)"
            for match in re.finditer(behind, sentence):
                if one.e2e_ms is not None:
                    assert match["ms"] == ms_words(one.e2e_ms), sentence
                    found.append(one)
    return found


def ran(here: Sequence[Row]) -> list[Row]:
    return [one for one in here if one.valid and one.e2e_ms is not None]


@settings(max_examples=100, deadline=None)
@given(tables())
def test_what_advice_says_is_true_of_the_rows(table: list[Row]) -> None:
    """Numbers, winners, what may be as fast, what is faster, and what codecs lose."""
    said = advice(table)
    milliseconds = {ms_words(known(r.e2e_ms)) for r in table if r.e2e_ms} | {"10 ms"}
    milliseconds |= {ms_words(end) for r in table if r.e2e_ms for end in ends_of(r)}
    milliseconds |= {f"{r.part1_delivery_ms:.0f} ms" for r in table if r.part1_delivery_ms}
    milliseconds |= {
        ms_words(without_data_ms(r)) for r in ran(table) if compression_needed(r) is not None
    }
    milliseconds |= {within(r).partition(" (")[0] for r in ran(table)}
    for sentence in said:
        bare = sentence
        for link in LINKS:
            bare = bare.replace(link, "LINK")
        assert set(re.findall(r"(?<![\w.])[\d.]+ ms", bare)) <= milliseconds, sentence
        if sentence.startswith("At "):
            check_where_to_cut(sentence, under(sentence, table))
        elif sentence.startswith("Faster at "):
            check_faster(sentence, under(sentence, table))
    for choice in choices(table):
        here = [one for one in ran(table) if one.conditions == choice.conditions]
        sides = {one.is_network_anchor for one in here if one.is_anchor}
        no_split = not any(is_fit(one) and not one.is_anchor for one in here)
        where = f"{choice.link}{' with the UE slowed' if choice.ue else ','}"
        told = any(one.startswith(f"No split is advised at {where}") for one in said)
        assert told == (no_split and sides == {True, False})
    check_undecided(said, table)
    check_counts(said, table)


def check_undecided(said: Sequence[str], table: Sequence[Row]) -> None:
    """What would decide a split and codec is said once, and of all that are called undecided."""
    told = [sentence for sentence in said if sentence.startswith("Undecided ")]
    every = " ".join(said)
    called = [
        one for one in table if f"{one.label}, {ms_words(one.e2e_ms or 0)}, is undecided" in every
    ]
    assert len(told) <= 1
    assert bool(told) or not called
    for one in called:
        assert told[0].count(f"{one.label} loses {one.accuracy_drop:.3g}") == 1
    assert sum(sentence.count("would decide") for sentence in said) == sum(
        sentence.count("would decide") for sentence in told
    )


def ends_of(one: Row) -> tuple[float, float]:
    return known(one.e2e_low_ms), known(one.e2e_high_ms)


def check_where_to_cut(sentence: str, here: list[Row]) -> None:
    """Against an oracle that knows rows and frames, and no choices."""
    rows_in(sentence, here)
    sides = {one.is_network_anchor for one in ran(here) if one.is_anchor}
    assert sides == {True, False}  # no advice where an anchor is missing
    check_intervals(sentence)
    (split,) = [one for one in here if re.search(chosen(one), sentence)]
    assert split.valid and is_fit(split)
    rivals = [one for one in ran(here) if one.is_anchor and is_fit(one) and as_accurate(one, split)]
    anchor = min(rivals, key=lambda one: known(one.e2e_ms))
    fast, slow = sorted((split, anchor), key=lambda one: known(one.e2e_ms))
    alone = difference(fast.samples_ms, slow.samples_ms)
    if "cannot be told apart" in sentence:
        doubt = r"about \d+ frames? more would tell|s of this run would not tell|give more --runs"
        assert re.search(doubt, sentence)
        assert f"{within(split)}" in sentence
        assert f"{within(anchor)}" in sentence
    else:
        assert alone is not None and alone.low > 1
        assert known(fast.e2e_ms) < known(slow.e2e_ms)
        factor = known(slow.e2e_ms) / known(fast.e2e_ms)
        assert f"{factor:.2f} times (" in sentence
        assert (" cut at " in sentence) == (fast is split)
        if " do not split: " in sentence:
            check_compression(sentence, split)
    check_besides(sentence, here, split, fast)
    others = [one for one in here if one not in (split, anchor)]
    for one in others:
        if f"as {one.codec} the input" in sentence and one.is_network_anchor:
            assert one.valid


def chosen(one: Row) -> str:
    """How a sentence begins to tell of the split."""
    return rf"(?:cut at|the best split,) {re.escape(one.label)}{LOST}[,:] "


def check_besides(sentence: str, here: list[Row], split: Row, fast: Row) -> None:
    """What may be as fast as the best, that nothing is faster, and what the input loses."""
    fit = [one for one in ran(here) if is_fit(one) and one is not fast]
    pair = (split.split, split.codec), (fast.split, fast.codec)
    untold = re.search(r"; may be as fast: ([^;]*?)(?:;|\.$)", sentence)
    for one in fit:
        if (one.split, one.codec) in pair or one.is_anchor:
            continue
        listed = untold is not None and f"{one.label} {ms_words(known(one.e2e_ms))}" in untold[1]
        more = untold is not None and re.search(r"and \d+ more", untold[1])
        apart = difference(fast.samples_ms, one.samples_ms)
        if apart is None or apart.low <= 1:
            assert listed or more, f"{one.label} in {sentence}"
    assert all(known(one.e2e_ms) >= known(fast.e2e_ms) for one in fit)
    if lost := re.search(r"as ([^;]*?) the input loses more accuracy", sentence):
        for codec, drop in re.findall(r"(\S+) \(([-\d.]+)\)", lost[1]):
            (anchor,) = [one for one in here if one.is_network_anchor and one.codec == codec]
            assert f"{anchor.accuracy_drop:.3f}" == drop
            assert known(anchor.accuracy_drop) > (split.accuracy_drop or 0.0)


def check_intervals(sentence: str) -> None:
    """Each factor lies in its interval."""
    told = re.findall(r"([\d.]+) times \(([\d.]+) to ([\d.]+)\)", sentence)
    for factor, low, high in told:
        assert float(low) <= float(factor) <= float(high)


def check_compression(sentence: str, split: Row) -> None:
    """With its data shrunk by what is told, the split takes what the anchor does, or never does."""
    needed = compression_needed(split)
    assert needed is not None
    anchor_ms = known(split.e2e_ms) * known(split.speedup_vs_best_anchor)
    if math.isfinite(needed):
        (told,) = re.findall(r"intermediate data ([\d,.]+) times smaller", sentence)
        assert float(told.replace(",", "")) == pytest.approx(needed, rel=0.01)
        data_ms = known(split.e2e_ms) - without_data_ms(split)
        assert without_data_ms(split) + data_ms / needed == pytest.approx(anchor_ms)
    else:
        assert f"would still take {ms_words(without_data_ms(split))}" in sentence
        assert without_data_ms(split) >= anchor_ms * (1 - 1e-9)


def check_faster(sentence: str, here: list[Row]) -> None:
    """What is told to be faster and not recommended may not be, and is; none is forgotten."""
    than, _, passed = sentence.partition(", by their medians, and not recommended")
    assert re.search(r" than (.+)$", than)
    named = rows_in(passed, here)
    told = {f"{one.label} {fitness(one)}" for one in named}
    unfit = sorted((one for one in ran(here) if not is_fit(one)), key=lambda r: known(r.e2e_ms))
    assert named and not any(is_fit(one) for one in named)
    more = re.search(r"; (\d+) more\.$", sentence)
    count = len(named) + (int(more[1]) if more else 0)
    assert [f"{one.label} {fitness(one)}" for one in unfit[: len(told)]] == [
        f"{one.label} {fitness(one)}" for one in sorted(named, key=lambda r: known(r.e2e_ms))
    ]
    assert len(unfit) >= count
    for one in named:
        if fitness(one) is Fitness.TOO_LOSSY and one.accuracy_drop_low:
            assert f"{one.accuracy_drop:.3g} [" in sentence


def check_counts(said: Sequence[str], table: Sequence[Row]) -> None:
    """N of M, and the worst of them."""
    rows = [one for one in table if one.e2e_ms is not None]
    counted = {
        "took over 1.05 times": [
            r for r in rows
            if known(r.e2e_over_bound) > 1.05 and known(r.e2e_ms) - known(r.bound_ms) > 10
        ],
        "had a link that was": [r for r in rows if r.valid and (r.link_attempts or 1) > 1],
        "disturbed when last measured": [r for r in rows if r.disturbed],
    }  # fmt: skip
    for words, those in counted.items():
        told = [sentence for sentence in said if words in sentence]
        assert len(told) == bool(those)
        for sentence in told:
            assert sentence.startswith(f"{len(those)} of {len(table)} cells ")
            assert any(f"{place_words(one)} (" in sentence for one in those)
    predicted = [r for r in rows if r.valid]
    for sentence in said:
        if sentence.startswith("The profiles predicted"):
            errors = [abs(known(r.prediction_error_pct)) for r in predicted]
            assert f"within {median(errors):.1f} % (median of {len(errors)} valid" in sentence
            assert f"worst {max(errors):.1f} %" in sentence


@settings(max_examples=40, deadline=None)
@given(tables())
def test_what_to_choose_on_the_page_is_what_advice_says(table: list[Row]) -> None:
    said = advice(table)
    for choice in choices(table):
        line = dict(zip(ANSWER, _answer(choice), strict=True))
        best = choice.best
        if best is None:
            assert not any(is_fit(r) for r in ran(table) if r.conditions == choice.conditions)
            continue
        assert (line["choose"], line["end to end"]) == (best.label, within(best))
        untold = [one.label for one in choice.tied[1:]]
        assert [name in line["may be as fast"] for name in untold[:MAX_NAMED]] == [
            True for _ in untold[:MAX_NAMED]
        ]
        assert (line["accuracy lost"] == "none") == best.lossless
        check_intervals(line["by how much"])
        for sentence in of_choice(choice, said):
            apart = "cannot be told apart"
            assert (apart in line["by how much"]) == (apart in sentence)
            assert (" cut at " in sentence) == ("as fast as the" in line["by how much"])


def of_choice(choice: Choice, said: Sequence[str]) -> list[str]:
    """The sentence of advice on it."""
    slowed = f" with the UE slowed ({choice.ue})" if choice.ue else ""
    starts = tuple(f"At {choice.link}{slowed}{end}" for end in (" cut", " do not", " the best"))
    return [sentence for sentence in said if sentence.startswith(starts)]


@settings(max_examples=40, deadline=None)
@given(tables())
def test_a_verdict_counts_every_row_that_does_not(table: list[Row]) -> None:
    judged = judge_run(table, len(table) + 2)
    failed = [one for one in table if not one.valid]
    assert [r for r in judged.reasons if r.endswith(("died", "too late"))] == [
        f"{one.with_codec} at {one.link}{f', UE {one.ue}' if one.ue else ''}: {one.reason}"
        for one in failed
    ]
    assert f"2 of {len(table) + 2} cells were not measured" in judged.reasons
