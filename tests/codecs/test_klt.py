"""What `klt` gives back, takes, and refuses."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.codecs.klt import Kind
from splitbed.codecs.klt.coding import TOTAL, Book
from splitbed.codecs.klt.inter import DIFFERENCE, Before
from splitbed.codecs.klt.order import Order
from splitbed.codecs.klt.tables import groups_of, read
from splitbed.codecs.klt.transform import JOINT, MOST_LEVEL, Layout
from splitbed.codecs.stage import Setting, Stage
from splitbed.errors import NodeError, UsageError
from splitbed.tensors import TensorInfo
from tests.codecs.coding import NAME, Array, coder_of, info_of

Floats = npt.NDArray[np.float32]

KLT, INTER = Kind(), Kind(sequential=True)
STEP = 100
SEEN = 12
"""Frames that tables are made of; those behind them are new."""


def maps(*shape: int, frames: int = SEEN + 4, moving: float = 1.0, seed: int = 0) -> list[Floats]:
    """Channels (axis 1) that are mixtures of a few smooth sources, behind a Relu.

    Of a frame, the share ``moving`` of its sources is not those of the frame before.
    """
    rng = np.random.default_rng(seed)
    _, channels, height, width = shape
    mixing = rng.standard_normal((channels, 6)) * np.exp(rng.normal(0, 1, (channels, 1)))
    rows, columns = np.arange(height)[:, None], np.arange(width)
    made = list[Floats]()
    held = np.zeros((6, height, width))
    for _ in range(frames):
        bent, turned = rng.normal(0, 0.3, (2, 6, 1, 1))
        new = np.sin(bent * rows + turned * columns + rng.uniform(0, 6, (6, 1, 1)))
        held = (1 - moving) * held + moving * new if made else new
        noisy = held + 0.05 * moving * rng.standard_normal(held.shape)
        made.append(np.maximum(np.tensordot(mixing, noisy, 1), 0)[None].astype(np.float32))
    return made


def fitted(
    frames: Sequence[Array], kind: Kind = KLT, *, last: bool = False, step: int = STEP, **kw: Any
) -> tuple[bytes, Setting]:
    """The tables of ``frames``, and a setting that has them."""
    setting = Setting(channels_last=last)
    table = kind.fit(info_of(frames[0]), frames, setting, step, kw.get("sensitivity"))
    return table, Setting(channels_last=last, table=table)


def ends(frames: Sequence[Array], kind: Kind = KLT, **kw: Any) -> tuple[Stage, Stage]:
    """An encoder and a decoder, of tables made of ``frames``."""
    _, setting = fitted(frames, kind, **kw)
    encoder, decoder = (kind(info_of(frames[0]), setting, kw.get("step", STEP)) for _ in range(2))
    return encoder, decoder


def length(frames: Sequence[Array], step: int = STEP) -> float:
    """Of a step, where all channels of axis 1 count alike."""
    seen = np.concatenate(frames).astype(np.float64)
    return step / 1000 * float(np.sqrt(seen.var(axis=(0, *range(2, seen.ndim))).sum()))


@pytest.mark.parametrize(
    "shape", [(1, 20, 24, 32), (1, 20, 75, 26), (1, 20, 7, 5), (2, 20, 12, 12)]
)
def test_new_frames_come_back_within_half_a_step_of_each_component(shape: tuple[int, ...]) -> None:
    frames = maps(*shape) if shape[0] == 1 else [np.concatenate(maps(*shape)[:2])] * 3
    encoder, decoder = ends(frames[:SEEN])
    for frame in frames[SEEN:] or frames:
        error = decoder.decode(encoder.encode(frame)) - frame
        assert np.sqrt((error**2).sum(axis=1).mean()) < length(frames[:SEEN]) * np.sqrt(20 / 12)


@pytest.mark.parametrize("kind", [KLT, INTER])
def test_a_frame_that_was_given_is_not_touched_by_the_next(kind: Kind) -> None:
    frames = maps(1, 20, 24, 32)
    encoder, decoder = ends(frames[:SEEN], kind)
    encoded = [encoder.encode(frame) for frame in frames[SEEN:]]
    first = decoder.decode(encoded[0])
    before = first.copy()
    for one in encoded[1:]:
        decoder.decode(one)
    np.testing.assert_array_equal(first, before)


def test_a_coarser_step_takes_fewer_bytes_and_loses_more() -> None:
    frames = maps(1, 20, 24, 32)
    sizes, errors = [], []
    for step in (20, 80, 320, 1280):
        encoder, decoder = ends(frames[:SEEN], step=step)
        encoded = encoder.encode(frames[-1])
        sizes.append(encoded.nbytes)
        errors.append(np.square(decoder.decode(encoded) - frames[-1]).mean())
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)


def test_a_search_for_a_step_finds_the_axes_of_its_frames_once() -> None:
    frames = maps(1, 32, 12, 16)
    took, tables = [], []
    for step in (100, 150, 200):
        began = time.thread_time()
        tables.append(fitted(frames, step=step)[0])
        took.append(time.thread_time() - began)
    assert max(took[1:]) < took[0] / 2
    assert tables[-1] == fitted([frame.copy() for frame in frames], step=200)[0]


def rows(tokens: int, channels: int, *, frames: int = SEEN + 4) -> list[Floats]:
    """Tokens x channels behind a batch, whose channels are mixed alike in all tokens of all."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, channels))
    noise = rng.normal(0, 0.05, (frames, 1, tokens, channels))
    return [*(rng.standard_normal((frames, 1, tokens, 6)) @ mixing + noise).astype(np.float32)]


