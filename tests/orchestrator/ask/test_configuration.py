"""What names a configuration, and what may be said of it."""

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from orchestrator.ask.links import link_at
from orchestrator.ask.pace import Pace
from orchestrator.ask.sweep.config import sweep_config
from splitbed.errors import UsageError

ANY = Configuration(2, 6, "middle", "int8+zstd")
LINK = symmetric(rate_mbit=20, delay_ms=5)


def test_whatever_differs_of_what_is_measured_differs_in_its_key() -> None:
    every = [
        ANY,
        Configuration(3, 6, "middle", "int8+zstd"),
        Configuration(2, 6, "middle"),
        ANY.over([LINK], Pace()),
        ANY.over([symmetric(rate_mbit=20)], Pace()),
        ANY.over([LINK], Pace(slowdown=2)),
        ANY.over([LINK], Pace(cpus=2)),
    ]
    assert len({one.key for one in every}) == len(every)


def test_over_a_link_it_is_the_same_split_and_codec() -> None:
    there = ANY.over([LINK], Pace(slowdown=2))
    assert (there.split, there.words) == (ANY.split, ANY.words) == ("2:4", "middle int8+zstd")
    assert there.key == "2:4 int8+zstd over 20 Mbit/s, 5 ms on UE 2x slower"


def test_nothing_crosses_at_the_device_anchor() -> None:
    device = Configuration(6, 6, "device anchor", "none")
    assert not device.crosses
    assert device.lossless
    assert not ANY.lossless


def test_a_link_of_a_plan_holds_what_it_has_in_flight() -> None:
    assert link_at(20, 0).uplink.queue_packets == 1000
    fast = link_at(1000, 50).uplink
    assert fast.queue_packets >= fast.packets_in_flight > 1000


def test_a_change_is_checked_as_the_first_was_and_makes_the_links_anew() -> None:
    config = sweep_config({"model": "m", "bw": "5"})
    (link,) = config.replaced(bw=(7,)).links
    assert link.uplink.rate_mbit == 7
    for change in ({"bw": (0,)}, {"runs": 1}, {"jitter_ms": (5,)}, {"speed": 3}):
        with pytest.raises(UsageError):
            config.replaced(**change)


def test_what_was_not_given_stays_not_given() -> None:
    config = sweep_config({"model": "m"}).replaced(bw=(7,))
    assert config.model_fields_set == {"model", "bw"}
