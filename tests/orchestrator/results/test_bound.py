"""The physical floor of a frame, against figures worked out by hand."""

import pytest

from netem.spec import LinkSpec, Shape, symmetric
from netem.wire import IPV6_HEADER_BYTES, tcp_segment, wire_bytes, wire_ms
from orchestrator.results.judgement.compression import without_data_ms
from orchestrator.results.records import Hop, ProofRecord, segment_of
from orchestrator.results.statistics.bound import bound_ms, crossing_ms
from splitbed.codecs.releases import Release
from splitbed.timeline import Stage, Timeline
from tests.orchestrator.written import made_row


@pytest.mark.parametrize(
    ("payload_bytes", "frames_bytes"), [(0, 0), (1, 67), (1448, 1514), (1449, 1514 + 67)]
)
def test_wire_bytes_count_the_headers_of_every_segment(
    payload_bytes: int, frames_bytes: int
) -> None:
    assert wire_bytes(payload_bytes) == frames_bytes


def test_segments_of_a_larger_mtu_have_fewer_headers() -> None:
    assert wire_bytes(8948, 8948) == 9014
    assert wire_bytes(1_440_000, 8948) / wire_bytes(1_440_000) == pytest.approx(0.963, abs=1e-3)


@pytest.mark.parametrize(
    ("payload_bytes", "rate_mbit", "measured_ms"),
    # warm cubic through the link box, 10 ms each way: the ideal that it was compared with
    [(1_440_000, 5, 2419), (1_440_000, 100, 130), (5_760_000, 20, 2419), (5_760_000, 100, 492)],
)
def test_wire_time_is_what_an_ideal_transfer_takes(
    payload_bytes: int, rate_mbit: float, measured_ms: float
) -> None:
    shape = Shape(rate_mbit=rate_mbit, delay_ms=10)
    assert wire_ms(payload_bytes, shape) == pytest.approx(measured_ms, abs=1)


def timeline(**ends_ms: float) -> Timeline:
    """Stages that follow one another, by their ends in ms."""
    begin, stages = 0, []
    for name, end_ms in ends_ms.items():
        stages.append(Stage(name, begin, begin := int(end_ms * 1e6)))
    return Timeline(stages)


def test_the_bound_is_the_nodes_work_and_the_wire_both_ways() -> None:
    link = LinkSpec(
        uplink=Shape(rate_mbit=8, delay_ms=10), downlink=Shape(rate_mbit=80, delay_ms=1)
    )
    frame = timeline(part1=5, encode=6, uplink=200, decode=202, part2=222, result=223, downlink=230)
    # up: (1448 + 66) * 8 / 8000 = 1.514 ms + 10; down: 1514 * 8 / 80000 = 0.1514 ms + 1
    on_nodes_ms = 5 + 1 + 2 + 20 + 1
    assert bound_ms(frame, (Hop("uplink", 1448), Hop("downlink", 1448)), link) == pytest.approx(
        on_nodes_ms + 11.514 + 1.1514
    )


def test_each_hop_is_bound_by_the_link_that_it_takes() -> None:
    slow, fast = symmetric(rate_mbit=8, delay_ms=10), symmetric(rate_mbit=80, delay_ms=1)
    frame, segment_ms = timeline(encode=1, uplink=20, part1=25, downlink2=40, decode=41), 1.514
    sent = (Hop("uplink", 1448), Hop("downlink2", 1448))
    hops_ms = segment_ms + 10 + segment_ms / 10 + 1
    assert bound_ms(frame, sent, slow, fast) == pytest.approx(1 + 5 + 1 + hops_ms)


def test_what_is_encoded_last_crosses_after_it_is_encoded() -> None:
    link, sent = symmetric(rate_mbit=8, delay_ms=10), [Hop("uplink", 2896), Hop("downlink", 1448)]
    segment_ms = 1.514
    for last_ms, up_ms in ((1, 2 * segment_ms), (4, 4 + segment_ms)):
        released = {"uplink": [Release(last_ms * 1_000_000, 1448)]}
        floor_ms = crossing_ms(sent, [link], released=released)
        assert floor_ms == pytest.approx(up_ms + segment_ms + 20)


def test_the_device_anchor_is_bound_by_its_own_work_alone() -> None:
    frame = timeline(part1=5, result=6)
    assert bound_ms(frame, (), symmetric(rate_mbit=5, delay_ms=50)) == pytest.approx(6)


def test_the_end_to_end_time_leaves_preprocessing_out() -> None:
    assert timeline(preprocess=50, part1=60, result=61).e2e_ms == 11


def test_time_that_no_stage_explains_is_a_gap_and_overlap_is_counted_once() -> None:
    overlapping = [Stage("part1", 0, 60), Stage("encode", 50, 70), Stage("uplink", 80, 100)]
    assert Timeline(overlapping).gap_share == pytest.approx(0.1)


@pytest.mark.parametrize(("mss_bytes", "segments"), [(None, 62), (1448, 62), (8948, 10)])
def test_what_compression_can_save_counts_the_headers_of_the_path(
    mss_bytes: int | None, segments: int
) -> None:
    # of two machines, whose one-way times are not known
    row = made_row(
        e2e_ms=300.0, network_ms=200.0, uplink_ms=None, delay_ms=10.0, downlink_delay_ms=10.0,
        downlink_mbit=8.0, result_bytes=89_480, mss_bytes=mss_bytes,
    )  # fmt: skip
    back_ms = 89.48 + segments * 0.066
    assert without_data_ms(row) == pytest.approx(300 - (200 - 20 - back_ms))


def test_the_segment_of_an_mtu() -> None:
    assert [tcp_segment(mtu).payload_bytes for mtu in (1500, 9000)] == [1448, 8948]
    assert tcp_segment(1500, ipv6=True) == (1428, IPV6_HEADER_BYTES)


def test_each_link_s_segments_and_headers_are_in_the_bound_of_its_hop() -> None:
    links = [symmetric(rate_mbit=8), symmetric(rate_mbit=80)]
    six = ProofRecord.from_plain(
        {"uplink_mbit": 80, "downlink_mbit": 80, "rtt_min_ms": 1}
        | {
            "tcp": {"congestion_control": "cubic", "retransmits": 0, "cwnd_segments": 10}
            | {"mss_bytes": 1428, "ip_version": 6}
        }
    )
    segments = [segment_of([]), segment_of([six])]
    assert segments == [(1448, 66), (1428, 86)]
    sent = [Hop("uplink", 14_480), Hop("uplink2", 14_280)]
    # ten full frames of 1514 bytes on either
    assert crossing_ms(sent, links, segments) == pytest.approx(10 * 1514 * 8 * (1 / 8e3 + 1 / 8e4))