def entropy(levels: Floats, order: Order, books: Sequence[Book]) -> float:
    """Bits of levels in order, as the docstring of coding.py has them; each sign is one."""
    rows = np.append(levels, np.zeros(-levels.size % 8)).reshape(-1, 8)
    of = np.repeat(np.arange(len(books)), np.diff(order.ends, prepend=0))

    def cost(step: str, symbols: Array, own: Array) -> float:
        bits = 0.0
        for place, book in enumerate(books):
            shares = getattr(book, step) / TOTAL
            mine = np.minimum(symbols[own == place], shares.size - 1)
            bits -= float(np.log2(shares[mine]).sum())
        return bits

    def masks(step: str, flags: Array, own: Array) -> float:
        eights = np.append(flags, np.zeros(-flags.size % 8, np.bool_)).reshape(-1, 8)
        return cost(step, eights @ (128 >> np.arange(8)), own[::8])

    filled = np.asarray(rows.any(axis=1))
    rows, of_others = rows[filled], np.repeat(of[filled], 8)
    others = rows.ravel() != 0
    size, of_size = np.abs(rows.ravel()[others]).astype(np.intp), of_others[others]
    large = size > 1
    return (
        masks("filled", filled, of)
        + masks("others", others, of_others)
        + masks("large", large, of_size)
        + cost("values", size[large] - 2, of_size[large])
        + len(size)
    )


@pytest.mark.parametrize("frames", (maps(1, 20, 48, 64), rows(256, 48)), ids=("maps", "rows"))
def test_bytes_are_the_tables_cross_entropy(frames: list[Floats]) -> None:
    table, setting = fitted(frames[:SEEN])
    info = info_of(frames[0])
    tables = read(table, Layout.of(info, setting), inter=False)
    (codebook,), transform = tables.codebooks, tables.transform
    order = groups_of(codebook, transform).order()
    bits = nbytes = 0.0
    for frame in frames[SEEN:]:
        coefficients = transform.coefficients(frame)
        assert coefficients is not None
        bits += entropy(order.of(np.rint(coefficients)), order, codebook.books)
        nbytes += KLT(info, setting, STEP).encode(frame).nbytes
    assert 0.99 < 8 * nbytes / bits < 1.03


