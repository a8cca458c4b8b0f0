"""Nodes that hold several splits, and switch between frames."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from netem.spec import symmetric
from orchestrator.ask.configuration import Configuration
from splitbed.errors import NodeError
from splitbed.flow import Span
from splitbed.graphs.formats import load_graph
from splitbed.graphs.parts import extract_part, store
from splitbed.node.config import Limits
from splitbed.node.delivery import CutPart, span_message
from splitbed.node.model_info import info_of
from splitbed.node.parts.held import HeldParts
from splitbed.v1 import nodes_pb2
from tests.node.loopback import FRAME_S, Splits, loopback_pair, small_model

HELD = (0, 2, 3)
LINK = symmetric(rate_mbit=20)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Splits]:
    with loopback_pair(tmp_path_factory.mktemp("pair")) as both:
        yield Splits(*both)


@pytest.fixture
def splits(shared: Splits) -> Splits:
    hold(shared, [shared.asked(layers) for layers in HELD])
    return shared


def hold(splits: Splits, every: Sequence[Configuration]) -> None:
    splits.parts.forget()
    splits.parts.hold(every)


def test_each_frame_runs_the_split_that_it_is_assigned_to(splits: Splits) -> None:
    crossing: dict[int, int] = {}
    for frame, layers in enumerate((0, 2, 3, 2, 0)):
        record = splits.run(frame, of=splits.asked(layers))
        assert record.max_abs_diff <= 1e-6
        assert crossing.setdefault(layers, record.intermediate_bytes) == record.intermediate_bytes
    assert crossing[0] < crossing[2] < crossing[3]  # one picture, one map, two maps


def test_a_frame_of_an_assignment_that_does_not_hold_is_refused_with_those_that_do(
    splits: Splits,
) -> None:
    number = splits.parts.assignment(splits.asked(3))
    held = ", ".join(str(splits.parts.assignment(splits.asked(layers))) for layers in HELD)
    with pytest.raises(NodeError, match=f"no assignment {number + 1} holds here, only {held}"):
        splits.pair.ways.run_frame(0, 0, FRAME_S, number + 1)
    assert splits.run(of=splits.asked(2)).max_abs_diff <= 1e-6


def test_an_assignment_whose_part_is_held_no_longer_is_refused_with_those_that_are(
    splits: Splits,
) -> None:
    splits.parts.load(splits.asked(4))
    with pytest.raises(NodeError, match=r"holds no part of the layers 0-2, only 0-4: load it"):
        splits.run(of=splits.asked(2))


def test_an_assignment_takes_the_place_of_all_that_are_not_kept(splits: Splits) -> None:
    number = splits.parts.assignment(splits.asked(3))
    splits.parts.assign(splits.asked(2, "fp16"), keep=[splits.parts.assignment(splits.asked(0))])
    with pytest.raises(NodeError, match=f"no assignment {number} holds"):
        splits.pair.ways.run_frame(0, 0, FRAME_S, number)
    for asked in (splits.asked(0), splits.asked(2, "fp16")):
        assert splits.run(of=asked).frame == 0


def test_a_split_may_be_held_with_several_codecs(shared: Splits) -> None:
    every = [shared.asked(2, "raw"), shared.asked(3), shared.asked(2, "fp16")]
    hold(shared, every)
    raw, other, halved, again = (shared.run(of=one) for one in (*every, every[0]))
    assert raw.encoded_bytes == raw.intermediate_bytes == again.encoded_bytes
    assert halved.encoded_bytes == halved.intermediate_bytes // 2
    assert other.encoded_bytes == other.intermediate_bytes


def test_a_split_that_is_held_is_come_back_to_without_loading_it(shared: Splits) -> None:
    shared.parts.forget()
    for layers in (2, 3, 2):
        shared.load(layers)
        shared.parts.warm()
        assert shared.run().max_abs_diff <= 1e-6
    shared.parts.hold([shared.asked(4)])
    shared.parts.load(shared.asked(4))
    with pytest.raises(NodeError, match="holds no part of the layers 0-2"):
        shared.parts.assign(shared.asked(2))


def test_parts_of_splits_that_are_held_are_delivered_again_and_not_opened(shared: Splits) -> None:
    delivered = Splits(shared.pair, shared.model, delivery=True)
    for _ in range(2):
        for layers in (2, 3):
            delivered.parts.load(delivered.asked(layers))
            assert delivered.parts.deliver(LINK, timeout_s=FRAME_S)
    for layers in (2, 3):
        delivered.parts.assign(asked := delivered.asked(layers))
        assert delivered.run(of=asked).max_abs_diff <= 1e-6


def test_more_splits_than_the_limit_are_refused_with_its_name(tmp_path: Path) -> None:
    stored = store(load_graph(small_model(tmp_path / "small.onnx")), tmp_path / "stored")
    held = HeldParts("ue", sessions=Limits(sessions=2).sessions)
    spans = [Span(0, 2), Span(0, 3), Span(0, 4)]
    options = nodes_pb2.SessionOptions(threads=1, keep=map(span_message, spans[:2]))
    info = info_of(stored.graph, "tensors", "onnx")
    cuts = [CutPart(extract_part(stored, *span[:3]), span, info) for span in spans]
    for cut in (*cuts[:2], cuts[1]):  # the same again takes its own place
        held.load(cut, options, 0)
    with pytest.raises(NodeError, match=r"2 sessions open.*limits\.sessions"):
        held.load(cuts[2], options, 0)
    assert [held.of(span).cut.span for span in spans[:2]] == spans[:2]
    held.drop()
