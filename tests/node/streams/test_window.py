"""When frames may follow one another on a link, with a clock that the test owns."""

import pytest

from splitbed.node.streams.window import Window

RATE_MBIT, MB = 20.0, 1_000_000
TAKES_S = MB * 1514 / 1448 / (RATE_MBIT * 125e3)


def test_a_frame_may_follow_shortly_before_the_last_has_left() -> None:
    window = Window()
    assert window.early_s(5) <= 0
    assert window.enter((1, 1), MB, RATE_MBIT, 10, 5)
    assert window.early_s(5) == pytest.approx(TAKES_S - 0.01)
    assert window.early_s(5 + TAKES_S) <= 0


def test_where_a_link_is_slower_than_is_known_it_holds_one_frame_more_than_its_delays() -> None:
    window = Window()
    assert window.enter((1, 1), MB, RATE_MBIT, 10, 0)
    assert window.enter((1, 2), MB, RATE_MBIT, 10, 1)
    assert not window.enter((1, 3), MB, RATE_MBIT, 10, 2)
    window.arrived(1, 1)
    assert window.enter((1, 3), MB, RATE_MBIT, 10, 2)


def test_delays_hold_frames_of_their_own() -> None:
    window = Window()
    count = sum(window.enter((1, n), 50_000, RATE_MBIT, 100, 0) for n in range(20))
    assert count == 250_000 / 50_000 + 2


@pytest.mark.parametrize("slower", [1.0, 1.5])
@pytest.mark.parametrize("frame_bytes", [20_000, 300_000, 2_000_000])
@pytest.mark.parametrize("rtt_s", [0.0002, 0.02, 0.2])
def test_a_link_never_idles_and_what_waits_on_it_is_bounded(
    frame_bytes: int, rtt_s: float, slower: float
) -> None:
    """A link that sends one frame after another, each told a round trip after it has left."""
    window, takes_s = Window(), slower * frame_bytes * 1514 / 1448 / (RATE_MBIT * 125e3)
    now_s, free_s, idle_s, number = 0.0, 0.0, 0.0, 0
    told: list[tuple[float, int]] = []  # when it is known that a frame has arrived
    while number < 200:
        now_s += max(window.early_s(now_s), 0)
        while told and told[0][0] <= now_s:
            window.arrived(1, told.pop(0)[1])
        if window.enter((1, number), frame_bytes, RATE_MBIT, rtt_s * 1e3, now_s):
            idle_s += max(now_s - free_s, 0)
            free_s = max(free_s, now_s) + takes_s
            told.append((free_s + rtt_s, number))
            number += 1
            most_s = 0.01 + takes_s if slower == 1 else slower * rtt_s + 2 * takes_s
            assert free_s - now_s <= most_s + 1e-9
        else:
            now_s = told[0][0]
    assert idle_s < 1e-9
