"""Tensors arrive as they were sent, and nothing from the wire is believed unchecked."""

import math
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from splitbed.errors import NodeError
from splitbed.messages import MESSAGE_BYTES, Received, messages, padding, receive, sizes
from splitbed.tensors import NUMPY_TYPES, TensorInfo, Tensors
from splitbed.v1.tensors_pb2 import FrameHeader, Header, Padding, TensorHeader
from splitbed.wire import CHANNEL_OPTIONS

arrays = st.sampled_from(sorted(NUMPY_TYPES)).flatmap(
    lambda name: hnp.arrays(NUMPY_TYPES[name], hnp.array_shapes(min_dims=0, min_side=0, max_side=5))
)
RATES_MBIT = [None, 1.0, 5.0, 100.0, 1000.0, 100_000.0, math.inf]
LARGE: Tensors = {
    "x": np.arange(300_000, dtype=np.float32),
    "y": np.zeros((0, 3), np.int64),
    "z": np.arange(999_999, dtype=np.uint8),
}


def sent(tensors: Tensors, rate_mbit: float | None = None) -> list[bytes]:
    return list(messages(Header(frame=FrameHeader(frame=3)), tensors, rate_mbit))


def same(received: Tensors, tensors: Tensors) -> bool:
    return list(received) == list(tensors) and all(
        (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())
        for got, array in zip(received.values(), tensors.values(), strict=True)
    )


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), arrays, max_size=4))
def test_tensors_of_every_type_and_shape_arrive_as_sent(tensors: Tensors) -> None:
    assert same(receive(iter(sent(tensors))).tensors(), tensors)


@pytest.mark.parametrize("rate_mbit", RATES_MBIT)
def test_large_tensors_arrive_as_sent_over_a_link_of_any_rate(rate_mbit: float | None) -> None:
    received = receive(iter(sent(LARGE, rate_mbit)))
    assert received.header.frame.frame == 3
    assert same(received.tensors(), LARGE)


@settings(deadline=None)
@given(cuts=st.lists(st.integers(1, 400_000), max_size=12))
def test_payload_may_be_cut_into_messages_anywhere(cuts: list[int]) -> None:
    first, payload = whole_header(LARGE)
    ends = sorted({cut for cut in cuts if cut < len(payload)})
    pieces = [payload[a:b] for a, b in zip([0, *ends], [*ends, len(payload)], strict=True)]
    received = receive(iter([first + pieces[0], *pieces[1:]]))
    assert same(received.tensors(), LARGE)


def whole_header(tensors: Tensors) -> tuple[bytes, bytes]:
    """The first message without payload, and all the payload."""
    joined = b"".join(sent(tensors))
    begin = len(joined) - sum(array.nbytes for array in tensors.values())
    return joined[:begin], joined[begin:]


@pytest.mark.parametrize("rate_mbit", RATES_MBIT)
@given(nbytes=st.integers(0, 50_000_000))
def test_messages_hold_all_of_a_payload_and_no_more_than_a_channel_takes(
    rate_mbit: float | None, nbytes: int
) -> None:
    parts = list(sizes(nbytes, rate_mbit))
    assert sum(parts) == nbytes
    assert max(parts) <= MESSAGE_BYTES < dict(CHANNEL_OPTIONS)["grpc.max_receive_message_length"]
    assert len(parts) == 1 or min(parts) > 0


def test_little_is_left_to_copy_when_the_last_message_of_a_link_has_come() -> None:
    for rate_mbit in (5.0, 100.0):
        *_, last = sizes(5_760_000, rate_mbit)
        assert last * 8 / (rate_mbit * 1e3) < 1  # ms on the link


def test_without_a_link_messages_are_few() -> None:
    assert len(list(sizes(1_440_000, math.inf))) == 1
    assert len(list(sizes(5_760_000, math.inf))) <= 4


def test_small_tensors_are_one_message_and_used_where_they_came() -> None:
    tensors: Tensors = {name: np.full(100, ord(name), np.float32) for name in "abc"}
    (message,) = sent(tensors)
    received = receive(iter([message])).tensors()
    assert same(received, tensors)
    came = np.frombuffer(message, np.uint8)
    assert all(np.shares_memory(array, came) for array in received.values())
    assert all(array.flags.aligned for array in received.values())


def test_a_tensor_that_came_at_an_odd_place_is_aligned() -> None:
    tensors: Tensors = {"a": np.ones(3, np.uint8), "b": np.arange(5, dtype=np.int64)}
    received = receive(iter(sent(tensors))).tensors()
    assert same(received, tensors)
    assert received["b"].flags.aligned


