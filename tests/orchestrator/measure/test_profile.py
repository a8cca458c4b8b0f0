"""What profiles predict, and the published table that they fill."""

import csv

import pytest

from orchestrator.results.profile import PUBLISHED_COLUMNS, CutSizes, NodeProfile, Profile, Span


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


@pytest.mark.parametrize(("k", "expected"), [(0, (0, 27)), (1, (15, 24))])
def test_a_cut_is_predicted_by_the_layers_on_either_side_as_after_a_pause(
    k: int, expected: tuple[float, float]
) -> None:
    assert profile((10, 20, 30), (2, 4, 12)).predicted_ms(k) == expected


def test_nothing_waits_at_the_device_anchor() -> None:
    assert profile((10, 20, 30), (2, 4, 12)).predicted_ms(3) == (60, 0)


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
