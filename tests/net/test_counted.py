"""What the kernel counts at the interfaces of a run is what its frames say that they sent."""

from pathlib import Path

import pytest

import splitbed
from netem.wire import wire_bytes
from tests.net.counted import count
from tests.node.loopback import small_model

pytestmark = [pytest.mark.usefixtures("backend"), pytest.mark.measures]


def test_each_hop_of_a_frame_is_as_many_bytes_as_its_interfaces_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = count(monkeypatch)
    splitbed.sweep(
        str(small_model(tmp_path / "small.onnx", 96)),
        split="0:6,3:3",
        bw=20,
        runs=3,
        profile=False,
        delivery=False,
        out=tmp_path / "run",
    )
    carried: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for record, by_link in counted:
        told = record.encoded_bytes, record.result_bytes if record.encoded_bytes else 0
        carried.setdefault(told, []).append(by_link["link"])
    assert len(carried) == 3  # two splits, and the device anchor, of which nothing crosses
    for told, frames in carried.items():
        (up, down), (data, result) = map(min, zip(*frames, strict=True)), map(wire_bytes, told)
        assert len(frames) >= 3
        # beyond that: gRPC's own, and acknowledgements of what came the other way; a frame that
        # was sent again counts twice, so the least of each is held against its record
        assert data <= up <= 1.02 * data + 0.05 * result + 2000
        assert result <= down <= 1.02 * result + 0.05 * data + 2000
