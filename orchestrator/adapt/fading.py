"""Rates as of an uplink that fades, generated from a seed: no recordings.

In dB the rate is the sum of slow shadowing (autoregressive, with a correlation of seconds, as of
someone who walks or drives), fast fading that does not remember, and now and then (a two-state
Markov chain) a dip: a handover, or for 5G a blockage. The most is about what one uplink carrier
gives: LTE category 4 sends at most 50 Mbit/s, and 150 is of the order of 100 MHz of 5G with most of
its slots downlink. The least is a cell's edge.
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FadingUplink:
    """How an uplink fades: its median and ends, the spread in dB, and its dips."""

    median_mbit: float
    least_mbit: float
    most_mbit: float
    shadow_db: float
    fading_db: float
    correlation_s: float
    dip_db: float
    between_s: float
    dip_s: float


UPLINKS = {
    "lte": FadingUplink(12, 0.5, 50, 4, 1.5, 5, 10, 20, 1),
    "5g": FadingUplink(60, 2, 150, 4, 1.5, 3, 14, 15, 1.5),
}


def faded_mbit(uplink: FadingUplink, seed: int, count: int, each_s: float) -> list[float]:
    """So many rates, each for so many seconds; the same for the same seed."""
    random = np.random.default_rng(seed)
    kept = math.exp(-each_s / uplink.correlation_s)
    fresh = random.normal(0, uplink.shadow_db, count)
    fading = random.normal(0, uplink.fading_db, count)
    drawn = random.random(count)
    rates, shadow_db, dips = [], float(fresh[0]), False
    for place in range(count):
        shadow_db = kept * shadow_db + math.sqrt(1 - kept**2) * float(fresh[place])
        dips = drawn[place] < (each_s / uplink.between_s if not dips else 1 - each_s / uplink.dip_s)
        loss_db = uplink.dip_db if dips else 0.0
        rate = uplink.median_mbit * 10 ** ((shadow_db + float(fading[place]) - loss_db) / 10)
        rates.append(round(min(max(rate, uplink.least_mbit), uplink.most_mbit), 3))
    return rates
