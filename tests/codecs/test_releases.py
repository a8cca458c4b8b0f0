"""When what is encoded piece by piece is across, against the recursion of piece after piece."""

from functools import partial
from operator import mul

from hypothesis import given
from hypothesis import strategies as st

from splitbed.codecs.releases import MOST_RELEASES, across_ms, encoding_ms, releases_of

PIECES = st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**6)), min_size=1, max_size=12)
NS_OF_A_BYTE = st.sampled_from([0, 1, 8, 80, 800, 8000])


def by_recursion_ns(made: list[tuple[int, int]], ns_of_a_byte: int) -> int:
    end_ns = 0
    for there_ns, nbytes in made:
        end_ns = max(there_ns, end_ns) + nbytes * ns_of_a_byte
    return end_ns


@given(PIECES, NS_OF_A_BYTE)
def test_of_few_pieces_that_decide_the_last_is_across_when_it_is_of_all(
    told: list[tuple[int, int]], ns_of_a_byte: int
) -> None:
    there_ns, made = 0, list[tuple[int, int]]()
    for place, (more_ns, nbytes) in enumerate(told):
        there_ns += more_ns if place else 0
        made.append((there_ns, nbytes))
    releases, total = releases_of(made), sum(nbytes for _, nbytes in made)
    took_ms = across_ms(releases, total, lambda nbytes: nbytes * ns_of_a_byte / 1e6)
    assert round(float(took_ms) * 1e6) == by_recursion_ns(made, ns_of_a_byte)
    assert round(encoding_ms(releases) * 1e6) == there_ns


def test_pieces_that_come_evenly_are_told_as_the_last() -> None:
    assert len(releases_of([(place * 1000, 500) for place in range(100)])) == 1


def test_of_pieces_that_come_ever_quicker_as_many_are_told_as_a_node_takes() -> None:
    made = [((2000 - place) * place * 100, 500) for place in range(1000)]
    releases = releases_of(made)
    assert len(releases) == MOST_RELEASES
    assert releases[-1] == (made[-1][0], 500)
    for ns_of_a_byte in (0, 1, 8, 80, 300, 800):
        took_ms = across_ms(releases, 500_000, partial(mul, ns_of_a_byte / 1e6))
        took_ns, all_ns = float(took_ms) * 1e6, by_recursion_ns(made, ns_of_a_byte)
        assert 0.999 * all_ns <= took_ns <= all_ns + 1
