"""What a link does to traffic, on whichever backend this machine has."""

import math
import socket
import time
from pathlib import Path

import pytest

from netem.backends import check_rates, choose, open_link
from netem.link import DEVICE, Link
from netem.probe.client import prove
from netem.probe.proof import Proof, judge, nominal_rtt_ms
from netem.probe.server import ProbeServer
from netem.spec import LinkSpec, Shape, symmetric
from netem.wire import wire_bytes
from splitbed.errors import LinkError, UsageError
from tests.net.traffic import SEGMENT_SHARE, carry, connected, delivered, goodput_mbit
from tests.shared_machine import within

pytestmark = pytest.mark.measures


def proof_of(link: Link, spec: LinkSpec, attempts: int = 6) -> Proof:
    udp = socket.SOCK_DGRAM
    with ProbeServer(link.edge_address, opened=link.edge.open_socket(udp)) as server:
        opened = link.ue.open_socket(udp)
        return prove(server.address, server.token, spec, attempts=attempts, opened=opened)


@pytest.mark.parametrize("rate_mbit", [5, 20, 100])
@pytest.mark.parametrize("downlink", [False, True], ids=["uplink", "downlink"])
def test_tcp_gets_what_the_rate_allows(link: Link, rate_mbit: float, downlink: bool) -> None:
    link.shape(symmetric(rate_mbit=rate_mbit, delay_ms=5))
    # 1 % is the link's; cubic may end a window on a burst, worth 64 KB in a second at 5 Mbit/s.
    ideal = rate_mbit * SEGMENT_SHARE
    within(0.98, lambda: goodput_mbit(link, 1.5, downlink=downlink) / ideal, 1.02)


@pytest.mark.parametrize("delay_ms", [0, 10])
def test_a_round_trip_takes_both_delays(link: Link, delay_ms: float) -> None:
    spec = symmetric(rate_mbit=20, delay_ms=delay_ms)
    link.shape(spec)
    # The link box adds 0.4 to 0.6 ms; other work on the machine adds more, so the least counts.
    nominal = nominal_rtt_ms(spec)
    within(nominal - 0.1, lambda: proof_of(link, spec, 1).rtt_min_ms, nominal + 1)


def test_a_link_is_proved_over_ipv6_as_it_is_over_ipv4(link: Link) -> None:
    # slow, so that 20 bytes more in each header would show in rate and round trip
    spec = LinkSpec(uplink=Shape(rate_mbit=1, delay_ms=5), downlink=Shape(rate_mbit=2))
    link.shape(spec)
    udp, six = socket.SOCK_DGRAM, socket.AF_INET6
    for end, address in ((link.ue, "fd00::1"), (link.edge, "fd00::2")):
        end.run(["tee", f"/proc/sys/net/ipv6/conf/{DEVICE}/disable_ipv6"], given="0")
        end.run(["ip", "address", "add", f"{address}/64", "dev", DEVICE, "nodad"])
    with ProbeServer("fd00::2", opened=link.edge.open_socket(udp, six)) as server:
        opened = link.ue.open_socket(udp, six)
        proof = prove(server.address, server.token, spec, opened=opened)
    assert judge(proof, spec) is None, proof


def test_both_ends_count_what_crosses(link: Link) -> None:
    link.shape(symmetric(rate_mbit=100))
    nbytes = 200_000
    before = link.ue.counters()[DEVICE], link.edge.counters()[DEVICE]
    carry(link, nbytes)
    ue, edge = link.ue.counters()[DEVICE], link.edge.counters()[DEVICE]
    ue, edge = ue.since(before[0]), edge.since(before[1])
    assert (edge.received_bytes, edge.received_packets) == (ue.sent_bytes, ue.sent_packets)
    # acknowledgements may be under way still
    assert ue.received_bytes <= edge.sent_bytes < ue.sent_bytes / 10
    assert wire_bytes(nbytes) <= ue.sent_bytes <= wire_bytes(nbytes) * 1.01 + 2000


def test_each_direction_has_its_own_rate(link: Link) -> None:
    spec = LinkSpec(uplink=Shape(rate_mbit=5), downlink=Shape(rate_mbit=20))
    link.shape(spec)
    proof = proof_of(link, spec)
    assert judge(proof, spec) is None, proof


def test_a_link_of_another_rate_is_not_proved(link: Link) -> None:
    link.shape(symmetric(rate_mbit=20))
    asked = symmetric(rate_mbit=22)
    reason = judge(proof_of(link, asked, 3), asked)
    assert reason is not None
    assert "uplink" in reason


def test_a_link_of_another_delay_is_not_proved(link: Link) -> None:
    link.shape(symmetric(rate_mbit=20, delay_ms=5))
    asked = symmetric(rate_mbit=20, delay_ms=10)
    reason = judge(proof_of(link, asked, 3), asked)
    assert reason is not None
    assert "round trip" in reason


