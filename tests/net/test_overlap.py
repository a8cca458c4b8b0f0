"""What is large is encoded while the first of it crosses: the link does not wait for the rest."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from netem.link import Link
from netem.spec import symmetric
from orchestrator.ask.load import Load, load_named
from orchestrator.ask.sweep.cell import Cell
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.topology import PAIR
from orchestrator.measure.frames import frame_record, stages_of
from orchestrator.measure.loads.offering import Offering
from orchestrator.measure.time_limits import TimeLimits
from orchestrator.results.judgement.validity import MAX_ABS_DIFF, MAX_GAP_SHARE, MIN_OVER_BOUND
from orchestrator.results.records import FrameRecord
from orchestrator.results.statistics.times import CellTimes, cell_times
from orchestrator.testbed.model import load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.codecs.releases import encoding_ms
from splitbed.timeline import NS_PER_MS
from splitbed.v1.nodes_pb2 import LimitRequest
from tests.node.loopback import FRAME_S, Splits, free_port, small_model
from tests.node.source.test_offering import bed_of
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
    return sum(encoding_ms(releases) for _, releases in record.released)


def test_encoding_and_the_way_take_less_than_one_after_the_other(splits: Splits) -> None:
    def took_ms(*, whole: bool) -> float:
        return float(frame(splits, whole=whole)[1].ms("encode", "uplink")[0])

    def ratio() -> float:
        """Of frames one after another, the median of pairs: what others take, they take of both."""
        return float(np.median([took_ms(whole=False) / took_ms(whole=True) for _ in range(3)]))

    within(0.4, ratio, 0.85)


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
    assert record.encoded_bytes == pytest.approx(first.encoded_bytes, rel=0.001)


def offered(splits: Splits, load: Load, frames: int, *, whole: bool = False) -> list[FrameRecord]:
    """What became of frames of a load."""
    asked = replace(splits.last, link=LINK, load=load)
    splits.parts.assign(asked, whole=whole)
    limits = TimeLimits(result_bytes=32, frame_timeout_s=FRAME_S)
    offering = Offering(bed_of(splits), splits.parts, limits, seed=1)
    cell = Cell(asked, 8192, frames=frames)
    return [taken.record for taken in offering.offered(cell, asked, "attempt")]


def test_frames_that_come_by_themselves_are_sent_so_too_where_the_link_is_free(
    splits: Splits,
) -> None:
    load = load_named("fps:2", in_flight=4)

    def ratio() -> float:
        """Of what a frame takes, to that where all is encoded first."""
        took_ms = []
        for whole in (False, True):
            frames = offered(splits, load, 5, whole=whole)
            assert [frame.outcome for frame in frames] == ["ok"] * 5
            assert all(bool(frame.released) != whole for frame in frames)
            took_ms.append(float(np.median(cell_times(frames, None).e2e_ms)))
        return took_ms[0] / took_ms[1]

    within(0.4, ratio, 0.95)


def test_frames_that_follow_one_another_closely_keep_their_order(splits: Splits) -> None:
    frames = offered(splits, load_named("closed", in_flight=4), 12)
    assert [frame.outcome for frame in frames] == ["ok"] * 12
    (diff,) = {frame.max_abs_diff for frame in frames}
    assert diff is not None
    assert diff < MAX_ABS_DIFF
    (_,) = {frame.encoded_bytes for frame in frames}
    encoded, sent, came = (
        [next(one for one in frame.stages if one.name == name) for frame in frames]
        for name in ("encode", "uplink", "decode")
    )
    for stages in (encoded, sent, came):
        starts = [one.start_ns for one in stages]
        assert starts == sorted(starts)
    # one codec: a frame's encoding, with what was encoded meanwhile, ends before the next begins
    for before, after in pairwise(zip(encoded, frames, strict=True)):
        meanwhile_ns = round(overlapped_ms(before[1]) * NS_PER_MS)
        assert before[0].end_ns + meanwhile_ns <= after[0].start_ns


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
