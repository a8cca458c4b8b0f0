"""What is on its way over a link: no more than it holds, and one frame."""

import pytest

from splitbed.node.streams.window import Window, holds


def test_a_link_of_20_mbit_and_10_ms_holds_25_kb() -> None:
    assert holds(20, 10) == 25_000


def test_a_second_frame_follows_while_the_first_is_on_its_way_and_a_third_waits() -> None:
    window = Window()
    assert window.enter(1, 1, 1_000_000, 25_000)
    assert window.enter(1, 2, 1_000_000, 25_000)
    assert not window.enter(1, 3, 1_000_000, 25_000)
    window.arrived(1, 1)
    assert window.enter(1, 3, 1_000_000, 25_000)


@pytest.mark.parametrize("frame_bytes", [20_000, 300_000, 2_000_000])
@pytest.mark.parametrize("rtt_ms", [0.2, 20, 200])
def test_a_link_never_idles_and_what_waits_on_it_is_bounded(
    frame_bytes: int, rtt_ms: float
) -> None:
    """A link that sends one frame after another, each told half a round trip after it came."""
    rate_mbit, window = 20.0, Window()
    holds_bytes, takes_ms = holds(rate_mbit, rtt_ms), frame_bytes / rate_mbit / 125
    now_ms, free_ms, idle_ms, number = 0.0, 0.0, 0.0, 0
    told: list[tuple[float, int]] = []  # when it is known that a frame has arrived
    while number < 200:
        if window.enter(1, number, frame_bytes, holds_bytes):
            idle_ms += max(now_ms - free_ms, 0)
            free_ms = max(free_ms, now_ms) + takes_ms
            told.append((free_ms + rtt_ms, number))
            number += 1
            assert free_ms - now_ms <= rtt_ms + 2 * takes_ms + 1e-6  # itself, and one before it
        else:
            now_ms, arrived = told.pop(0)
            window.arrived(1, arrived)
    assert idle_ms < 1e-6
