"""What the kernel counts at the interfaces of a flow is what its frames say that they sent."""

from pathlib import Path

import pytest

from netem.wire import wire_bytes
from orchestrator.ask.flow import FLOWS
from orchestrator.ask.sweep.config import sweep_config
from orchestrator.ask.sweep.grid import plan_cells
from orchestrator.testbed.loading.parts import Parts
from orchestrator.testbed.site import prepared
from orchestrator.testbed.testbed import testbed as brought_up
from splitbed.timeline import is_hop, way_and_link
from splitbed.v1 import nodes_pb2
from tests.net.counted import carried, since
from tests.node.loopback import FRAME_S, small_model

pytestmark = pytest.mark.usefixtures("backend")

FRAMES = 3


def told(flow: str, record: nodes_pb2.FrameRecord) -> list[tuple[int, int]]:
    """What a frame says that it sent up and down each link of its flow."""
    sent = [{"uplink": 0, "downlink": 0} for _ in FLOWS[flow].links]
    for stage in record.stages:
        if is_hop(stage.name):
            way, link = way_and_link(stage.name)
            sent[link][way] += stage.bytes
    return [(one["uplink"], one["downlink"]) for one in sent]


@pytest.mark.parametrize("flow", FLOWS)
def test_each_hop_of_a_frame_is_as_many_bytes_as_its_interfaces_count(
    flow: str, tmp_path: Path
) -> None:
    split = "2:4+5:1" if FLOWS[flow].parts > 2 else "2:4"
    file = small_model(tmp_path / "small.onnx", side=96)
    asked = {"model": str(file), "flow": flow, "split": split, "bw": "100", "delivery": False}
    config = sweep_config(asked)
    with (
        prepared(config) as ready,
        brought_up(ready.site, model := ready.local.model, config.flow_links) as bed,
    ):
        cells, parts = plan_cells(config, model), Parts(bed.pair, model, config)
        assert len(cells) >= 3  # the split, and the anchors
        for asked_for in [cell.configuration for cell in cells]:
            parts.load(asked_for)
            parts.assign(asked_for)
            frames, counted = [], []
            for frame in range(FRAMES):
                before = carried(bed)
                record = bed.pair.ways.run_frame(frame, 0, FRAME_S, parts.assignment(asked_for))
                counted.append(since(before, carried(bed)))
                frames.append(told(flow, record))
            assert frames == frames[:1] * FRAMES
            for link, (up_bytes, down_bytes) in enumerate(frames[0]):
                up, down = (min(frame[link][way] for frame in counted) for way in (0, 1))
                data, back = wire_bytes(up_bytes), wire_bytes(down_bytes)
                # beyond that: gRPC's own, and acknowledgements of what came the other way; what
                # was sent again counts twice, so the least is held against what frames say
                assert data <= up <= 1.02 * data + 0.05 * back + 2000
                assert back <= down <= 1.02 * back + 0.05 * data + 2000
