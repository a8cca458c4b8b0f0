"""What is large is encoded while the first of it crosses: the link does not wait for the rest."""

from collections.abc import Iterator

import pytest

from netem.link import Link
from netem.spec import symmetric
from netem.wire import wire_ms
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.topology import PAIR
from orchestrator.measure.frames import frame_record, stages_of
from orchestrator.results.judgement.validity import MAX_ABS_DIFF, MAX_GAP_SHARE, MIN_OVER_BOUND
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.times import CellTimes, cell_times
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.timeline import NS_PER_MS
from splitbed.v1.nodes_pb2 import LimitRequest
from tests.node.loopback import Splits, free_port, small_model
from tests.shared_machine import within

pytestmark = pytest.mark.measures
LINK = symmetric(rate_mbit=50, delay_ms=2)
CUT, CODEC = 2, "zstd:9"
"""1.6 MB cross there, and encoding them takes about as long as the link takes what it gives."""


@pytest.fixture(scope="module")
def splits(link: Link, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    folder = tmp_path_factory.mktemp("overlap")
    config = sweep_config({"model": str(small_model(folder / "small.onnx", side=224))})
    with scratch() as space:
        model = load_model(config, folder)
        link.shape(LINK)
        with Pair(local_nodes({PAIR: link}, space, free_port()), model) as pair:
            (found := Splits(pair, model, warmup=1)).load(CUT, CODEC)
            yield found


def frame(splits: Splits, *, whole: bool = False) -> tuple[FrameRecord, CellTimes]:
    splits.parts.assign(splits.last, whole=whole)
    said = splits.run()
    record = frame_record(said, "", 0, stages_of(said), 0.0)
    return record, cell_times([record], None)


def overlapped_ms(record: FrameRecord) -> float:
    return sum(ns for _, ns in record.encoding) / NS_PER_MS


def test_encoding_and_the_way_take_less_than_one_after_the_other(splits: Splits) -> None:
    def hidden() -> float:
        """Of the shorter of the two, what share was done meanwhile."""
        record, times = frame(splits)
        meanwhile_ms = overlapped_ms(record)
        on_wire_ms = wire_ms(record.encoded_bytes, LINK.uplink)
        both_ms = float(times.ms("encode", "uplink")[0])
        apart_ms = float(times.ms("encode")[0]) + meanwhile_ms + on_wire_ms
        return (apart_ms - both_ms) / min(meanwhile_ms, on_wire_ms)

    within(0.6, hidden, 1.0)


def test_stages_explain_the_time_and_none_beats_its_floor(splits: Splits) -> None:
    def most_off() -> float:
        record, times = frame(splits)
        assert times.e2e_ms[0] / times.bound_ms([record], LINK)[0] > MIN_OVER_BOUND
        return float(times.gap_share[0])

    within(0, most_off, MAX_GAP_SHARE)


def test_what_comes_is_what_comes_where_all_is_encoded_first(splits: Splits) -> None:
    record, first = frame(splits)[0], frame(splits, whole=True)[0]
    assert overlapped_ms(record) > 0 == overlapped_ms(first)
    assert record.max_abs_diff is not None
    assert record.max_abs_diff == first.max_abs_diff
    assert record.max_abs_diff < MAX_ABS_DIFF
    assert record.intermediate_bytes == first.intermediate_bytes > 1_000_000
    assert record.encoded_bytes == pytest.approx(first.encoded_bytes, rel=0.01)


def test_a_slowed_ue_encodes_each_piece_as_slowly(splits: Splits) -> None:
    def encoding_ms() -> float:
        record, times = frame(splits)
        return float(times.ms("encode")[0]) + overlapped_ms(record)

    def times_slower() -> float:
        own_ms = encoding_ms()
        splits.pair.limit_ue(LimitRequest(slowdown=3), 3)
        try:
            return encoding_ms() / own_ms
        finally:
            splits.pair.limit_ue(LimitRequest(slowdown=1), 1)

    within(2.0, times_slower, 4.0)