def changing(*, frames: int) -> list[Floats]:
    """Maps that stand still but for noise in a corner, which moves on from time to time."""
    rng = np.random.default_rng(0)
    mixing, held = rng.standard_normal((20, 6)), rng.standard_normal((6, 48, 64))
    made = []
    for place in range(frames):
        corner = 8 * (place // 5 % 5)
        held = held.copy()
        held[:, corner : corner + 12, corner : corner + 12] += rng.normal(0, 0.5, (6, 12, 12))
        made.append(np.tensordot(mixing, held, 1)[None].astype(np.float32))
    return made


def test_a_difference_takes_the_cross_entropy_of_classes_that_the_frame_before_lifts() -> None:
    frames = changing(frames=40)
    table, setting = fitted(frames[:30], INTER, step=200)
    info = info_of(frames[0])
    tables = read(table, Layout.of(info, setting), inter=True)
    assert tables.factors is not None
    before, codebook = Before(tables.transform, tables.factors), tables.codebooks[DIFFERENCE]
    groups, stage = groups_of(codebook, tables.transform), INTER(info, setting, 200)
    bits = unlifted = nbytes = 0.0
    for frame in frames[30:]:
        size, active = stage.encode(frame).nbytes, before.active
        coefficients = tables.transform.coefficients(frame)
        assert coefficients is not None
        how, levels = before.levels(coefficients)
        if how == DIFFERENCE and active is not None:
            nbytes += size
            order, plain = groups.order(active), groups.order()
            bits += entropy(order.of(levels), order, codebook.books)
            unlifted += entropy(plain.of(levels), plain, codebook.books)
    assert 0.99 < 8 * nbytes / bits < 1.03
    assert bits < 0.95 * unlifted


def test_the_greatest_levels_come_back_where_books_have_none_like_them() -> None:
    frames = maps(1, 20, 24, 32)
    table, setting = fitted(frames)
    tables = read(table, Layout.of(info_of(frames[0]), setting), inter=False)
    levels = np.zeros(tables.transform.shape, np.float32)
    levels[0, :3] = MOST_LEVEL, -MOST_LEVEL, 1 - MOST_LEVEL
    many = np.zeros_like(levels)
    many[:, ::50] = MOST_LEVEL  # most of them where nothing is coded
    coder = tables.coder(0)
    for one in (levels, many):
        assert (coder.decode(coder.encode(one), np.empty_like(one)) == one).all()


def seen_together(*, seed: int = 0, frames: int = 24) -> list[Floats]:
    """Maps whose channels show the same few things, each some places aside of the others."""
    rng = np.random.default_rng(seed)
    aside = np.random.default_rng(0).integers(0, 5, (2, 24))
    made = []
    for _ in range(frames):
        things = rng.standard_normal((1, 20, 28)) * (rng.random((1, 20, 28)) < 0.02)
        channels = [things[:, y : y + 16, x : x + 24] for y, x in aside.T]
        made.append(np.stack(channels, axis=1).astype(np.float32))
    return made


def block_of(table: bytes, info: TensorInfo, *, last: bool = False, inter: bool = False) -> int:
    layout = Layout.of(info, Setting(channels_last=last))
    return read(table, layout, inter=inter).transform.layout.block


@pytest.mark.parametrize("last", (False, True))
@pytest.mark.parametrize("kind", (KLT, INTER), ids=("klt", "klt-inter"))
def test_channels_that_see_the_same_aside_are_transformed_by_blocks(kind: Kind, last: bool) -> None:
    frames: list[Floats] = seen_together()
    if last:
        frames = [np.ascontiguousarray(np.moveaxis(frame, 1, 3)) for frame in frames]
    info, step = info_of(frames[0]), 300
    table, setting = fitted(frames[:20], kind, last=last, step=step)
    assert block_of(table, info, last=last, inter=kind.sequential) == JOINT
    encoder, decoder = kind(info, setting, step), kind(info, setting, step)
    for frame in frames[20:]:
        encoded = encoder.encode(frame)
        got = decoder.decode(encoded)
        assert got.shape == frame.shape
        assert np.square(got - frame).mean() < 0.5 * np.square(frame).mean()
        assert encoded.nbytes < frame.nbytes / 20
    strange = frames[-1] + 40 * np.random.default_rng(1).standard_normal(info.shape)
    strange = strange.astype(np.float32)
    np.testing.assert_allclose(decoder.decode(encoder.encode(strange)), strange, atol=20)


@pytest.mark.parametrize("dtype", (np.float16, np.int8, np.uint8))
def test_blocks_of_other_datatypes_stay_in_their_range(dtype: type) -> None:
    frames: list[Array] = [
        np.clip(np.rint(frame * 30 + 40), 0, 127).astype(dtype) for frame in seen_together()
    ]
    assert block_of(fitted(frames[:20], step=300)[0], info_of(frames[0])) == JOINT
    encoder, decoder = ends(frames[:20], step=300)
    got = decoder.decode(encoder.encode(frames[-1]))
    assert (got.dtype, got.shape) == (frames[-1].dtype, frames[-1].shape)
    off = [np.square(one.astype(np.float64) - frames[-1]).mean() for one in (got, np.array(40))]
    assert off[0] < 0.5 * off[1]


def test_channels_that_do_not_are_transformed_by_themselves() -> None:
    frames = maps(1, 20, 24, 32)
    assert block_of(fitted(frames)[0], info_of(frames[0])) == 1
    odd = [frame[:, :, :, :23] for frame in seen_together()]
    assert block_of(fitted(odd, step=300)[0], info_of(odd[0])) == 1


def test_channels_that_are_last_are_coded_as_those_that_are_first() -> None:
    frames = maps(1, 20, 24, 32)
    turned = [np.ascontiguousarray(np.moveaxis(frame, 1, 3)) for frame in frames]
    first, last = ends(frames[:SEEN]), ends(turned[:SEEN], last=True)
    encoded = [one.encode(each[-1]) for (one, _), each in ((first, frames), (last, turned))]
    assert encoded[1].nbytes == pytest.approx(encoded[0].nbytes, rel=0.01)
    got = first[1].decode(encoded[0]), last[1].decode(encoded[1])
    np.testing.assert_allclose(np.moveaxis(got[1], 3, 1), got[0], atol=length(frames))


@pytest.mark.parametrize("dtype", (np.float16, np.float64, np.int8, np.uint8, np.int16))
def test_other_datatypes_are_coded_as_numbers_and_stay_in_their_range(dtype: type) -> None:
    frames: list[Array] = [
        np.round(np.clip(frame * 9, 0, 127)).astype(dtype) for frame in maps(1, 20, 24, 32)
    ]
    encoder, decoder = ends(frames[:SEEN])
    got = decoder.decode(encoder.encode(frames[-1]))
    assert (got.dtype, got.shape) == (frames[-1].dtype, frames[-1].shape)
    error = got.astype(np.float64) - frames[-1]
    assert np.sqrt(np.square(error).sum(axis=1).mean()) < 2 * length(frames[:SEEN])


@pytest.mark.parametrize("shape", [(), (1,), (40,), (1, 40), (30, 40), (1, 30, 40), (1, 1, 9, 9)])
def test_outputs_of_any_rank_are_coded(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    frames = [np.asarray(rng.standard_normal(shape), np.float32) for _ in range(24)]
    encoder, decoder = ends(frames[:-1], step=20)
    got = decoder.decode(encoder.encode(frames[-1]))
    assert (got.dtype, got.shape) == (np.dtype(np.float32), shape)
    assert np.abs(got - frames[-1]).max() < 1


def test_a_constant_channel_and_a_constant_map_come_back_exactly() -> None:
    frames = maps(1, 20, 12, 12)
    for frame in frames:
        frame[:, 3] = 0.7
    encoder, decoder = ends(frames[:SEEN])
    got = decoder.decode(encoder.encode(frames[-1]))
    np.testing.assert_allclose(got[:, 3], 0.7, rtol=1e-4)
    still = [np.full((1, 3, 4, 4), 0.7, np.float32)] * 3
    for kind in (KLT, INTER):
        encoder, decoder = ends(still, kind)
        for frame in (still[0], still[0] + 1, still[0]):
            assert (decoder.decode(encoder.encode(frame)) == frame).all()


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
def test_what_is_not_finite_is_refused_in_frames_and_in_calibration(value: float) -> None:
    frames = maps(1, 20, 12, 12)
    encoder, _ = ends(frames[:SEEN])
    frames[-1][0, 2, 3, 3] = value
    for work in (lambda: encoder.encode(frames[-1]), lambda: fitted(frames)):
        with pytest.raises(NodeError, match="1 of its 2880 values are NaN or infinite"):
            work()


def test_calibration_that_cannot_be_is_refused_by_name() -> None:
    frames = maps(1, 20, 12, 12)
    info = info_of(frames[0])
    for given, words in (
        ([], "no calibration frame"),
        ([frames[0][:, :3]], r"a calibration frame is \[1, 3, 12, 12\]"),
        ([frames[0] * 1e33], "beyond 1e[+]30"),
    ):
        with pytest.raises((UsageError, NodeError), match=words):
            KLT.fit(info, given, Setting(), None, None)
    with pytest.raises(UsageError, match=r"sensitivity is \[3, 3\]"):
        KLT.fit(info, frames, Setting(), None, np.eye(3, dtype=np.float32))
    with pytest.raises(UsageError, match="4096 channels, and 2048 are the most"):
        KLT.fit(info_of(wide := np.zeros(4096, np.float32)), [wide], Setting(), None, None)
    with pytest.raises(UsageError, match="1 to 4000, not 0"):
        KLT.fit(info, frames, Setting(), 0, None)
    with pytest.raises(UsageError, match="no tables: calibrate it"):
        KLT(info, Setting(), None)


def test_what_part_2_feels_most_comes_back_best() -> None:
    frames = maps(1, 20, 24, 32)
    sensitivity = np.diag(np.where(np.arange(20) < 10, 1, 1e-3)).astype(np.float32)
    encoder, decoder = ends(frames[:SEEN], sensitivity=sensitivity)
    error = np.square(decoder.decode(encoder.encode(frames[-1])) - frames[-1])[0]
    assert error[:10].mean() * 4 < error[10:].mean()
    plain = KLT.chosen(("plain",))
    assert plain.fit(info_of(frames[0]), frames, Setting(), STEP, sensitivity) == fitted(frames)[0]


@pytest.mark.parametrize("kind", (KLT, INTER))
def test_what_calibration_never_saw_is_not_lost_in_silence(kind: Kind) -> None:
    frames = maps(1, 20, 24, 32)
    for frame in frames:
        frame[:, 3] = 0.7
    encoder, decoder = ends(frames[:SEEN], kind)
    most = np.abs(frames).max()
    allowed = 20 * length(frames[:SEEN])
    for channel, value in ((0, 30 * most), (3, 30 * most), (7, -1e6 * most), (3, 1e30)):
        spiked = frames[-1].copy()
        spiked[0, channel, 11, 13] = value
        for frame in (frames[-2], spiked, frames[-1]):
            got = decoder.decode(encoder.encode(frame))
            np.testing.assert_allclose(got, frame, atol=allowed, rtol=1e-5)
    for louder in (frames[-1] * 1e3, frames[-1] * 1e9):
        got = decoder.decode(encoder.encode(louder))
        np.testing.assert_allclose(got, louder, atol=allowed, rtol=1e-2)


def test_a_video_takes_less_by_the_frame_before_and_frames_that_are_none_no_more() -> None:
    for moving, most in ((0.05, 0.7), (1.0, 1.05)):
        frames = maps(1, 20, 24, 32, frames=40, moving=moving)
        sizes = []
        for kind in (KLT, INTER):
            encoder, decoder = ends(frames[:20], kind, step=200)
            encoded = [encoder.encode(frame) for frame in frames[20:]]
            got = [decoder.decode(one) for one in encoded]
            assert np.square(np.subtract(got, frames[20:])).mean() < length(frames[:20], 200) ** 2
            sizes.append(sum(one.nbytes for one in encoded))
        assert sizes[1] < most * sizes[0]


def test_a_frame_that_was_lost_or_came_twice_is_told_by_the_next() -> None:
    frames = maps(1, 20, 12, 12, moving=0.1)
    for order in ((0, 2), (0, 0), (1,)):
        encoder, decoder = ends(frames[:SEEN], INTER)
        encoded = [encoder.encode(frame) for frame in frames[:3]]
        for place in order[:-1]:
            decoder.decode(encoded[place])
        with pytest.raises(NodeError, match="lost, damaged, or came twice"):
            decoder.decode(encoded[order[-1]])


@pytest.mark.measures
def test_it_is_faster_than_avc_and_not_far_from_int8_with_zstd() -> None:
    frames = maps(1, 64, 48, 64)
    turns: dict[str, Callable[[], object]] = {}
    for name in ("klt:200", "avc:32", "int8+zstd"):
        coder = coder_of(name, frames[0])
        encoded = coder.encode({NAME: frames[-1]})
        turns[f"encode {name}"] = partial(coder.encode, {NAME: frames[-1]})
        turns[f"decode {name}"] = partial(coder.decode, encoded)
    took: dict[str, list[float]] = {what: [] for what in turns}
    for _ in range(9):
        for what, turn in turns.items():
            start = time.thread_time()
            turn()
            took[what].append(time.thread_time() - start)
    least = {what: min(times) for what, times in took.items()}
    for verb, most in (("encode", 3), ("decode", 6)):
        assert least[f"{verb} klt:200"] < least[f"{verb} avc:32"]
        assert least[f"{verb} klt:200"] < most * least[f"{verb} int8+zstd"]
