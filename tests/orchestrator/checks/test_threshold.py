"""Thresholds: what may be asked, and which rows break it."""

import pytest

from orchestrator.checks.threshold import broken, parse
from orchestrator.results.rows import Row
from splitbed.errors import UsageError
from tests.orchestrator.written import made_row


def row(split: str, **changed: object) -> Row:
    """A measured row of the split `k:n-k`, called `cut k:n-k`."""
    values = {"split": split, "split_name": f"cut {split}", "bw_mbit": 20.0, "e2e_ms": 200.0}
    values |= {"e2e_p95_ms": 240.0, "encoded_bytes": 1_500_000, "loss_pct": 1.0}
    return made_row(**values | {"accuracy": 0.5, "accuracy_drop": 0.02} | changed)


ROWS = [row("0:2"), row("1:1", e2e_p95_ms=260.0, codec="lz4"), row("2:0", bw_mbit=5.0)]


def faults(text: str, rows: list[Row] = ROWS) -> list[str]:
    return broken([parse(text)], rows)


@pytest.mark.parametrize(
    ("text", "column", "limit"),
    [
        ("e2e_p95<250ms", "e2e_p95_ms", 250),
        ("e2e_p95_ms<250", "e2e_p95_ms", 250),
        ("e2e <= 0.25 s", "e2e_ms", 250),
        ("encoded<1.5MB", "encoded_bytes", 1.5e6),
        ("encoded<2KiB", "encoded_bytes", 2048),
        ("link_mbit>1Gbit/s", "link_mbit", 1000),
        ("loss<1%", "loss_pct", 1),
        ("accuracy>50%", "accuracy", 0.5),
        ("accuracy>=1e-1", "accuracy", 0.1),
        ("part1<5MB", "part1_bytes", 5e6),
        ("part1<5ms", "part1_ms", 5),
        ("speedup>1", "speedup_vs_best_anchor", 1),
    ],
)
def test_a_limit_is_held_in_the_unit_of_its_column(text: str, column: str, limit: float) -> None:
    threshold = parse(text)
    assert threshold.column == column
    assert threshold.limit == pytest.approx(limit)


def test_a_codec_in_where_keeps_the_words_behind_its_commas() -> None:
    where = parse("e2e<1s@codec=avc:27,444,slow,bw=20").where
    assert where == (("codec", ("avc:27,444,slow",)), ("bw_mbit", ("20",)))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("e2e<8us", 0.008), ("e2e<8µs", 0.008), ("e2e<8ms", 8), ("e2e<8s", 8000),
        ("encoded<8B", 8), ("encoded<8kB", 8e3), ("encoded<8MB", 8e6), ("encoded<8GB", 8e9),
        ("encoded<8KiB", 8 * 1024), ("encoded<8MiB", 8 * 1024**2),
        ("bw<8kbit/s", 0.008), ("bw<8Mbit/s", 8), ("bw<8Gbit/s", 8000),
        ("frame<8kbit", 8), ("frame<8Mbit", 8000), ("loss<8%", 8), ("clock_drift<8ppm", 8),
        ("accuracy<8%", 0.08), ("accuracy<8", 8),
    ],
)  # fmt: skip
def test_each_unit_is_so_many_of_the_columns_own(text: str, limit: float) -> None:
    assert parse(text).limit == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize(
    ("e2e_ms", "equal"),
    [(100, True), (100 + 9e-8, True), (100 + 2e-7, False), (100 - 2e-7, False), (50, False)],
)
def test_equal_is_what_decimals_make_of_it(e2e_ms: float, equal: bool) -> None:
    assert (faults("e2e==100", [row("1:1", e2e_ms=e2e_ms)]) == []) is equal


@pytest.mark.parametrize(("diff", "equal"), [(0.0, True), (9e-13, True), (2e-12, False)])
def test_zero_is_a_zero_that_was_computed(diff: float, equal: bool) -> None:
    assert (faults("max_abs_diff==0", [row("1:1", max_abs_diff=diff)]) == []) is equal


