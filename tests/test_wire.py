"""Tensors arrive as they were sent, and nothing from the wire is believed unchecked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitbed.errors import NodeError
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors
from splitbed.v1.tensors_pb2 import Chunk, TensorHeader, TensorsHeader
from splitbed.wire import CHUNK_BYTES, FIRST_BYTES, Assembler, max_abs_diff, packets, receive

arrays = st.sampled_from(sorted(NUMPY_TYPES)).flatmap(
    lambda name: hnp.arrays(NUMPY_TYPES[name], hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), arrays, max_size=4))
def test_tensors_of_every_type_and_shape_arrive_as_sent(tensors: Tensors) -> None:
    received = receive(packets(tensors)).tensors
    assert list(received) == list(tensors)
    for name, array in tensors.items():
        assert received[name].dtype == array.dtype
        assert received[name].shape == array.shape
        assert received[name].tobytes() == array.tobytes()


def test_a_tensor_larger_than_a_chunk_is_sent_in_chunks() -> None:
    tensor = np.arange(CHUNK_BYTES, dtype=np.float32)
    messages = list(packets({"x": tensor}))
    sizes = [len(m.chunk.data) for m in messages[1:]]
    assert max(sizes) == CHUNK_BYTES
    assert sum(sizes) + FIRST_BYTES == tensor.nbytes
    assert np.array_equal(receive(iter(messages)).tensors["x"], tensor)


def test_little_is_left_to_copy_when_the_last_message_has_come() -> None:
    *_, last = packets({"x": np.zeros(CHUNK_BYTES, np.float32)})
    assert 0 < len(last.chunk.data) <= FIRST_BYTES


def test_small_tensors_are_one_message() -> None:
    tensors: Tensors = {name: np.full(100, ord(name), np.float32) for name in "abc"}
    (message,) = packets(tensors, frame=3)
    received = receive(iter([message]))
    assert received.header.frame == 3
    assert all(np.array_equal(received.tensors[name], tensors[name]) for name in tensors)


def header(name: str = "x", datatype: str = "FP32", *shape: int) -> TensorsHeader:
    return TensorsHeader(tensors=[TensorHeader(name=name, datatype=datatype, shape=shape)])


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (header("x", "COMPLEX64", 1), "datatype"),
        (header("x", "FP32", -1), "impossible shape"),
        (header("x", "FP32", *[1] * 17), "impossible shape"),
        (header("x", "FP32", 1 << 40), "limit"),
        (header("x", "FP32", 1 << 62, 1 << 62), "limit"),
        (TensorsHeader(tensors=[TensorHeader(name="x", datatype="FP32", shape=[1])] * 2), "twice"),
    ],
)
def test_a_header_that_cannot_be_is_refused(bad: TensorsHeader, says: str) -> None:
    with pytest.raises(NodeError, match=says):
        Assembler(bad)


def test_another_shape_than_expected_is_refused_with_both_named() -> None:
    expected = [TensorInfo("x", "FP32", (2, 3))]
    with pytest.raises(NodeError, match=r"sent x FP32\[3, 2\]; expected x FP32\[2, 3\]"):
        Assembler(header("x", "FP32", 3, 2), expected)


@pytest.mark.parametrize(
    "chunk",
    [
        Chunk(tensor=1, offset=0, data=b"1234"),
        Chunk(tensor=0, offset=4, data=b"1234"),
        Chunk(tensor=0, offset=0, data=b"123456789"),
        Chunk(tensor=0, offset=0, data=b""),
    ],
    ids=["of no tensor", "out of order", "too long", "empty"],
)
def test_a_chunk_that_does_not_fit_is_refused(chunk: Chunk) -> None:
    with pytest.raises(NodeError):
        Assembler(header("x", "FP32", 2)).add(chunk)


def test_a_stream_that_ends_early_is_refused() -> None:
    messages = list(packets({"x": np.zeros(FIRST_BYTES, np.float32)}))
    with pytest.raises(NodeError, match="ended before"):
        receive(iter(messages[:1]))


def test_the_largest_difference_is_over_all_tensors() -> None:
    left: Tensors = {"a": np.array([1, 2], np.float32), "b": np.array([5], np.int64)}
    right: Tensors = {"a": np.array([1, 2.5], np.float32), "b": np.array([2], np.int64)}
    assert max_abs_diff(left, right) == 3
    assert max_abs_diff(left, left) == 0


def test_a_difference_that_no_number_tells_is_infinite() -> None:
    zero: Tensors = {"a": np.array([0], np.float32)}
    assert max_abs_diff(zero, {"a": np.array([np.nan], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"a": np.array([[0]], np.float32)}) == np.inf
    assert max_abs_diff(zero, {"b": np.array([0], np.float32)}) == np.inf
