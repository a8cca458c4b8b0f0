"""Bits and tables of `klt` that nobody made: an error by name, or a tensor of the right shape."""

import struct
import tracemalloc
import zlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitbed.codecs.klt import Kind
from splitbed.codecs.klt.dct import BLOCKS, Dct
from splitbed.codecs.klt.inter import ALONE, DIFFERENCE, Before
from splitbed.codecs.klt.stage import CHAINED, HEAD_BYTES
from splitbed.codecs.klt.tables import HEADER, NEVER, Codebook, Tables, read
from splitbed.codecs.klt.transform import MOST_LEVEL, Layout, Transform
from splitbed.codecs.stage import Setting
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo
from tests.codecs.coding import Array, info_of
from tests.codecs.test_klt import INTER, KLT, SEEN, STEP, fitted, maps, rows, seen_together

FRAMES = maps(1, 12, 24, 24)
INFO = info_of(FRAMES[0])
BACK = -1_000
"""Stands for where the matrix of the way back begins, behind that of the way there and the mean."""


@cache
def setting_of(kind: Kind) -> Setting:
    return fitted(FRAMES[:SEEN], kind)[1]


def sent(kind: Kind) -> bytes:
    return kind(INFO, setting_of(kind), STEP).encode(FRAMES[-1]).tobytes()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some of the bytes, some of them others, and some more."""
    data = bytearray(whole[: draw(st.integers(0, len(whole)))] if draw(st.booleans()) else whole)
    for place in draw(st.lists(st.integers(0, max(len(data) - 1, 0)), max_size=4)):
        if data:
            data[place] = draw(st.integers(0, 255))
    return bytes(data) + draw(st.binary(max_size=8))


def decoded(kind: Kind, data: bytes, setting: Setting) -> Array | None:
    try:
        return kind(INFO, setting, STEP).decode(np.frombuffer(data, np.uint8))
    except NodeError:
        return None


@pytest.mark.parametrize("kind", (KLT, INTER), ids=("klt", "klt-inter"))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bits_are_an_error_or_a_tensor_of_the_right_shape(
    kind: Kind, data: st.DataObject
) -> None:
    bits = data.draw(st.one_of(damaged(sent(kind)), st.binary(max_size=600)))
    got = decoded(kind, bits, setting_of(kind))
    assert got is None or (got.dtype, got.shape) == (np.dtype(np.float32), FRAMES[0].shape)


@cache
def differences() -> tuple[Setting, tuple[bytes, ...]]:
    """Tables whose classes the frame before lifts, and frames, all but the first by differences."""
    frames = maps(1, 12, 24, 24, moving=0.05)
    _, setting = fitted(frames[:SEEN], INTER)
    encoder = INTER(INFO, setting, STEP)
    sent = tuple(encoder.encode(frame).tobytes() for frame in frames[SEEN:])
    assert [how_of(one) for one in sent] == [ALONE, *[DIFFERENCE] * (len(sent) - 1)]
    return setting, sent


def how_of(data: bytes) -> int:
    return int.from_bytes(data[:HEAD_BYTES], "little") >> 15


def framed(how: int, before: int, data: bytes) -> bytes:
    """A frame that says how it is coded and what was before, as that of an encoder does."""
    return (how << 15 | before & CHAINED).to_bytes(HEAD_BYTES, "little") + data


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_difference_that_is_refused_leaves_the_decoder_where_it_was(data: st.DataObject) -> None:
    setting, (first, second, *_) = differences()
    bits = data.draw(
        st.one_of(damaged(second), st.binary(max_size=600).map(second[:HEAD_BYTES].__add__))
    )
    whole, hurt = (INTER(INFO, setting, STEP) for _ in range(2))
    for stage in (whole, hurt):
        stage.decode(np.frombuffer(first, np.uint8))
    try:
        got = hurt.decode(np.frombuffer(bits, np.uint8))
    except NodeError:
        due, got = (one.decode(np.frombuffer(second, np.uint8)) for one in (whole, hurt))
        np.testing.assert_array_equal(got, due)
    assert (got.dtype, got.shape) == (np.dtype(np.float32), INFO.shape)


def test_a_difference_to_no_frame_is_refused() -> None:
    setting, (_, second, *_) = differences()
    stage = INTER(INFO, setting, STEP)
    with pytest.raises(NodeError, match="by the one before, and there is none"):
        stage.decode(np.frombuffer(framed(DIFFERENCE, 0, second[HEAD_BYTES:]), np.uint8))


def test_differences_that_add_up_to_what_no_encoder_has_are_refused() -> None:
    setting, _ = differences()
    assert setting.table is not None
    tables = read(setting.table, Layout.of(INFO, setting), inter=True)
    assert tables.factors is not None
    before, stage = Before(tables.transform, tables.factors), INTER(INFO, setting, STEP)
    levels = np.full(tables.transform.shape, MOST_LEVEL, np.float32)
    crc = 0
    with pytest.raises(NodeError, match="more than 8388608 steps"):
        for how in (ALONE, *[DIFFERENCE] * 9):
            data = framed(how, crc, tables.coder(how).encode(levels, before.active))
            stage.decode(np.frombuffer(data, np.uint8))
            before.coefficients(how, levels)
            crc = zlib.crc32(data, crc)


def test_a_flipped_bit_hardly_ever_changes_a_value_unseen() -> None:
    whole, unseen = sent(KLT), 0
    flips = range(0, len(whole) * 8, 37)
    for place in flips:
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        unseen += decoded(KLT, bytes(flipped), setting_of(KLT)) is not None
    assert unseen < len(flips) / 50


def test_bits_that_announce_more_than_they_hold_take_no_memory() -> None:
    stage = KLT(INFO, setting_of(KLT), STEP)
    ones = np.full(4000, 255, np.uint8)
    stage.encode(FRAMES[0])
    tracemalloc.start()
    try:
        for data in (ones, ones[:4], np.arange(4000, dtype=np.uint8)):
            with pytest.raises(NodeError):
                stage.decode(data)
        assert tracemalloc.get_traced_memory()[1] < 20 * FRAMES[0].nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", (KLT, INTER), ids=("klt", "klt-inter"))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_tables_are_refused_or_are_tables(kind: Kind, data: st.DataObject) -> None:
    table = setting_of(kind).table
    assert table is not None
    setting = Setting(table=data.draw(damaged(table)))
    try:
        kind(INFO, setting, STEP).encode(FRAMES[0])
    except UsageError as error:
        assert "its tables are not this tensor's" in str(error)
        return
    got = decoded(kind, sent(kind), setting)
    assert got is None or np.isfinite(got).all()


def test_damaged_tables_of_blocks_are_refused_or_are_tables() -> None:
    frames = seen_together()
    info, whole = info_of(frames[0]), fitted(frames, step=300)[0]
    rng = np.random.default_rng(0)
    for place in (*range(HEADER.size), *rng.integers(0, len(whole), 40).tolist()):
        table = bytearray(whole)
        table[place] ^= 1 << rng.integers(8)
        try:
            encoded = KLT(info, Setting(table=bytes(table)), 300).encode(frames[0])
        except UsageError as error:
            assert "its tables are not this tensor's" in str(error)
            continue
        assert KLT(info, Setting(table=bytes(table)), 300).decode(encoded).shape == info.shape


@pytest.mark.parametrize(
    ("axis", "words"),
    [
        (0, "along axis 0, where 1 or 2 was due"),
        (3, "along axis 3"),
        (1, "64 channels of 48 places"),
    ],
)
def test_an_axis_that_no_channels_are_along_is_refused(axis: int, words: str) -> None:
    frames = rows(48, 64)
    table = bytearray(fitted(frames[:SEEN])[0])
    assert table[19] == 2
    table[19] = axis
    with pytest.raises(UsageError, match=words):
        KLT(info_of(frames[0]), Setting(table=bytes(table)), STEP)


@pytest.mark.parametrize(
    ("at", "put", "words"),
    [
        (0, b"klt4", "are those of klt4, and this version has klt5; calibrate again, in a new run"),
        (0, b"kltx", "do not begin as tables"),
        (4, struct.pack("<I", 2**31), "are of 2147483648 channels of 576 places"),
        (8, struct.pack("<I", 13), "13 components of 12 channels"),
        (16, b"\x05", "do not begin as tables"),
        (18, b"\x03", "do not begin as tables"),
        (18, b"\x04", "12 channels of 576 places and 1 books, where 192 of 36 and 1 were due"),
        (19, b"\x02", "channels are along axis 2, where 1 was due"),
        (HEADER.size, struct.pack("<f", np.nan), "NaN or infinity"),
        (BACK, struct.pack("<f", 3e37), "a level makes a value beyond 1e[+]38"),
        (-4, b"\0\0\0\0", "both nodes need the same version of constriction"),
        (-6, b"\xff\xff", "are not 1 or more, 65536 in all"),
    ],
)
def test_tables_that_cannot_be_are_refused_by_name(at: int, put: bytes, words: str) -> None:
    table = bytearray(setting_of(KLT).table or b"")
    components = int.from_bytes(table[8:12], "little")
    at = HEADER.size + 4 * 12 * (1 + components) if at == BACK else at % len(table)
    table[at : at + len(put)] = put
    with pytest.raises(UsageError, match=words):
        KLT(INFO, Setting(table=bytes(table)), STEP)


def test_what_lifts_classes_is_refused_where_it_cannot_be() -> None:
    table, _ = fitted(maps(1, 12, 24, 24, moving=0.05), INTER)
    tables = read(table, Layout.of(INFO, Setting()), inter=True)
    alone, lifted = tables.codebooks
    assert lifted.bounds
    for other, words in (
        (replace(lifted, bounds=(2, 1)), "not in order"),
        (replace(lifted, usual=len(lifted.bounds) + 1), "not in order"),
        (replace(lifted, bounds=(), usual=0), "books, where"),
    ):
        damaged = replace(tables, codebooks=(alone, other)).to_bytes()
        with pytest.raises(UsageError, match=words):
            INTER(INFO, Setting(table=damaged), STEP)


@pytest.mark.parametrize("kind", (KLT, INTER), ids=("klt", "klt-inter"))
@pytest.mark.parametrize("blocks", (False, True), ids=("channels", "blocks"))
def test_a_stage_keeps_no_more_than_its_tables_foretell(kind: Kind, blocks: bool) -> None:
    frames = seen_together() if blocks else FRAMES
    info, (table, setting) = info_of(frames[0]), fitted(frames, kind, step=300)
    kind(info, setting, 300).encode(frames[0])  # imports
    tracemalloc.start()
    try:
        stage = kind(info, setting, 300)
        for frame in frames[:2]:
            stage.decode(stage.encode(frame))
        assert 0.5 * kind.kept_bytes(table) < tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] < kind.kept_bytes(table)
    finally:
        tracemalloc.stop()


def made_up(info: TensorInfo, side: int) -> bytes:
    """Tables of one component, whose DCT has blocks of that side."""
    layout = Layout.of(info, Setting())
    one, none = np.ones((1, 1), np.float32), np.zeros((2, 1), np.float32)
    transform = Transform(layout, Dct(layout.plane, side), one, one, none[:1], none)
    classes = np.full((1, transform.dct.frequencies), NEVER, np.uint8)
    return Tables(transform, (Codebook(classes, ()),)).to_bytes()


@pytest.mark.parametrize("side", BLOCKS)
def test_a_long_plane_takes_no_memory_by_the_square_of_its_length(side: int) -> None:
    """16 GB of 250 KB, once."""
    long = TensorInfo("x", "FP32", (1, 1, 1, 1 << 16))
    table, frame = made_up(long, side), np.zeros(long.shape, np.float32)
    tracemalloc.start()
    try:
        stage = KLT(long, Setting(table=table), STEP)
        assert stage.decode(stage.encode(frame)).shape == long.shape
        assert tracemalloc.get_traced_memory()[1] < 30 * long.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.filterwarnings("error")
def test_tables_that_make_infinite_numbers_of_a_frame_have_it_cross_as_it_is() -> None:
    table = bytearray(setting_of(KLT).table or b"")
    components = int.from_bytes(table[8:12], "little")
    for at, value in ((HEADER.size, 1e38), (HEADER.size + 4 * 12 * components, 1e37)):
        table[at : at + 4] = struct.pack("<f", value)
    encoder, decoder = (KLT(INFO, Setting(table=bytes(table)), STEP) for _ in range(2))
    assert (decoder.decode(encoder.encode(FRAMES[0])) == FRAMES[0]).all()


def test_tables_of_another_tensor_or_another_kind_are_refused() -> None:
    other = info_of(maps(1, 12, 12, 12)[0])
    with pytest.raises(UsageError, match="576 places and 1 books, where 12 of 144"):
        KLT(other, setting_of(KLT), STEP)
    with pytest.raises(UsageError, match="1 books, where 12 of 576 and 2 were due"):
        INTER(INFO, setting_of(KLT), STEP)
