"""What the kernel counts at the interfaces of a run is what its frames say that they sent."""

from pathlib import Path

import pytest

import splitbed
from netem.wire import wire_bytes
from orchestrator.ask.flow import FLOWS
from splitbed.timeline import is_hop
from splitbed.v1 import nodes_pb2
from tests.net.counted import count
from tests.node.loopback import small_model

pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.measures]


def told(flow: str, record: nodes_pb2.FrameRecord) -> tuple[tuple[int, int], ...]:
    """What a frame says that it sent up and down each link of its flow."""
    sent = [{"uplink": 0, "downlink": 0} for _ in FLOWS[flow].links]
    for stage in record.stages:
        if is_hop(stage.name):
            way = stage.name.rstrip("0123456789")
            sent[int(stage.name.removeprefix(way) or 1) - 1][way] += stage.bytes
    return tuple((one["uplink"], one["downlink"]) for one in sent)


@pytest.mark.parametrize(
    ("flow", "split"),
    [("uplink", "3:3"), ("downlink", "3:3"), ("call", "3:3"), ("chain", "relu1:after+relu2:after")],
)
def test_each_hop_of_a_frame_is_as_many_bytes_as_its_interfaces_count(
    flow: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = count(monkeypatch)
    splitbed.sweep(
        str(small_model(tmp_path / "small.onnx", 96)),
        flow=flow,
        split=split,
        bw=20,
        runs=3,
        profile=False,
        delivery=False,
        out=tmp_path / "run",
    )
    carried: dict[object, list[list[tuple[int, int]]]] = {}
    for record, by_link in counted:
        carried.setdefault(told(flow, record), []).append([*by_link.values()])
    assert len(carried) >= 3  # the split, and the anchors
    for hops, frames in carried.items():
        assert isinstance(hops, tuple)
        assert len(frames) >= 3
        for link, (up_bytes, down_bytes) in enumerate(hops):
            up, down = (min(frame[link][way] for frame in frames) for way in (0, 1))
            data, back = wire_bytes(up_bytes), wire_bytes(down_bytes)
            # beyond that: gRPC's own, and acknowledgements of what came the other way; a frame
            # that was sent again counts twice, so the least of each is held against its record
            assert data <= up <= 1.02 * data + 0.05 * back + 2000
            assert back <= down <= 1.02 * back + 0.05 * data + 2000