@pytest.mark.parametrize("loss_pct", [1, 5])
def test_loss_is_within_the_binomial_band_and_one_way_only(link: Link, loss_pct: float) -> None:
    clean = Shape(rate_mbit=100)
    link.shape(LinkSpec(uplink=Shape(rate_mbit=100, loss_pct=loss_pct), downlink=clean))
    datagrams, p = 5000, loss_pct / 100
    spread = 4 * math.sqrt(p * (1 - p) / datagrams)  # four sigmas: once in 16000
    within(p - spread, lambda: 1 - delivered(link, datagrams) / datagrams, p + spread)


def test_a_link_that_loses_nothing_delivers_everything(link: Link) -> None:
    link.shape(symmetric(rate_mbit=100))
    within(2000, lambda: delivered(link, 2000), 2000)


def test_jitter_spreads_the_round_trip(link: Link) -> None:
    spec = symmetric(rate_mbit=20, delay_ms=10, jitter_ms=5)
    link.shape(spec)
    proof = proof_of(link, spec)
    # Ten sums of two delays, each even over ±5 ms: their median exceeds the least by 1.5 ms or
    # more in all but one of 10^4 runs; other work on the machine spreads them further.
    assert proof.rtt_median_ms - proof.rtt_min_ms > 1
    assert judge(proof, spec) is None, proof


def test_a_change_at_run_time_is_as_nothing_to_bringing_a_link_up(
    backend: str, tmp_path: Path
) -> None:
    start_s = time.perf_counter()
    with open_link(backend, tmp_path) as fresh:
        fresh.shape(symmetric(rate_mbit=5))
        up_s = time.perf_counter() - start_s

        def change_s(rate_mbit: float) -> float:
            start_s = time.perf_counter()
            fresh.shape(symmetric(rate_mbit=rate_mbit))
            return time.perf_counter() - start_s

        # 1.5 ms seen on the link box, 6 on native, of 500 and more
        assert min(change_s(rate_mbit) for rate_mbit in range(10, 30)) < up_s / 20


def test_the_kernel_reads_back_what_was_asked(link: Link) -> None:
    spec = LinkSpec(
        uplink=Shape(rate_mbit=12.5, delay_ms=7.25, jitter_ms=1.5, loss_pct=0.3, queue_packets=77),
        downlink=Shape(rate_mbit=50),
    )
    link.shape(spec)
    taken = link.read_back()
    # tc cuts delays to whole microseconds.
    assert taken.uplink.model_dump() == pytest.approx(spec.uplink.model_dump(), abs=1.5e-3)
    assert taken.downlink == spec.downlink


def test_a_shape_leaves_nothing_of_the_earlier_one(link: Link) -> None:
    link.shape(symmetric(rate_mbit=10, delay_ms=5, jitter_ms=1, loss_pct=2, queue_packets=50))
    link.shape(symmetric(rate_mbit=40))
    assert link.read_back() == symmetric(rate_mbit=40)


def test_tcp_uses_cubic_and_forgets_nothing_while_idle(link: Link) -> None:
    sender, receiver = connected(link.ue, link.edge, link.edge_address)
    with sender, receiver:
        used = sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    assert used.rstrip(b"\0") == b"cubic"
    for end in (link.ue, link.edge):
        assert end.run(["cat", "/proc/sys/net/ipv4/tcp_slow_start_after_idle"]).strip() == "0"
        assert end.run(["cat", "/proc/sys/net/ipv4/tcp_no_metrics_save"]).strip() == "1"


def test_two_links_at_once_do_not_disturb_each_other(
    link: Link, backend: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    mine, others = symmetric(rate_mbit=20, delay_ms=5), symmetric(rate_mbit=5)
    link.shape(mine)
    with open_link(backend, tmp_path_factory.mktemp("other")) as other:
        other.shape(others)
        assert link.read_back() == mine
        assert judge(proof_of(link, mine), mine) is None
        assert judge(proof_of(other, others), others) is None
    assert judge(proof_of(link, mine), mine) is None


def test_a_rate_beyond_the_backend_is_refused_with_who_could(link: Link) -> None:
    beyond = symmetric(rate_mbit=link.rates.most_mbit + 1)
    with pytest.raises(UsageError, match=f"backend {link.backend} does accurately"):
        link.shape(beyond)
    with pytest.raises(UsageError, match="could"):
        check_rates(link.backend, beyond)


def test_an_unshaped_link_has_nothing_to_read_back(backend: str, tmp_path: Path) -> None:
    with open_link(backend, tmp_path) as fresh, pytest.raises(LinkError, match="no netem"):
        fresh.read_back()


def test_a_program_runs_inside_an_end(link: Link) -> None:
    shown = link.edge.run(["ip", "-4", "-o", "address"])
    assert link.edge_address in shown
    assert link.ue_address not in shown


def test_auto_chooses_what_can_be_chosen(backend: str) -> None:
    assert choose(backend) == choose("auto")
