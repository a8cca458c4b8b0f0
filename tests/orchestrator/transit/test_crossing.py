"""What a row says of a model that arrived over a link, and what is left of rows when one fails."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netem.spec import LinkSpec, Shape
from netem.wire import IPV6_HEADER_BYTES, wire_ms
from orchestrator.measure.arriving import Arrival
from orchestrator.results.records import MachineRecord, ProofRecord, TcpFacts
from orchestrator.transit.crossing import row_of
from orchestrator.transit.incremental import Inferring
from orchestrator.transit.row import ModelRow, kept
from splitbed.errors import NodeError
from splitbed.v1 import nodes_pb2

BYTES = 500_000
LINK = LinkSpec(uplink=Shape(rate_mbit=5, delay_ms=30), downlink=Shape(rate_mbit=20, delay_ms=40))
BOUND_MS = 30 + wire_ms(BYTES, LINK.downlink, 1208, IPV6_HEADER_BYTES)
ROW = ModelRow(
    anc_size=4_000_000, metric_name="accuracy", coder_name="int8", scenario_name="", rec_perf=0.5,
    data_set_name="", model_name="m", unique_tag="", eval_compression=True, eval_anchor=True,
    ue_perf=0.5, rec_sha256="00",
)  # fmt: skip


def arrived(link_ms: float = BOUND_MS, *, resumed: int = 0, others: float = 0.0) -> Arrival:
    """Over a link of IPv6 whose segments are of an MTU of 1280."""
    tcp = TcpFacts(
        congestion_control="cubic", retransmits=0, cwnd_segments=10, mss_bytes=1208, ip_version=6
    )
    proof = ProofRecord(uplink_mbit=5, downlink_mbit=20, rtt_min_ms=70, tcp=tcp)
    received = nodes_pb2.PartReceived(
        receive_ms=link_ms + 1,
        link_ms=link_ms,
        resumed=resumed,
        decoded=nodes_pb2.Decoded(sha256=b"\0"),
    )
    coded = nodes_pb2.CodedPart(bytes=BYTES)
    return Arrival(
        LINK, coded, received, 1.0, 1.0, (proof, proof), MachineRecord(others_share=others)
    )


def test_the_bound_is_of_the_links_own_segments_and_of_the_request() -> None:
    row = row_of(ROW, arrived(), here=True)
    assert row.link_bound_ms == pytest.approx(BOUND_MS)
    assert (row.valid, row.compares, row.fault, row.remark) == (True, True, "", "")


@pytest.mark.parametrize(("share", "valid"), [(0.985, True), (0.975, False)])
def test_nothing_comes_faster_than_physics(share: float, valid: bool) -> None:
    row = row_of(ROW, arrived(share * BOUND_MS), here=True)
    assert row.valid == valid
    assert ("faster than physics" in row.fault) != valid


def test_another_accuracy_on_this_machine_is_a_fault_and_on_another_a_remark() -> None:
    other = replace(ROW, ue_perf=0.49)
    here, there = (row_of(other, arrived(), here=one) for one in (True, False))
    assert not here.valid
    assert there.valid
    assert "another machine" in there.remark


def test_what_nothing_judges_is_valid_and_says_so() -> None:
    unknown = replace(ROW, ue_perf=float("nan"), rec_perf=float("nan"))
    row = row_of(unknown, arrived(), here=True)
    assert row.valid
    assert row.remark == "nothing in its inputs judges it"


@pytest.mark.parametrize(
    ("how", "says"),
    [({"resumed": 1}, "it was cut off"), ({"others": 0.5}, "other processes used 50%")],
)
def test_a_time_that_something_made_longer_counts_and_does_not_compare(
    how: dict[str, float], says: str
) -> None:
    row = row_of(ROW, arrived(**how), here=True)  # type: ignore[arg-type]
    assert row.valid
    assert not row.compares
    assert (row.remark or row.disturbed).startswith(says)


def test_rows_of_here_stay_until_others_take_their_place() -> None:
    here = [replace(ROW, coder_name=name) for name in ("int8", "int4")]
    written: list[list[tuple[str, float | None]]] = []

    def keep(rows: list[ModelRow]) -> None:
        written.append([(row.coder_name, row.bw_mbit) for row in rows])

    def over() -> Iterator[ModelRow]:
        yield replace(ROW, bw_mbit=5)
        raise NodeError("it died")

    with pytest.raises(NodeError):
        kept(over(), keep, here)
    assert written == [[("int8", 5), ("int4", None)]]


def test_who_waits_for_inferences_is_told_of_an_interruption() -> None:
    def infer() -> None:
        raise KeyboardInterrupt

    inferring = Inferring(infer)
    with pytest.raises(KeyboardInterrupt), inferring.going_on():
        pass
