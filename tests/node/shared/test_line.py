"""Who is next of several UEs, by a clock that the tests have."""

from collections import Counter

import pytest

from splitbed.node.shared.line import Line, Sharing, Waiting

MS = 1_000_000
ALONE = Sharing()
TOGETHER = Sharing(most=4, wait_ns=5 * MS)


def frame(ue: str, at_ms: float = 0, part: str = "p", sharing: Sharing = ALONE) -> Waiting:
    return Waiting(ue, part, int(at_ms * MS), sharing)


def line(*frames: Waiting) -> Line[Waiting]:
    found = Line[Waiting]()
    for one in frames:
        found.come(one)
    return found


def served(of: Line[Waiting], turns: int) -> str:
    """Whose frames are run, one after another."""
    ues = ""
    for _ in range(turns):
        ues += "".join(one.ue for one in of.take(0))
        of.done()
    return ues


def test_a_ue_with_many_frames_lets_others_have_their_turns() -> None:
    of = line(*(frame("a") for _ in range(100)), frame("b"), frame("c"), frame("c"))
    assert served(of, 6) == "abcaca"


def test_a_ue_that_comes_late_waits_for_one_turn_of_each_other() -> None:
    of = line(*(frame(ue) for ue in "aabbaabb"))
    assert served(of, 1) == "a"
    of.come(frame("c"))
    assert "c" in served(of, 3)


def test_nobody_who_always_has_frames_gets_more_than_another() -> None:
    of, counts = line(*(frame(ue) for ue in "abcd" * 8)), Counter[str]()
    for _ in range(400):
        (one,) = of.take(0)
        of.done()
        counts[one.ue] += 1
        for _ in range(5 if one.ue == "a" else 1):  # whatever it sends
            of.come(frame(one.ue))
    assert {*counts.values()} == {100}


def test_frames_of_a_ue_are_run_in_order() -> None:
    sent = [frame("a", part=part) for part in "pqpqq"]
    of, ran = line(*sent), list[Waiting]()
    while taken := of.take(0):
        of.done()
        ran += taken
    assert ran == sent


def test_no_more_are_run_at_once_than_there_are_workers() -> None:
    two = Sharing(workers=2)
    of = line(*(frame(ue, sharing=two) for ue in "abc"))
    assert [len(of.take(0)) for _ in range(3)] == [1, 1, 0]
    of.done()
    assert of.take(0)[0].ue == "c"


def test_frames_for_the_same_part_are_run_together_once_they_are_as_many_as_may_be() -> None:
    of = line(*(frame(ue, sharing=TOGETHER) for ue in "aaaabb"))
    assert "".join(one.ue for one in of.take(0)) == "abab"
    of.done()
    assert not of.take(0)


def test_the_first_waits_so_long_for_others_and_no_longer() -> None:
    of = line(frame("a", 1, sharing=TOGETHER), frame("b", 3, sharing=TOGETHER))
    assert not of.take(int(5.9 * MS))
    assert [one.ue for one in of.take(6 * MS)] == ["a", "b"]


def test_what_waits_for_another_part_is_not_run_with_it_and_does_not_wait_for_it() -> None:
    of = line(
        frame("a", sharing=TOGETHER),
        frame("b", part="q", sharing=Sharing(most=2, wait_ns=5 * MS)),
        frame("c", part="q", sharing=Sharing(most=2, wait_ns=5 * MS)),
    )
    assert [one.ue for one in of.take(0)] == ["b", "c"]


def test_a_frame_behind_one_of_another_part_is_not_run_before_it() -> None:
    of = line(
        frame("a", sharing=TOGETHER),
        frame("b", part="q", sharing=TOGETHER),
        frame("b", sharing=TOGETHER),
    )
    assert [one.ue for one in of.take(5 * MS)] == ["a"]


def test_who_leaves_is_not_run() -> None:
    of = line(gone := frame("a"), frame("b"))
    of.leave(gone)
    assert of.take(0)[0].ue == "b"
    of.done()
    assert not of.take(0)


@pytest.mark.parametrize("most", [1, 3])
def test_a_turn_is_a_turn_however_many_frames_are_run_in_it(most: int) -> None:
    sharing = Sharing(most=most)
    of = line(*(frame("a", sharing=sharing) for _ in range(9)), frame("b", part="q"))
    assert len(of.take(0)) == most
    of.done()
    assert of.take(0)[0].ue == "b"