def test_what_is_no_percentile_takes_one_frame_and_a_percentile_may_have_more() -> None:
    assert faults("e2e<1s", [row("1:1", frames=1)]) == []
    assert faults("e2e_p95<250ms", [row("1:1", frames=60)]) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("e2e_p95", "give COLUMN"),
        ("e2e<fast", "give COLUMN"),
        ("e2e=5", "give COLUMN"),
        ("<5ms", "give COLUMN"),
        ("e2ep95<250ms", "did you mean e2e_p95"),
        ("colour<5", "choose model"),
        ("e2e_over<5", "did you mean e2e_over_bound, e2e_over_quiet"),
        ("link_<5", r"did you mean link, (?!link[,?])"),  # each once
        ("e2e<250MB", "not in 'MB' but in ms, s"),
        ("part1<5", "part1_bytes or part1_ms"),
        ("codec<5", "is text"),
        ("e2e<5@", "give COLUMN"),
        ("e2e<5@,", "names no rows"),
        ("e2e<5@bw=", "names no rows"),
        ("e2e<5@colour=red", "no column is called 'colour'"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_what_could_be_meant(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse(text)


@pytest.mark.parametrize(
    ("text", "splits"),
    [
        ("e2e_p95<250ms", ["1:1"]),
        ("e2e_p95<260ms", ["1:1"]),
        ("e2e_p95<=260ms", []),
        ("e2e_p95>250ms", ["0:2", "2:0"]),
        ("accuracy_drop==2%", []),
        ("e2e_p95<250ms@0:2", []),
        ("e2e_p95<250ms@cut 1:1", ["1:1"]),
        ("e2e_p95<1ms@bw=20,codec=raw", ["0:2"]),
        ("e2e_p95<1ms@0:2,2:0", ["0:2", "2:0"]),
    ],
)
def test_each_row_that_is_meant_and_does_not_keep_it_breaks_it(
    text: str, splits: list[str]
) -> None:
    assert [fault.partition("(")[2].partition(")")[0] for fault in faults(text)] == splits


def test_a_fault_names_the_row_what_was_asked_and_what_it_has() -> None:
    assert faults("e2e_p95<250ms") == [
        "cut 1:1 (1:1) lz4 over 20 Mbit/s: e2e_p95<250ms is broken: e2e_p95_ms is 260"
    ]


@pytest.mark.parametrize(("text", "frames"), [("e2e_p95<250ms", 59), ("e2e_p99<1s", 299)])
def test_a_percentile_of_too_few_frames_is_refused_with_how_many_it_takes(
    text: str, frames: int
) -> None:
    few = row("1:1", frames=frames - 1, e2e_p95_ms=None)
    with pytest.raises(UsageError, match=f"takes {frames} frames .* has {frames - 1}: .*--runs"):
        faults(text, [few])
    assert faults(text, [row("1:1", frames=frames, e2e_p95_ms=1.0, e2e_p99_ms=1.0)]) == []
    failed = row("1:1", frames=0, e2e_p95_ms=None, valid=False, reason="the ue node hung")
    assert "the ue node hung" in faults(text, [failed])[0]


def test_a_cell_that_failed_breaks_it_and_says_why() -> None:
    failed = row("1:1", valid=False, reason="the ue node hung", e2e_ms=None)
    (fault,) = faults("e2e<1s", [failed])
    assert fault.endswith("it has no e2e_ms (the ue node hung)")


def test_a_row_that_is_invalid_keeps_no_threshold() -> None:
    (fault,) = faults("e2e<1s", [row("1:1", valid=False, reason="uplink 3")])
    assert fault.endswith("the row is INVALID (uplink 3)")


def test_a_number_that_is_none_keeps_no_threshold() -> None:
    assert faults("accuracy>0", [row("1:1", accuracy=float("nan"))])


def test_the_device_anchor_needs_no_difference_since_nothing_is_cut() -> None:
    table = [row("1:1", max_abs_diff=0.0), row("2:0", max_abs_diff=None)]
    assert faults("max_abs_diff<1e-3", table) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("e2e<1s@nobody", "'nobody' is no split of the rows: cut 0:2, cut 1:1, cut 2:0"),
        ("e2e<1s@1:1,nobody", "'nobody' is no split"),
        ("e2e<1s@bw=100", "'100' is no bw_mbit of the rows: 20.0, 5.0"),
        ("e2e<1s@bw=fast", "'fast' is no bw_mbit of the rows: 20.0, 5.0"),
        ("e2e<1s@bw=5,codec=lz4", "none of the 3 rows"),
    ],
)
def test_a_threshold_that_judges_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        faults(text)
