"""What an assignment may take: its codecs are made for many tensors, and keep something."""

from collections.abc import Sequence
from contextvars import copy_context
from pathlib import Path

import pytest

from splitbed.codecs import codec_named, floats
from splitbed.codecs.coder import STAGE_BYTES
from splitbed.codecs.kernels import Kernel, Step, kernel
from splitbed.codecs.klt.tables import HEADER, MAGIC
from splitbed.errors import NodeError
from splitbed.node.config import Limits
from splitbed.node.parts.held import HeldParts
from splitbed.node.shared.work import Work
from splitbed.node.source.inputs import Source
from splitbed.node.stations.assignment import Assignment
from splitbed.node.stations.binding import bind
from splitbed.node.stations.frames import Frames
from splitbed.node.stations.references import References
from splitbed.v1 import nodes_pb2
from splitbed.workers.wanted import WANTED

MIB = 1 << 20
LIMITS = Limits(tensor_bytes=MIB)
HELD = HeldParts("edge", 2)


def hopping(gives: str, tensors: int = 1, size: int = 1, hops: int = 15) -> nodes_pb2.Assignment:
    """Tensors go round on one node, coded on each hop."""
    asked = nodes_pb2.Assignment(number=1, node="edge")
    asked.model.task, asked.model.runtime, asked.model.layers = "tensors", "onnx", 2
    for place in range(tensors):
        asked.model.inputs.add(name=f"x{place}", datatype="FP32", shape=[size])
    for place in range(hops + 1):
        asked.stations.add(node="edge", source=place == 0, gives=gives)
    for _ in range(hops):
        asked.hops.add(name="uplink")
    return asked


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made to cast tensors."""
    made: list[str] = []
    codec_named("fp16")  # is tried
    monkeypatch.setattr(floats, "_casts", {})

    def counted(takes: str, gives: str, rank: int, steps: Sequence[Step]) -> Kernel:
        made.append(gives)
        return kernel(takes, gives, rank, steps)

    monkeypatch.setattr(floats, "kernel", counted)
    return made


def test_codecs_of_many_tensors_are_refused_before_one_is_made(made: list[str]) -> None:
    with pytest.raises(NodeError, match=r"refused codecs that keep \d+ bytes: limits.tensor_bytes"):
        bind(hopping("fp16", tensors=4096), HELD, LIMITS, Work())
    assert not made


def test_tensors_of_one_kind_are_cast_by_one_session(made: list[str]) -> None:
    bound = bind(hopping("fp16", tensors=4, hops=3), HELD, LIMITS, Work())
    assert sorted(made) == ["FP16", "FP32"]
    assert bound.coded_bytes >= 4 * 3 * STAGE_BYTES


def test_hops_take_together_what_the_limit_allows() -> None:
    count = LIMITS.coded_bytes // (STAGE_BYTES + 1024) // 16  # it ends in one that takes it
    assert (
        bind(hopping("sparse", tensors=count), HELD, LIMITS, Work()).coded_bytes
        <= LIMITS.coded_bytes
    )
    with pytest.raises(NodeError, match="keep"):
        bind(hopping("sparse", tensors=count + 1), HELD, LIMITS, Work())


def test_a_codec_that_keeps_much_is_counted_as_such() -> None:
    def coded_bytes(gives: str) -> int:
        return bind(hopping(gives, size=MIB // 4, hops=1), HELD, LIMITS, Work()).coded_bytes

    assert coded_bytes("raw") == 0
    assert coded_bytes("zstd:19") > 4 * coded_bytes("zstd:1") > 0
    with pytest.raises(NodeError, match=f"limits.tensor_bytes allows {64 * MIB}"):
        bind(hopping("zstd:22", size=MIB // 4), HELD, LIMITS, Work())


def test_tables_that_say_too_much_are_refused_before_they_are_read() -> None:
    header = HEADER.pack(MAGIC, 4096, 4096, MIB, 0, 1, 1, 1, 0.0)
    asked = hopping("klt", size=MIB // 4, hops=1)
    asked.hops[0].tables.add(stage="klt:100", tensor="x0", tables=header)
    with pytest.raises(NodeError, match="refused codecs that keep") as refused:
        bind(asked, HELD, LIMITS, Work())
    assert int(str(refused.value).split()[4]) >= 32 * 4096 * MIB
    del asked.hops[0].tables[0]
    asked.hops[0].tables.add(stage="klt:101", tensor="x0", tables=header)
    with pytest.raises(NodeError, match="it was not fitted to what crosses"):
        bind(asked, HELD, LIMITS, Work())


def test_assignments_that_hold_are_counted_together(tmp_path: Path) -> None:
    source, references = Source(tmp_path / "in", LIMITS), References(tmp_path / "out", LIMITS)
    frames = Frames(HELD, source, references, LIMITS)
    asked = hopping("zstd:19", size=MIB // 4, hops=1)

    def assign(number: int) -> Assignment:
        asked.number = number
        asked.keep[:] = range(number)
        return frames.assign(asked)

    most = LIMITS.coded_bytes // assign(0).coded_bytes
    for number in range(1, most):
        assign(number)
    with pytest.raises(NodeError, match="refused codecs"):
        assign(most)
    assert frames.assignment(most - 1)


def test_what_nobody_waits_for_is_not_bound(made: list[str]) -> None:
    def given_up() -> None:
        WANTED.set(lambda: False)
        bind(hopping("fp16", tensors=4), HELD, LIMITS, Work())

    with pytest.raises(NodeError, match="given up"):
        copy_context().run(given_up)
    assert not made
