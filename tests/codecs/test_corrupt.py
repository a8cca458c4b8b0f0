"""Bytes that no encoder made: an error that names codec and tensor, and no memory taken."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import zstandard

from splitbed.errors import NodeError
from tests.codecs.coding import NAME, Array, coder_of, feature_map

MAP = feature_map(1, 4, 9, 7)
TERABYTE = 1 << 40


@contextmanager
def refused(codec: str) -> Iterator[None]:
    """What is inside raises a NodeError that names codec and tensor, within 1 MB."""
    tracemalloc.start()
    try:
        with pytest.raises(NodeError, match=rf"{codec.replace('+', '.')} cannot decode {NAME}"):
            yield
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def sent(codec: str) -> Array:
    array: Array = coder_of(codec, MAP).encode({NAME: MAP})[NAME]
    return array


def terabyte_frame() -> Array:
    """A frame's header with a content size of 8 bytes, and an empty last block."""
    frame = zstandard.MAGIC_NUMBER.to_bytes(4, "little") + b"\xc0\x58"
    return np.frombuffer(frame + TERABYTE.to_bytes(8, "little") + b"\x01\0\0", np.uint8)


@pytest.mark.parametrize("codec", ("zstd", "int8+zstd", "sparse+zstd"))
def test_a_frame_that_claims_a_terabyte_is_refused(codec: str) -> None:
    frame, coder = terabyte_frame(), coder_of(codec, MAP)
    assert zstandard.frame_content_size(frame.data) == TERABYTE
    with refused(codec):
        coder.decode({NAME: frame})


@pytest.mark.parametrize("codec", ("zstd", "int8+zstd", "sparse+zstd"))
def test_a_zstd_frame_that_is_cut_short_is_refused(codec: str) -> None:
    whole, coder = sent(codec), coder_of(codec, MAP)
    for length in (0, 1, 5, 12, whole.size // 2, whole.size - 1):
        with refused(codec):
            coder.decode({NAME: whole[:length]})


@pytest.mark.parametrize("codec", ("zstd", "int8+zstd", "sparse+zstd"))
def test_a_flipped_bit_in_a_zstd_frame_never_changes_a_value_unseen(codec: str) -> None:
    whole, coder = sent(codec), coder_of(codec, MAP)
    expected = coder.decode({NAME: whole})[NAME].tobytes()
    seen = 0
    for place in range(0, whole.size * 8, 7):
        flipped = whole.copy()
        flipped[place // 8] ^= 1 << place % 8
        try:
            assert coder.decode({NAME: flipped})[NAME].tobytes() == expected
        except NodeError:
            seen += 1
    assert seen > whole.size  # of 8 / 7 as many flips


def test_bytes_behind_a_zstd_frame_are_refused() -> None:
    longer, coder = np.append(sent("zstd"), np.uint8(0)), coder_of("zstd", MAP)
    with refused("zstd"):
        coder.decode({NAME: longer})


def test_a_sparse_tensor_whose_mask_and_numbers_disagree_is_refused() -> None:
    whole, coder = sent("sparse"), coder_of("sparse", MAP)
    mask_bytes = -(-MAP.size // 8)
    more, beyond = whole.copy(), whole.copy()
    more[: mask_bytes - 1] = 255
    last = whole[mask_bytes - 1]
    beyond[mask_bytes - 1] = (last & (last - 1)) | 1 if last else 1  # MAP has no eighth bit there
    for wrong in (whole[:-1], whole[:mask_bytes], whole[:3], whole[:0], more, beyond):
        with refused("sparse"):
            coder.decode({NAME: wrong})


@pytest.mark.parametrize("codec", ("raw", "fp16", "bf16", "int8", "int4", "shuffle", "sparse"))
def test_what_is_not_of_the_shape_and_datatype_due_is_refused(codec: str) -> None:
    whole, coder = sent(codec), coder_of(codec, MAP)
    for wrong in (whole[np.newaxis], whole.reshape(-1)[:-1], whole.astype(np.int32)):
        with refused(codec):
            coder.decode({NAME: wrong})


def test_more_bytes_than_the_most_are_refused() -> None:
    coder = coder_of("zstd", MAP)
    with refused("zstd"):
        coder.decode({NAME: np.zeros(coder.most_bytes + 1, np.uint8)})


@pytest.mark.parametrize("codec", ("raw", "int8+zstd"))
def test_a_tensor_that_is_not_as_declared_is_not_encoded(codec: str) -> None:
    coder = coder_of(codec, MAP)
    for wrong in (MAP[0], MAP.astype(np.float64), MAP.astype(object)):
        with pytest.raises(NodeError, match=r"cannot encode relu_3: .* where FP32 \[1, 4, 9, 7\]"):
            coder.encode({NAME: wrong})


def test_tensors_other_than_those_of_the_cut_are_refused() -> None:
    with pytest.raises(NodeError, match="tensors relu_3, and got relu_4"):
        coder_of("raw", MAP).encode({"relu_4": MAP})
