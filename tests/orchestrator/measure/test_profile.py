"""What profiles predict, and the published table that they fill."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from orchestrator.measure.profiling.taking import chosen
from orchestrator.plan.nodes import read_nodes
from orchestrator.results.profile import (
    PUBLISHED_COLUMNS,
    SHARE_DOUBT,
    CutSizes,
    NodeProfile,
    PartTime,
    Profile,
    Span,
    read_profile,
)
from orchestrator.results.run_folder import PROFILE_FILE, RunFolder
from orchestrator.scenarios.tables import profile_tables


def node(ms: tuple[float, ...]) -> NodeProfile:
    layers = tuple(
        Span(first=k, last=k + 1, name=f"layer{k}", op="CONV_2D", ms=each)
        for k, each in enumerate(ms)
    )
    return NodeProfile(
        init_ms=10,
        warmup_ms=2 * sum(ms),
        steady_ms=sum(ms),
        paced_ms=1.5 * sum(ms),
        init_memory_bytes=1_000_000,
        overall_memory_bytes=2_000_000,
        layers=layers,
    )


def profile(ue_ms: tuple[float, ...], edge_ms: tuple[float, ...]) -> Profile:
    """A made-up profile; cut k has k KiB of part 1 and 1000 k bytes to send."""
    cuts = [
        CutSizes(k=k, part1_bytes=1024 * k, intermediate_bytes=1000 * k)
        for k in range(len(ue_ms) + 1)
    ]
    return Profile(ue=node(ue_ms), edge=node(edge_ms), cuts=tuple(cuts))


@pytest.mark.parametrize(("k", "expected"), [(0, (0, 27.4)), (1, (15.4, 24.4)), (3, (90.4, 0))])
def test_without_parts_a_cut_is_predicted_by_its_layers_as_slow_as_the_whole_after_a_pause(
    k: int, expected: tuple[float, float]
) -> None:
    """And 0.4 ms to run a part at all."""
    assert profile((10, 20, 30), (2, 4, 12)).predicted_ms(k) == pytest.approx(expected)


def with_parts() -> Profile:
    """Four layers, cut in the middle; the parts do not add up to the whole."""
    told = profile((10, 20, 30, 40), (1, 2, 3, 4))
    ue = [PartTime(first=0, last=2, ms=36), PartTime(first=0, last=4, ms=120)]
    edge = [PartTime(first=0, last=4, ms=11), PartTime(first=2, last=4, ms=9)]
    return told.replaced(
        ue=told.ue.replaced(parts=tuple(ue)), edge=told.edge.replaced(parts=tuple(edge))
    )


@pytest.mark.parametrize(("k", "expected"), [(0, (0, 11)), (2, (36, 9)), (4, (120, 0))])
def test_a_part_that_was_run_is_predicted_to_take_what_it_took(
    k: int, expected: tuple[float, float]
) -> None:
    assert with_parts().predicted_ms(k) == expected


@pytest.mark.parametrize("off", [-1e-12, 0, 1e-12])
def test_the_whole_takes_what_it_took_as_a_part_however_its_layers_are_summed(off: float) -> None:
    ue = with_parts().ue
    ue = ue.replaced(steady_ms=ue.steady_ms * (1 + 1e-13))
    assert ue.paced_part_ms(100 * (1 + off)) == pytest.approx(120)


def test_between_two_parts_the_layers_share_what_one_takes_more_than_the_other() -> None:
    # on the UE 30 of the 70 ms between them; on the edge the first of three beside what is run
    assert with_parts().predicted_ms(3) == pytest.approx(
        (36 + 84 * 30 / 70, 0.4 + (9 - 0.4) * 4 / 7)
    )
    assert with_parts().predicted_ms(1)[1] == pytest.approx(9 + 2 * 2 / 3)


@pytest.mark.parametrize(("most", "expected"), [(9, range(1, 10)), (3, (2, 5, 8)), (1, (5,))])
def test_the_parts_that_are_run_are_spread_over_the_model(
    most: int, expected: Iterable[int]
) -> None:
    assert chosen(range(1, 10), most) == [*expected]


def test_the_table_has_the_published_columns_with_their_units() -> None:
    first, second, *_ = list(csv.reader(profile((10, 20), (2, 4)).csv().splitlines()))
    assert tuple(first) == PUBLISHED_COLUMNS
    assert [float(value) for value in second] == [0, 2, 0, 0, 0, 6, 6]


def test_there_is_a_row_for_every_cut_with_sizes_in_the_published_units() -> None:
    rows = profile((10, 20), (2, 4)).table()
    assert [row["layers_on_client"] for row in rows] == [0, 1, 2]
    assert [row["intermediate_model_size_KiB"] for row in rows] == [0, 1, 2]
    assert [row["intermediate_data_size_kB"] for row in rows] == [0, 1, 2]
    assert [row["end_to_end_processing_time_ms"] for row in rows] == [6, 14, 30]


def test_a_layer_behind_a_cut_that_cannot_be_made_counts_with_its_neighbour() -> None:
    spans = (
        Span(first=0, last=1, name="a", op="A", ms=1),
        Span(first=1, last=3, name="b", op="B+C", ms=5),
    )
    ue = node((1,)).model_copy(update={"layers": spans})
    assert (ue.ms(0, 1), ue.ms(1, 3), ue.ms(0, 3)) == (1, 5, 6)


def test_a_profile_of_the_first_version_is_read(tmp_path: Path) -> None:
    told = profile((10, 20), (2, 4)).model_dump()
    new = ("paced_ms", "parts", "waited_share", "source")
    first = {
        side: {name: value for name, value in told[side].items() if name not in new}
        for side in ("ue", "edge")
    }
    (tmp_path / PROFILE_FILE).write_text(json.dumps(first | {"cuts": told["cuts"]}))
    for read in (read_profile(RunFolder(tmp_path)), read_nodes(tmp_path)):
        assert read is not None
        assert read.predicted_ms(1) == pytest.approx((10.4, 4.4))


ENDS = pytest.mark.parametrize(("k", "slowdown"), [(0, 10), (3, 10), (1, 1), (2, 1)])


@ENDS
def test_shares_of_layers_that_nobody_ran_matter_to_no_anchor_nor_where_nodes_are_alike(
    k: int, slowdown: float
) -> None:
    told = profile((10, 20, 30), (10, 20, 30)).replaced(outline=True)
    assert told.share_errors((k,), slowdown) == pytest.approx((1.0, 1.0))


def test_the_slower_one_node_is_the_more_a_share_that_is_not_sure_matters() -> None:
    told = profile((10, 20, 30), (10, 20, 30))
    assert told.share_errors((1,), 10) == (1.0, 1.0)  # its layers were run
    outline = told.replaced(outline=True)
    widths = [high - low for low, high in (outline.share_errors((1,), by) for by in (2, 5, 20))]
    assert widths == sorted(widths)
    low, high = outline.share_errors((1,), 5)
    # part 1 is a sixth of 90 ms after a pause, five times slower; part 2 the rest; and 0.4 ms each
    share, whole_ms = 1 / 6, 90
    both_ms = [
        5 * (whole_ms * one + 0.4) + whole_ms * (1 - one) + 0.4
        for one in (max(share - SHARE_DOUBT, 0), share, share + SHARE_DOUBT)
    ]
    assert (low, high) == pytest.approx((both_ms[0] / both_ms[1], both_ms[2] / both_ms[1]))


def test_each_cut_of_a_chain_has_a_share_that_is_not_sure() -> None:
    outline = profile((10, 20, 30), (10, 20, 30)).replaced(outline=True)
    assert outline.share_errors((1, 2), 1, "chain") == pytest.approx((1.0, 1.0), rel=0.02)
    low, high = outline.share_errors((1, 2), 5, "chain")
    assert low < 0.9 < 1.1 < high
    cloud = outline.replaced(others={"cloud": node((1, 2, 3))})
    of_cloud = cloud.share_errors((1, 2), 1, "chain")
    assert of_cloud[1] - of_cloud[0] > 0.1  # a faster cloud takes more, or less, of the rest
    assert cloud.share_errors((0, 3), 5, "chain") == (1.0, 1.0)  # the edge does it all


def test_a_table_has_the_times_of_parts_as_text() -> None:
    nodes, *_ = profile_tables(with_parts())
    heads, ue, _ = nodes.csv().splitlines()
    assert heads.split(",")[-1] == "parts_ms"
    assert "(" not in ue and "PartTime" not in ue
    assert all(len(part.split()) == 2 for part in ue.rpartition(",")[2].split("; "))
