"""How close a link is to what was asked: rate, round trip, loss, and the time a change takes."""

import math
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from netem.backends import AUTO, open_link
from netem.link import Link
from netem.spec import LinkSpec, Shape, symmetric
from tests.bench.figure import Bar, Figure, median
from tests.net.traffic import SEGMENT_SHARE, delivered, goodput_mbit

_RATES_MBIT, _TRANSFERS, _TRANSFER_S = (5.0, 20.0, 100.0, 150.0), 5, 2.4
_DELAYS_MS, _PING_RUNS, _PINGS, _PING_BYTES = (0.0, 10.0, 50.0), 7, 15, 98
_LOSSES_PCT, _DATAGRAMS = (1.0, 5.0), 10_000
_SIGMAS = 3.29  # 99.9 % of a binomial distribution
_CHANGES = 20


def figures(folder: Path) -> Iterator[Figure]:
    """The link that this machine would use for a sweep."""
    with open_link(AUTO, folder) as link:
        for delay_ms in _DELAYS_MS:
            yield _round_trip(link, delay_ms)
        for loss_pct in _LOSSES_PCT:
            yield _loss(link, loss_pct)
        for rate_mbit in _RATES_MBIT:
            yield _goodput(link, rate_mbit)
        yield _change(link, "unused link")
        yield _change_under_load(link)


def _goodput(link: Link, rate_mbit: float) -> Figure:
    """Both directions in turns; the first third of each transfer warms its connection."""
    link.shape(symmetric(rate_mbit=rate_mbit))
    shares = [
        goodput_mbit(link, _TRANSFER_S, downlink=bool(turn % 2)) / (rate_mbit * SEGMENT_SHARE)
        for turn in range(_TRANSFERS)
    ]
    what = f"TCP goodput / what {rate_mbit:g} Mbit/s allow ({link.backend})"
    return median(what, "", shares, Bar(0.99, 1.01))


def _round_trip(link: Link, delay_ms: float) -> Figure:
    """Each sample is the mean of a few pings: of longer trips ping prints whole ms only."""
    spec = symmetric(rate_mbit=100, delay_ms=delay_ms)
    link.shape(spec)
    ping = ["ping", "-n", "-q", "-c", str(_PINGS), "-i", "0.02", link.edge_address]
    means = [re.findall(r" = [\d.]+/([\d.]+)/", link.ue.run(ping)) for _ in range(_PING_RUNS)]
    nominal_ms = 2 * (delay_ms + spec.uplink.serialisation_ms(_PING_BYTES))
    within_ms = max(1.0, 0.02 * nominal_ms) * (1 if link.backend == "linkbox" else 0.5)
    added_ms = [float(ms) - nominal_ms for (ms,) in means]
    what = f"round trip added to {delay_ms:g} ms each way ({link.backend})"
    return median(what, "ms", added_ms, Bar(-within_ms, within_ms))


def _loss(link: Link, loss_pct: float) -> Figure:
    """UDP over the uplink alone."""
    clean = Shape(rate_mbit=100)
    link.shape(LinkSpec(uplink=Shape(rate_mbit=100, loss_pct=loss_pct), downlink=clean))
    lost_pct = 100 * (1 - delivered(link, _DATAGRAMS) / _DATAGRAMS)
    band_pct = _SIGMAS * math.sqrt(loss_pct * (100 - loss_pct) / _DATAGRAMS)
    bar = Bar(loss_pct - band_pct, loss_pct + band_pct)
    return Figure(f"loss asked {loss_pct:g} %, of {_DATAGRAMS} datagrams", lost_pct, "%", bar)


def _change(link: Link, where: str) -> Figure:
    """Both directions set and read back, each time another shape."""
    changes_ms = []
    for turn in range(_CHANGES):
        spec = symmetric(rate_mbit=50 + turn, delay_ms=turn % 3)
        start = time.perf_counter()
        link.shape(spec)
        changes_ms.append((time.perf_counter() - start) * 1e3)
        time.sleep(0.05)
    return median(f"change of both directions, {where}", "ms", changes_ms, Bar(most=10))


def _change_under_load(link: Link) -> Figure:
    busy = threading.Thread(target=lambda: goodput_mbit(link, _CHANGES * 0.05 + 1))
    busy.start()
    figure = _change(link, "link busy with TCP")
    busy.join()
    return figure
