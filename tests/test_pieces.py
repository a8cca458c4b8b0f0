"""Tensors that are sent while they are encoded arrive whole, and what breaks off is refused."""

import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbed.codecs.coder import LEAST_IN_PIECES_BYTES, Coder, Piece, joined
from splitbed.errors import NodeError
from splitbed.messages import MESSAGE_BYTES, Received, messages, messages_of_pieces
from splitbed.tensors import TensorInfo
from splitbed.v1.tensors_pb2 import FrameHeader, Header, TensorHeader
from tests.codecs.coding import NAME, Array, coder_of

CODED = TensorInfo("x", "UINT8", (-1,))
KNOWN = TensorInfo("y", "INT16", (3,))


def pieces_of(*lengths: int) -> list[Piece]:
    """Of one tensor, and of another that is sent whole behind it."""
    ends = [index == len(lengths) - 1 for index in range(len(lengths))]
    data = [np.full(length, index, np.uint8) for index, length in enumerate(lengths)]
    coded = [Piece(CODED, *one) for one in zip(data, ends, strict=True)]
    return [*coded, Piece(KNOWN, np.arange(3, dtype=np.int16), last=True)]


def sent(pieces: Sequence[Piece], rate_mbit: float | None = None) -> Iterator[bytes]:
    return messages_of_pieces(Header(frame=FrameHeader()), [CODED, KNOWN], pieces, rate_mbit)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90_000), max_size=4),
    last=st.integers(0, 90_000),
    rate_mbit=st.sampled_from([None, 5.0, 100.0, math.inf]),
)
def test_pieces_of_any_length_arrive_as_one_tensor(
    lengths: list[int], last: int, rate_mbit: float | None
) -> None:
    pieces = pieces_of(*lengths, last)
    first, *others = sent(pieces, rate_mbit)
    came = Received(first, iter(others)).tensors([CODED, KNOWN])
    assert {name: array.tolist() for name, array in came.items()} == {
        name: array.tolist() for name, array in joined(pieces).items()
    }


def test_each_piece_is_asked_for_once_the_message_before_is_on_its_way() -> None:
    asked: list[int] = []

    def pieces() -> Iterator[Piece]:
        for number, piece in enumerate(pieces_of(40_000, 40_000, 3 * MESSAGE_BYTES)):
            asked.append(number)
            yield piece

    taken = messages_of_pieces(Header(frame=FrameHeader()), [CODED, KNOWN], pieces())
    next(taken)
    assert asked == [0]
    assert max(map(len, taken)) <= MESSAGE_BYTES


def begun(payload: bytes, info: TensorInfo = CODED, others: Sequence[bytes] = ()) -> Received:
    told = TensorHeader(name=info.name, datatype=info.datatype, shape=info.shape)
    (first,) = messages(Header(frame=FrameHeader(tensors=[told])))
    return Received(first + payload, iter(others))


def piece(length: int, *, last: bool) -> bytes:
    return struct.pack("<I", 2 * length + last)


@pytest.mark.parametrize(
    ("payload", "others", "says"),
    [
        (piece(9, last=True) + bytes(4), [], "the stream ended before the tensors did"),
        (piece(4, last=False) + bytes(4), [], "the stream ended before the tensors did"),
        (b"\1\0", [], "the stream ended before the tensors did"),
        (piece(4, last=True) + bytes(5), [], "1 bytes beyond those of the tensors x"),
        (piece(101, last=True), [], r"refused 101 bytes of tensors: limits\.tensor_bytes is 100"),
        (piece(2**31 - 1, last=False), [], r"limits\.tensor_bytes is 100"),
        (b"", [piece(60, last=False) + bytes(60)] * 9, r"refused 120 bytes .* is 100"),
        (b"", [piece(0, last=False)] * 9, "refused an empty piece of the tensor x, not its last"),
    ],
    ids=[
        "broke off in a piece", "broke off between pieces", "broke off in a length", "beyond",
        "over the limit", "far over the limit", "no end", "no end of nothing",
    ],
)  # fmt: skip
def test_pieces_that_do_not_end_as_they_should_are_refused(
    payload: bytes, others: list[bytes], says: str
) -> None:
    with pytest.raises(NodeError, match=says):
        begun(payload, others=others).tensors([CODED], most_bytes=100)


def test_only_bytes_that_were_expected_in_pieces_come_so() -> None:
    end = piece(0, last=True)
    with pytest.raises(NodeError, match="impossible shape"):
        begun(end).tensors()
    with pytest.raises(NodeError, match=r"expected x UINT8\[3\]"):
        begun(end).tensors([TensorInfo("x", "UINT8", (3,))])
    for datatype, shape in (("FP32", (-1,)), ("UINT8", (-1, 2))):
        info = TensorInfo("x", datatype, shape)
        with pytest.raises(NodeError, match=r"only UINT8\[-1\] may come in pieces"):
            begun(end, info).tensors([info])


def large(codec: str, size: int = LEAST_IN_PIECES_BYTES // 4) -> tuple[Coder, Array]:
    values = np.random.default_rng(0).normal(size=(1, 4, size // 4)).astype(np.float32)
    return coder_of(codec, values), values


@pytest.mark.parametrize("codec", ["zstd", "zstd:9", "int8+zstd", "shuffle+zstd"])
def test_what_is_encoded_in_pieces_decodes_to_what_is_encoded_whole(codec: str) -> None:
    coder, values = large(codec)
    assert coder.in_pieces
    pieces = [*coder.pieces({NAME: values})]
    assert len(pieces) > 1
    assert [one.last for one in pieces] == [False] * (len(pieces) - 1) + [True]
    whole = coder.decode(coder.encode({NAME: values}))
    assert np.array_equal(coder.decode(joined(pieces))[NAME], whole[NAME])


def test_what_is_small_or_comes_at_once_is_not_encoded_in_pieces() -> None:
    assert not large("zstd", LEAST_IN_PIECES_BYTES // 4 - 4)[0].in_pieces
    for codec in ("raw", "int8", "shuffle"):
        assert not large(codec)[0].in_pieces


def test_content_that_cannot_be_encoded_is_told_before_there_is_a_piece() -> None:
    coder, values = large("int8+zstd")
    values[0, 0, 0] = np.nan
    with pytest.raises(NodeError, match="cannot encode"):
        next(coder.pieces({NAME: values}))
