"""A video call through three node processes: what UE-B sees is what was judged without a link."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from orchestrator.ask.configuration import Configuration
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.measure.accuracy_set import AccuracySet
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.model import Known, SweptModel, load_model
from orchestrator.testbed.nodes.node_process import local_nodes
from orchestrator.testbed.nodes.pair import Pair
from orchestrator.testbed.scratch import scratch
from splitbed.v1 import nodes_pb2
from splitbed.wire import tensors_of
from tests.node.loopback import FRAME_S, free_port, loopback_link

pytest.importorskip("av", reason="needs PyAV: pip install 'splitbed[video]'")

LOW, HIGH = "avc-inter:22", "avc-inter:27"
CONFIG = sweep_config(
    {
        "model": "espcn",
        "flow": "call",
        "input": "shapes",
        "shape": "luma=1x1x96x128",
        "runs": 3,
        "accuracy_frames": 3,
        "warmup": 0,
        "delivery": False,
    }
)
N = 6
NETWORK = Configuration(N, N, "network anchor", HIGH, flow="call", input_codec=LOW)
UE_B = Configuration(0, N, "device anchor", LOW, flow="call")
Records = list[nodes_pb2.FrameRecord]


@pytest.fixture(scope="module")
def called(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[SweptModel, dict[Configuration, Records]]]:
    """Three frames of each, in order: codecs know the frame before."""
    with ExitStack() as stack:
        model = load_model(CONFIG, tmp_path_factory.mktemp("espcn"))
        links = {ends: loopback_link() for ends in (("ue-a", "network"), ("ue-b", "network"))}
        nodes = local_nodes(links, stack.enter_context(scratch()), free_port())
        pair = stack.enter_context(Pair(nodes, model, "call"))
        parts, records = Parts(pair, model, CONFIG), {}
        for asked in (NETWORK, UE_B):
            parts.load(asked)
            parts.assign(asked)
            number = parts.assignment(asked)
            records[asked] = [pair.ways.run_frame(n, n, FRAME_S, number) for n in range(3)]
        yield model, records


def test_a_frame_goes_from_ue_a_through_the_network_to_ue_b(
    called: tuple[SweptModel, dict[Configuration, Records]],
) -> None:
    _, records = called
    stages = {
        asked: [(one.node, one.name) for one in own[0].stages] for asked, own in records.items()
    }
    assert stages[NETWORK] == [
        ("ue-a", "preprocess"),
        ("ue-a", "encode"),
        ("ue-a", "uplink"),
        ("network", "decode"),
        ("network", "part1"),
        ("network", "encode"),
        ("network", "downlink2"),
        ("ue-b", "decode"),
        ("ue-b", "part2"),
        ("ue-b", "result"),
    ]
    handed_on = [one for one in stages[UE_B] if one[0] == "network"]
    assert handed_on == [("network", "part1"), ("network", "downlink2")]
    for own in records.values():
        for record in own:
            counted = list(record.stages)[1:]
            assert all(a.end_ns <= b.start_ns for a, b in pairwise(counted))


def test_what_ue_b_sees_is_what_was_judged_without_a_link(
    called: tuple[SweptModel, dict[Configuration, Records]], tmp_path: Path
) -> None:
    model, records = called
    frames = AccuracySet(CONFIG, model, lambda: None, lambda _: None)
    for asked, coded in frames.coded(records, Known()):
        for place, record in enumerate(records[asked]):
            seen, judged = tensors_of(record.result)["pixels"], coded.results[place]["pixels"]
            assert np.array_equal(seen, judged)


def test_the_network_sends_what_it_hands_on_and_more_of_what_it_enlarges(
    called: tuple[SweptModel, dict[Configuration, Records]],
) -> None:
    _, records = called
    sent = {
        asked: [{one.name: one.bytes for one in record.stages if one.bytes} for record in own]
        for asked, own in records.items()
    }
    for network, ue_b in zip(sent[NETWORK], sent[UE_B], strict=True):
        assert network["uplink"] == ue_b["uplink"] == ue_b["downlink2"]
    assert sum(one["downlink2"] for one in sent[NETWORK]) > sum(one["uplink"] for one in sent[UE_B])
