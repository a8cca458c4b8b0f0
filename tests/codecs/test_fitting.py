"""Codecs that are fitted to calibration frames: what they are told, and what is refused."""

import numpy as np
import pytest

from orchestrator.testbed.loading.assignments import check_tables
from splitbed.codecs import codec_named
from splitbed.codecs.codec import Codec
from splitbed.codecs.coder import Coder
from splitbed.codecs.fitting import fit
from splitbed.codecs.stage import Setting
from splitbed.errors import NodeError, UsageError
from splitbed.node.config import Limits
from splitbed.node.parts.held import HeldParts
from splitbed.node.shared.work import Work
from splitbed.node.stations.binding import bind
from splitbed.tensors import TensorInfo, Tensors
from splitbed.v1 import nodes_pb2
from tests.codecs.coding import NAME, Array, feature_map, floats, info_of
from tests.codecs.conftest import Install

CENTRED = "tests.extensions.codec.centred:CENTRED"
FRAMES: list[Tensors] = [{NAME: feature_map(1, 4, 9, 7, seed=seed)} for seed in range(3)]


@pytest.fixture
def centred(install: Install) -> Codec:
    install(("centred", CENTRED))
    return codec_named("centred+zstd")


def bound(codec: Codec, tables: dict[tuple[str, str], bytes], info: TensorInfo) -> Coder:
    return codec.bind([info], Setting(tables=tables))


def test_both_ends_code_by_the_tables_of_the_calibration(centred: Codec) -> None:
    assert (centred.fitted, centred.weighted) == (True, False)
    info = info_of(FRAMES[0][NAME])
    tables = fit(centred, [info], FRAMES, Setting())
    assert tables.keys() == {("centred", NAME)}
    one, other = (bound(centred, tables, info) for _ in range(2))
    frame = feature_map(1, 4, 9, 7, seed=9)
    back: Array = other.decode(one.encode({NAME: frame}))[NAME]
    np.testing.assert_allclose(back, frame, atol=1e-4)


def test_tables_are_those_of_the_stage_and_the_tensor(centred: Codec) -> None:
    info = info_of(FRAMES[0][NAME])
    for key in (("centred", "other"), ("centred:1", NAME)):
        with pytest.raises(UsageError, match=f"centred in .* {NAME} .*: it was not fitted"):
            bound(centred, {key: bytes(info.nbytes)}, info)
    with pytest.raises(UsageError, match="its tables have 8 bytes, not 1008"):
        bound(centred, {("centred", NAME): bytes(8)}, info)


def test_tensors_that_a_stage_does_not_take_need_no_tables(centred: Codec) -> None:
    index = np.arange(4)
    info = info_of(index)
    assert fit(centred, [info], [{NAME: index}], Setting()) == {}
    coder = bound(centred, {}, info)
    np.testing.assert_array_equal(coder.decode(coder.encode({NAME: index}))[NAME], index)


def test_a_codec_that_is_not_fitted_needs_no_frames() -> None:
    assert fit(codec_named("zstd"), [info_of(floats(1))], [], Setting()) == {}


def test_what_nothing_can_be_fitted_to_is_refused_by_name(centred: Codec) -> None:
    info = info_of(floats(1, 2))
    with pytest.raises(UsageError, match=r"centred\+zstd cannot be fitted without a frame"):
        fit(centred, [info], [], Setting())
    with pytest.raises(NodeError, match=f"centred cannot be fitted to {NAME} .*: .* NaN"):
        fit(centred, [info], [{NAME: floats(1, np.nan)}], Setting())


def test_a_fitted_stage_stands_first(install: Install) -> None:
    install(("centred", CENTRED))
    late = codec_named("shuffle+centred")
    with pytest.raises(UsageError, match="centred is fitted to what crosses; put it first"):
        late.bind([info_of(floats(1))], Setting())


def hopping(size: int, table: bytes) -> nodes_pb2.Assignment:
    """A tensor goes on from a station to the next of one node, coded."""
    asked = nodes_pb2.Assignment(number=1, node="edge")
    asked.model.task, asked.model.runtime, asked.model.layers = "tensors", "onnx", 2
    asked.model.inputs.add(name="x", datatype="FP32", shape=[size])
    for place in range(2):
        asked.stations.add(node="edge", source=place == 0, gives="centred")
    hop = asked.hops.add(name="uplink")
    if table:
        hop.tables.add(stage="centred", tensor="x", tables=table)
    return asked


def test_a_node_says_which_tables_it_has_and_counts_them(centred: Codec) -> None:
    limits, size = Limits(tensor_bytes=1 << 20), 4096
    few, many = (
        bind(hopping(size, table), HeldParts("edge", 2), limits, Work())
        for table in (bytes(4 * size), floats(*range(size)).tobytes())
    )
    assert few.digests[0].sha256 != many.digests[0].sha256
    assert (many.digests[0].hop, many.digests[0].stage) == ("uplink", "centred")
    assert many.coded_bytes >= 4 * size


def test_a_node_refuses_tables_that_are_absent_or_too_many(centred: Codec) -> None:
    limits, held = Limits(tensor_bytes=1 << 20), HeldParts("edge", 2)
    with pytest.raises(NodeError, match=r"edge cannot use centred: .* calibrate it"):
        bind(hopping(8, b""), held, limits, Work())
    with pytest.raises(NodeError, match=r"refused codecs that keep .* limits.tensor_bytes"):
        bind(hopping(8, bytes(limits.coded_bytes)), held, limits, Work())


def test_both_ends_are_held_to_the_same_tables(centred: Codec) -> None:
    told = hopping(8, bytes(32))
    bound_here = bind(told, HeldParts("edge", 2), Limits(), Work())
    check_tables(told, nodes_pb2.Assigned(tables=bound_here.digests))
    other = bind(hopping(8, bytes(31) + b"1"), HeldParts("edge", 2), Limits(), Work())
    for has in (other.digests, ()):
        with pytest.raises(
            NodeError, match=r"ends of the uplink .* centred for x .* the edge node"
        ):
            check_tables(told, nodes_pb2.Assigned(tables=has))
