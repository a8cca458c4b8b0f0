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
from orchestrator.adapt.bandwidth import bandwidth_trace
from orchestrator.adapt.replay import REFRESH_S, LinkReplay

_SO_TIMESTAMPNS = 35  # the kernel's time of arrival, however late this process reads

pytestmark = pytest.mark.measures


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


def test_in_an_outage_nothing_arrives_and_after_it_all_does_in_order(
    link: Link, tmp_path: Path
) -> None:
    (file := tmp_path / "trace.txt").write_text("0 20\n0.5 0\n1.2 5\n")
    receiver, sender = (end.open_socket(socket.SOCK_DGRAM) for end in (link.edge, link.ue))
    with receiver, sender, ThreadPoolExecutor(1) as beside:
        receiver.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        receiver.bind((link.edge_address, 0))
        receiver.settimeout(2)
        sender.connect(receiver.getsockname())
        sent = 0
        with LinkReplay(link, bandwidth_trace(str(file)), LINKS) as replay:
            began_ns = time.time_ns() - round(replay.now_s * 1e9)
            arriving = beside.submit(arrivals, receiver, began_ns)
            while replay.now_s < 1.5:
                sender.send(sent.to_bytes(4) + bytes(496))
                sent += 1
                time.sleep(0.003)
        replay.check()
        arrived = arriving.result()
    assert [number for number, _ in arrived] == list(range(sent))
    [_, (_, out_s, _), (_, over_s, after_mbit)] = replay.changes
    assert after_mbit == 5
    on_the_way_s = 0.005 + 0.01
    assert not [at_s for _, at_s in arrived if out_s + on_the_way_s < at_s < 1.2]
    held = [at_s for _, at_s in arrived if at_s >= 1.2]
    # one after another at the rate of after, once the end's lateness is over: each takes 0.87 ms
    assert held[100] - held[40] == pytest.approx(60 * 542 * 8 / 5e6, rel=0.1)
    assert held[0] < over_s + 0.005 + 2 * REFRESH_S