def header(name: str = "x", datatype: str = "FP32", *shape: int) -> list[TensorHeader]:
    return [TensorHeader(name=name, datatype=datatype, shape=shape)]


def begun(
    tensors: Sequence[TensorHeader], payload: bytes = b"", others: Sequence[bytes] = ()
) -> Received:
    (first,) = messages(Header(frame=FrameHeader(tensors=tensors)))
    return Received(first + payload, iter(others))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (header("x", "COMPLEX64", 1), "datatype"),
        (header("x", "FP32", -1), "impossible shape"),
        (header("x", "FP32", *[1] * 17), "impossible shape"),
        (header("x", "FP32", 1 << 40), "limit"),
        (header("x", "FP32", 1 << 62, 1 << 62), "limit"),
        (header("x", "FP32", 1) * 2, "twice"),
        ([one for n in range(4097) for one in header(str(n), "UINT8", 1)], "too many"),
    ],
)
def test_a_header_that_cannot_be_is_refused(bad: Sequence[TensorHeader], says: str) -> None:
    with pytest.raises(NodeError, match=says):
        begun(bad).tensors()


def test_another_shape_than_expected_is_refused_with_both_named() -> None:
    expected = [TensorInfo("x", "FP32", (2, 3))]
    with pytest.raises(NodeError, match=r"sent x FP32\[3, 2\]; expected x FP32\[2, 3\]"):
        begun(header("x", "FP32", 3, 2)).tensors(expected)


def test_more_than_the_receiver_takes_is_refused() -> None:
    with pytest.raises(NodeError, match=r"refused 8 bytes of tensors: limits\.tensor_bytes is 7"):
        begun(header("x", "FP32", 2), bytes(8)).tensors(most_bytes=7)


@pytest.mark.parametrize(
    ("payload", "others", "says"),
    [
        (bytes(9), [], "1 bytes beyond those of the tensors x"),
        (b"", [bytes(9)], "1 bytes beyond those of the tensors x"),
        (bytes(7), [bytes(2)], "1 bytes beyond those of the tensors x"),
        (bytes(4), [b"", bytes(4)], "an empty message came before"),
        (bytes(4), [], "the stream ended before"),
        (b"", [bytes(4)], "the stream ended before"),
    ],
)
def test_payload_that_does_not_fit_is_refused(
    payload: bytes, others: list[bytes], says: str
) -> None:
    with pytest.raises(NodeError, match=says):
        begun(header("x", "FP32", 2), payload, others).tensors()


@pytest.mark.parametrize(
    "first",
    [b"", b"\1", b"\1\0\0\0", b"\xff" * 64, b"\3\0\0\0abc" + bytes(9), bytes(5)],
    ids=["empty", "half a length", "no header", "all ones", "no protobuf", "no padding"],
)
def test_a_first_message_that_cannot_be_read_is_refused(first: bytes) -> None:
    with pytest.raises(NodeError, match="refused a message"):
        Received(first, iter(()))


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.binary(max_size=50), max_size=3))
def test_whatever_comes_is_tensors_or_refused(first: bytes, others: list[bytes]) -> None:
    with suppress(NodeError):
        Received(first, iter(others)).tensors()


@settings(deadline=None)
@given(st.data())
def test_a_header_that_was_damaged_is_tensors_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(sent({"x": np.arange(6, dtype=np.int16), "y": np.ones(2)})[0])
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] = data.draw(st.integers(0, 255))
    with suppress(NodeError):
        Received(bytes(damaged), iter(())).tensors(most_bytes=1000)


def test_padding_is_taken_whole() -> None:
    for nbytes in (0, 1, 3_000_000):
        stream = iter([*padding(nbytes), *padding(0)])
        receive(stream).skip_padding()
        assert receive(stream).header.padding.bytes == 0


@pytest.mark.parametrize(
    ("told", "others", "says"),
    [
        (1 << 40, [], "refused 1099511627776 bytes of padding"),
        (5, [bytes(6)], "1 bytes beyond those of the header"),
        (5, [], "the stream ended before"),
    ],
)
def test_padding_that_does_not_fit_is_refused(told: int, others: list[bytes], says: str) -> None:
    (first,) = messages(Header(padding=Padding(bytes=told)))
    with pytest.raises(NodeError, match=says):
        Received(first, iter(others)).skip_padding()


def test_a_stream_that_ends_without_a_header_is_refused() -> None:
    with pytest.raises(NodeError, match="ended before a header"):
        receive(iter(()))
