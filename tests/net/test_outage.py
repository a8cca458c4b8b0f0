"""An outage of a bandwidth trace on a link that the kernel shapes."""

import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from netem.link import Link
from netem.spec import symmetric
from orchestrator.adapt.bandwidth import BandwidthTrace
from orchestrator.adapt.named import bandwidth_trace
from orchestrator.adapt.replay import LinkReplay
from tests.shared_machine import within

_SO_TIMESTAMPNS = 35  # the kernel's time of arrival, however late this process reads

pytestmark = pytest.mark.measures

OVER_S = 1.2
LINKS = {rate: symmetric(rate_mbit=rate, delay_ms=5) for rate in (20.0, 5.0)}


def arrivals(receiver: socket.socket, began_ns: int) -> list[tuple[int, float]]:
    """The number of each datagram and when it came, in seconds, until none comes."""
    arrived = []
    with suppress(TimeoutError):
        while True:
            datagram, [(_, _, stamp)], _, _ = receiver.recvmsg(600, 100)
            seconds, ns = struct.unpack("qq", stamp)
            at_s = (seconds * 10**9 + ns - began_ns) / 1e9
            arrived.append((int.from_bytes(datagram[:4]), at_s))
    return arrived


def held(link: Link, trace: BandwidthTrace) -> list[float]:
    """When came what was sent before the outage was over; nothing is lost, all is in order."""
    receiver, sender = (end.open_socket(socket.SOCK_DGRAM) for end in (link.edge, link.ue))
    with receiver, sender, ThreadPoolExecutor(1) as beside:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receiver.bind((link.edge_address, 0))
        receiver.settimeout(2)
        sender.connect(receiver.getsockname())
        sent_s: list[float] = []
        with LinkReplay(link, trace, LINKS) as replay:
            began_ns = time.time_ns() - round(replay.now_s * 1e9)
            arriving = beside.submit(arrivals, receiver, began_ns)
            while replay.now_s < OVER_S + 0.3:
                sent_s.append(replay.now_s)
                sender.send((len(sent_s) - 1).to_bytes(4) + bytes(496))
                time.sleep(0.003)
        replay.check()
        arrived = arriving.result()
    assert [number for number, _ in arrived] == [*range(len(sent_s))]
    [_, (_, out_s, _), (_, _, after_mbit)] = replay.changes
    assert after_mbit == 5
    met = [at_s for number, at_s in arrived if out_s <= sent_s[number] < OVER_S]
    assert met[0] >= OVER_S
    return met


def test_in_an_outage_nothing_arrives_and_after_it_all_does_in_order_at_the_rate_of_after(
    link: Link, tmp_path: Path
) -> None:
    (file := tmp_path / "trace.txt").write_text(f"0 20\n0.5 0\n{OVER_S} 5\n")
    trace = bandwidth_trace(str(file))

    def pace_s() -> float:
        met = held(link, trace)
        return met[100] - met[40]  # by then the lateness of the outage's end is over

    each_s = 542 * 8 / 5e6
    within(60 * each_s * 0.9, pace_s, 60 * each_s * 1.1)
