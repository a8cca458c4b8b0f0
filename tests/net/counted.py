"""What the kernel counts at the interfaces of a sweep, frame by frame."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from netem.link import Link
from orchestrator.measure import sweep
from orchestrator.testbed.pair import Pair
from orchestrator.testbed.testbed import Testbed, testbed
from splitbed.v1 import nodes_pb2

Carried = dict[str, tuple[int, int]]
"""By the name of a link: bytes of Ethernet frames that were sent up and down it."""


def carried(bed: Testbed) -> Carried:
    """So far."""
    links = {name: joint.link for name, joint in bed.links.items()}
    return {
        name: (
            link.ue.counters()[link.ue_device].sent_bytes,
            link.edge.counters()[link.edge_device].sent_bytes,
        )
        for name, link in links.items()
        if isinstance(link, Link)
    }


Counted = list[tuple[nodes_pb2.FrameRecord, Carried]]


def count(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Each frame of the sweeps that follow, once it was run, and what the links carried for it."""
    beds: list[Testbed] = []
    frames: Counted = []
    run_frame = Pair.run_frame

    @contextmanager
    def opened(*given: Any) -> Iterator[Testbed]:
        with testbed(*given) as bed:
            beds.append(bed)
            yield bed

    def counting(*given: Any, **named: Any) -> nodes_pb2.FrameRecord:
        before = carried(beds[-1])
        record = run_frame(*given, **named)
        after = carried(beds[-1])
        meanwhile = {
            name: (up - before[name][0], down - before[name][1])
            for name, (up, down) in after.items()
        }
        frames.append((record, meanwhile))
        return record

    monkeypatch.setattr(sweep, "testbed", opened)
    monkeypatch.setattr(Pair, "run_frame", counting)
    return frames
