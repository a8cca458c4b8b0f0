"""Which rows a choice is of, and what its doubt is corrected for."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from orchestrator.results.judgement.anchors import compared
from orchestrator.results.judgement.choice import (
    Best,
    Choice,
    Rival,
    choices,
    interval_of_gain,
)
from orchestrator.results.rows import Row
from orchestrator.results.statistics.comparison import Difference, difference
from tests.orchestrator.written import made_row

FRAMES = (0.98, 1.01, 0.99, 1.02, 1.0, 1.0)


def row(split: str, e2e_ms: float | None, **changed: Any) -> Row:
    """Six frames about as long as that."""
    name = {"0:2": "network anchor", "2:0": "device anchor"}.get(split, f"cut {split}")
    turn = int(split[0])  # so that no two rows have the same noise
    samples = tuple((e2e_ms or 0.0) * one for one in (*FRAMES[turn:], *FRAMES[:turn]))
    told = {"split": split, "split_name": name, "e2e_ms": e2e_ms, "samples_ms": samples}
    codec = "none" if split == "2:0" else "raw"
    return made_row(**{**told, "codec": codec, "frames": 6, "frame_kbit": 1.0} | changed)


def lossy(split: str, e2e_ms: float, drop: float = 0.5, **changed: Any) -> Row:
    ends = {"accuracy_drop": drop, "accuracy_drop_low": drop, "accuracy_drop_high": drop}
    return row(split, e2e_ms, **{"lossless": False, "codec": "int8", **ends} | changed)


def choice(*table: Row) -> Choice:
    (found,) = choices(compared(table))
    return found


NETWORK, DEVICE, CUT = row("0:2", 80), row("2:0", 60), row("1:1", 40)


def labels(found: Choice) -> list[str | None]:
    """The splits of those that are named one by one."""
    rows = (found.best, found.split, found.anchor, found.lossless, found.device, found.network)
    return [one.split if one else None for one in rows]


@pytest.mark.parametrize(
    ("table", "named", "complete", "gain"),
    [
        ((NETWORK, DEVICE, CUT), ["1:1", "1:1", "2:0", "1:1", "2:0", "0:2"], True, 1.5),
        (
            (row("1:1", 70), DEVICE, NETWORK),
            ["2:0", "1:1", "2:0", "2:0", "2:0", "0:2"], True, 60 / 70,
        ),
        ((NETWORK, CUT), ["1:1", "1:1", "0:2", "1:1", None, "0:2"], False, 2.0),
        ((DEVICE, CUT), ["1:1", "1:1", "2:0", "1:1", "2:0", None], False, 1.5),
        ((NETWORK, DEVICE), ["2:0", None, "2:0", "2:0", "2:0", "0:2"], True, None),
        (
            (row("1:3", 50), row("3:1", 40), row("2:2", 45)),
            ["3:1", "3:1", None, "3:1", None, None], False, None,
        ),
        (
            (lossy("0:2", 20), lossy("1:1", 10), NETWORK, DEVICE, CUT),
            ["1:1", "1:1", "2:0", "1:1", "2:0", "0:2"], True, 1.5,
        ),
        (
            (lossy("1:1", 30, 0.0), NETWORK, DEVICE, CUT),
            ["1:1", "1:1", "2:0", "1:1", "2:0", "0:2"], True, 2.0,
        ),
        ((lossy("1:1", 10),), [None] * 6, False, None),
        ((row("1:1", 40, valid=False), row("3:1", None)), [None] * 6, False, None),
    ],
)  # fmt: skip
def test_the_fastest_that_count_and_are_fit_are_chosen(
    table: tuple[Row, ...], named: list[str | None], complete: bool, gain: float | None
) -> None:
    found = choice(*table)
    assert labels(found) == named
    assert found.complete is complete
    assert found.gain == pytest.approx(gain)
    assert (found.link, found.ue) == ("20 Mbit/s", "")


def test_anchors_that_lost_more_are_named_the_fastest_first() -> None:
    found = choice(lossy("0:2", 30), lossy("0:2", 20, codec="jpeg:9"), NETWORK, DEVICE, CUT)
    assert [one.e2e_ms for one in found.lossier] == [20, 30]
    assert found.lossless is not None
    assert (found.lossless.split, found.network and found.network.lossless) == ("1:1", True)


def test_links_go_from_slow_to_fast_and_then_by_what_else_they_are() -> None:
    links: list[dict[str, Any]] = [
        {"bw_mbit": 5.0},
        {"downlink_mbit": 10.0},
        {},
        {"delay_ms": 10.0},
        {"delay_ms": 10.0, "jitter_ms": 1.0},
        {"delay_ms": 10.0, "jitter_ms": 1.0, "loss_pct": 1.0},
        {"bw_mbit": 50.0},
    ]
    table = [
        row("1:1", 40, **{"downlink_mbit": 20.0, "link": str(place), **link})
        for place, link in enumerate(links)
    ]
    slowed = [replace_row(one, ue="4x slower") for one in table]
    told = [(one.link, one.ue) for one in choices([*slowed, *reversed(table)])]
    assert told == [(str(place), ue) for place in range(7) for ue in ("", "4x slower")]


def replace_row(one: Row, **changed: Any) -> Row:
    from msgspec.structs import replace as replaced

    return replaced(one, **changed)


def p_of(fast: Row, slow: Row) -> float:
    told = difference(fast.samples_ms, slow.samples_ms)
    assert told is not None
    return told.p


def test_doubt_is_multiplied_by_the_pairs_that_were_picked_from() -> None:
    close = row("2:0", 43)
    found = choice(NETWORK, close, CUT, row("3:1", 45), lossy("1:1", 10))
    assert found.difference is not None
    assert found.p == pytest.approx(4 * p_of(CUT, close))  # two splits, two anchors
    assert found.p < 1
    assert found.level == pytest.approx(0.05 / 4)
    assert found.difference.ratio == pytest.approx(1.075, rel=0.02)
    same = choice(NETWORK, row("2:0", 40), CUT, row("3:1", 45))
    assert same.p == 1
    alone = choice(CUT)
    assert (alone.p, alone.level, alone.sure) == (1.0, 0.05, False)
    assert choice(DEVICE, CUT).level == 0.05


def test_doubt_is_corrected_for_the_links_that_were_asked() -> None:
    def over(link: str) -> list[Row]:
        table = (NETWORK, row("2:0", 41), CUT)
        return [replace_row(one, link=link, bw_mbit=float(link)) for one in table]

    alone = choice(NETWORK, row("2:0", 41), CUT)
    found = choices(compared([*over("5"), *over("10"), replace_row(CUT, link="20")]))
    assert [one.p for one in found] == pytest.approx([min(1, 2 * alone.p)] * 2 + [1.0])
    assert [one.level for one in found] == pytest.approx([alone.level / 2] * 2 + [0.05])
    assert [one.difference is None for one in found] == [False, False, True]


def apart(low: float, **changed: Any) -> Difference:
    values = {"ratio": 1.2, "low": low, "high": 1.4, "pairs": 10, "p": 0.01, "spread": 0.1}
    return Difference(**values | changed)


SURE = choice(NETWORK, DEVICE, CUT)


@pytest.mark.parametrize(
    ("p", "low", "sure"),
    [(0.05, 1.01, True), (0.051, 1.01, False), (0.05, 1.0, False), (0.01, None, False)],
)
def test_a_choice_is_sure_by_its_p_and_its_interval(
    p: float, low: float | None, sure: bool
) -> None:
    told = None if low is None else apart(low)
    assert replace(SURE, p=p, difference=told).sure is sure


def test_what_can_be_told_from_the_best_is_not_tied_with_it() -> None:
    near = row("3:1", 40.2)
    found = choice(NETWORK, near, DEVICE, CUT)
    assert [one.row.split for one in found.rivals] == ["3:1", "2:0", "0:2"]
    assert [one.told for one in found.rivals] == [False, True, True]
    assert [one.split for one in found.tied] == ["1:1", "3:1"]
    assert found.sure
    best = Best(CUT, found.rivals)
    assert ([one.row.split for one in best.untold], best.sure) == (["3:1"], False)
    assert Best(CUT, found.rivals[1:]).sure
    assert choice(lossy("1:1", 10)).tied == ()


def test_the_pair_of_the_choice_is_told_as_the_choice_is() -> None:
    found = choice(NETWORK, row("2:0", 40.1), CUT)
    assert not found.sure
    assert [one.told for one in found.rivals] == [False, True]
    single = [replace_row(one, samples_ms=one.samples_ms[:1]) for one in (NETWORK, DEVICE, CUT)]
    lone = choice(*single)
    assert [(one.told, one.difference) for one in lone.rivals] == [(False, None)] * 2


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "to tell takes 2 frames of each at least: give more --runs"),
        (apart(0.9, spread=0.0), "about 1 frame more would tell"),
        (apart(0.9, spread=0.0, pairs=4), "about 2 frames more would tell"),
        (
            apart(0.9, spread=0.0, pairs=4, of="block", besides=0.0),
            "about 2 blocks more would tell",
        ),
        (
            apart(0.9, ratio=1.001),
            "more frames of this run would not tell so little; --blocks 5 may",
        ),
        (
            apart(1.1, spread=0.0),
            "the two alone could be, not among all that was compared; "
            "about 1 frame more would tell",
        ),
        (apart(0.9, ratio=1.0, of="block"), "more blocks of this run would not tell so little"),
    ],
)
def test_a_doubt_says_what_would_end_it(told: Difference | None, words: str) -> None:
    assert replace(SURE, difference=told).doubt == words


def test_a_doubt_is_ended_at_the_level_that_was_corrected_for() -> None:
    loose, tight = (replace(SURE, difference=apart(0.9), level=level) for level in (0.05, 0.001))
    more = [int(one.doubt.split()[1]) for one in (loose, tight)]
    assert more == [apart(0.9).more_to_tell(0.05), apart(0.9).more_to_tell(0.001)]
    assert more[0] < more[1]


def test_a_gain_is_told_with_the_interval_that_holds_it() -> None:
    assert interval_of_gain(DEVICE, CUT).startswith(" (1.4")
    single = [replace_row(one, samples_ms=(1.0,)) for one in (DEVICE, CUT)]
    assert interval_of_gain(*single) == ""
    # the ratio of the medians need not lie within that of the pairs
    wide = interval_of_gain(replace_row(DEVICE, e2e_ms=120.0), CUT)
    assert wide.endswith(" to 3.00)")


def test_none_of_them_can_be_changed() -> None:
    for one, name in ((SURE, "p"), (Rival(CUT, None, told=False), "told"), (Best(CUT, ()), "row")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)
