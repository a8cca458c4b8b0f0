"""Bitstreams that no encoder made: refused in words, no memory taken for what they say."""

import tracemalloc
from contextlib import suppress

import msgspec
import pytest
import zstandard

from splitbed.errors import NodeError
from splitbed.model_coders.bitstream import START
from splitbed.model_coders.decoder import Decoder
from splitbed.model_data import digest
from tests.model_coders.coding import STATE, coded, cut, decoded, weights

SMALL = {"a": weights(3, 4), "b": weights(5)}
TERABYTE = 1 << 40


@pytest.mark.parametrize("coder", ["dummy", "int8", "int4+zstd", "fp16", "sparse"])
def test_a_flipped_bit_is_found_wherever_it_matters(coder: str) -> None:
    stream = coded(coder, SMALL)
    sent, unnoticed = digest(decoded([stream]).state), 0
    for place in range(len(stream)):
        flipped = bytearray(stream)
        flipped[place] ^= 1 << place % 8
        with suppress(NodeError):  # a few bits of Zstandard's frames mean nothing
            assert digest(decoded([bytes(flipped)]).state) == sent
            unnoticed += 1
    assert unnoticed <= 4


def test_a_stream_that_ends_early_says_what_is_whole() -> None:
    stream = coded("int8+zstd", SMALL)
    for length in range(len(stream)):
        with pytest.raises(NodeError, match=r"ends with|ends within"):
            decoded([stream[:length]])


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(NodeError, match="behind the end"):
        decoded([coded("dummy", SMALL), b"more"])


@pytest.mark.parametrize("foreign", [b"\x08\x07\x12\x04onnx....", b"PK\x03\x04" + bytes(30)])
def test_a_foreign_file_is_refused(foreign: bytes) -> None:
    with pytest.raises(NodeError, match="no start of a bitstream"):
        decoded([foreign])


def test_a_later_version_is_refused() -> None:
    with pytest.raises(NodeError, match="version 9"):
        decoded([START.pack(b"SBMD", 9, 10)])


def told(**changes: object) -> bytes:
    """A header that says otherwise."""
    said: dict[str, object] = {
        "coder": "dummy", "form": "safetensors", "base": "", "skeleton_bytes": 10,
        "tensors": [["a", "FP32", [2, 2], 10]],
    }  # fmt: skip
    packed = zstandard.compress(msgspec.json.encode(said | changes))
    return START.pack(b"SBMD", 1, len(packed)) + packed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"coder": "rar"}, "a coder that is not here"),
        ({"coder": "d" * 1000}, "endless"),
        ({"tensors": [["a", "FP32", [TERABYTE], 10]]}, "there is room"),
        ({"tensors": [["a", "FP32", [0, 1 << 70], 10]]}, "damaged"),
        ({"tensors": [["a", "FP32", [1] * 99, 10]]}, "which is none"),
        ({"tensors": [["a", "FP32", [-4, -1], 10]]}, "which is none"),
        ({"tensors": [["a", "TEXT", [4], 10]]}, "which is none"),
        ({"tensors": [["a", "FP32", [4], 0], ["b", "FP32", [4], 8]]}, "begins within"),
        ({"tensors": [["a", "FP32", [1], 0], ["a", "FP32", [1], 4]]}, "two tensors"),
        ({"tensors": [["a", "FP32", [4], 11]]}, "do not fill"),
        ({"skeleton_bytes": -1}, "damaged"),
        ({"skeleton_bytes": TERABYTE}, "there is room"),
        ({"extra": 1}, "damaged"),
        ({"tensors": "all"}, "damaged"),
    ],
)
def test_a_header_that_lies_is_refused(changes: dict[str, object], said: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NodeError, match=said):
            decoded([told(**changes)])
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_block_that_announces_too_much_is_refused_at_once() -> None:
    stream = bytearray(coded("int8", SMALL))
    place = stream.index((3 * 4 + 12).to_bytes(4, "little"))  # scales and levels of a
    stream[place : place + 4] = b"\xff" * 4
    decoder = Decoder()
    with pytest.raises(
        NodeError, match="a block of a announces 4294967295 bytes, and takes at most 24"
    ):
        for piece in cut(bytes(stream[: place + 4]), 16):
            decoder.feed(piece)


def test_a_model_that_there_is_no_room_for_is_refused() -> None:
    with pytest.raises(NodeError, match="and there is room for 100"):
        Decoder(most_bytes=100).feed(coded("int8"))


def test_an_update_wants_its_base() -> None:
    update = coded("zstd", SMALL, base=digest(STATE))
    for here in ("", digest(SMALL)):
        with pytest.raises(NodeError, match=f"updates the state {digest(STATE)[:12]}, and here is"):
            Decoder(base=here).feed(update)
    decoder = Decoder(base=digest(STATE))
    decoder.feed(update)
    assert digest(decoder.finish().state) == digest(SMALL)
