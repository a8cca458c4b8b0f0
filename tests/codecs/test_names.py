"""Codecs by name, ours and a user's."""

import subprocess
import sys

import numpy as np
import pytest

from splitbed.codecs import CODECS, codec_named, joined, known
from splitbed.errors import NodeError, UsageError
from splitbed.model_coders import coder_named
from tests.codecs.coding import NAME, coded, coder_of, feature_map
from tests.codecs.conftest import Install

HALVED = "tests.codecs.halved:KIND"


@pytest.mark.parametrize(
    ("name", "lossless", "calibrated", "sequential"),
    [
        ("raw", True, False, False),
        ("shuffle+zstd:3", True, False, False),
        ("int8+zstd", False, True, False),
        ("fp16+zstd", False, False, False),
        ("hevc-inter:32+zstd", False, True, True),
    ],
)
def test_a_codec_says_what_it_needs_and_loses(
    name: str, lossless: bool, calibrated: bool, sequential: bool
) -> None:
    codec = codec_named(f" {name} ")
    assert codec.name == name
    assert (codec.lossless, codec.calibrated, codec.sequential) == (
        lossless, calibrated, sequential,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zst", "did you mean zstd\\? choose raw, or of fp16, bf16, int8"),
        ("int8+", "no codec is called '', in 'int8\\+'"),
        ("raw+zstd", "raw stands alone"),
        ("zstd:fast", "'zstd:fast' needs one whole number behind its colon, such as zstd:3"),
        ("zstd:3,444", "needs one whole number"),
        ("zstd:1_0", "needs one whole number"),
        ("avc:٣", "needs one whole number behind its colon, of 0 to 51"),
        ("klt:1.5", "needs one whole number behind its colon, of 1 to 4000"),
        ("zstd:23", "levels are -7 to 22 without 0, not 23"),
        ("zstd:0", "levels are -7 to 22"),
        ("int8:4", "it takes no number"),
        ("int8:444", "it takes no number"),
        (
            "avc:27,fst",
            "'avc:27,fst' cannot be: it takes one number, and no word 'fst'; did you mean fast\\?",
        ),
        ("jpeg:slow", "no word 'slow': choose of 420, 444"),
        ("avc:slow,fast", "fast and slow are each a preset: name one"),
        (
            "avc:27,422",
            "it takes one number, and no word '422'; did you mean 420\\? choose of 420, 444",
        ),
        ("avc:27,", "it takes one number, and no word ''"),
        ("klt+int8", "from what is before it; leave one of them out$"),
        ("int8+klt", "klt is fitted to what crosses; leave one of them out$"),
        ("avc:99,444", "0 to 51, not 99"),
        ("zstd+int8", "int8 is for floating point, and gets UINT8 from what is before it"),
        ("int8+int4", "put int4 first"),
        ("sparse+sparse", "depends on the content"),
    ],
)
def test_a_codec_that_cannot_be_is_refused_by_its_name(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        codec_named(name)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("avc:444", "avc:444"),
        ("avc:slow, 444 ,27", "avc:27,444,slow"),
        ("avc:27,420,veryfast", "avc:27"),
        ("hevc-inter:420,slow+zstd:03", "hevc-inter:slow+zstd:3"),
        ("jpeg:444,444", "jpeg:444"),
        ("avif:slow,444,30", "avif:30,slow"),
        ("avif:fast,420", "avif:420"),
    ],
)
def test_a_codec_has_one_name_however_it_is_written(written: str, name: str) -> None:
    assert codec_named(written).name == codec_named(name).name == name


def test_a_comma_list_leaves_each_codec_its_words() -> None:
    told = "int8,avc:27,444,slow,jpeg:444,90,raw,avc:22,444+zstd,444"
    assert joined(told.split(",")) == [
        "int8", "avc:27,444,slow", "jpeg:444,90", "raw", "avc:22,444+zstd", "444",
    ]  # fmt: skip
    assert joined(["static:stage2/avc:27", "444", "argmin"]) == [
        "static:stage2/avc:27,444",
        "argmin",
    ]


def test_a_name_is_no_longer_than_any_codec_has_and_few_are_remembered() -> None:
    inside = "+".join(["zstd"] * 40)
    assert len(inside) == 199
    codec_named(inside)
    for named in (codec_named, coder_named):
        with pytest.raises(UsageError, match="of 201 letters"):
            named(f"{inside}+z")
        assert named.cache_info().maxsize == 256


def test_listing_the_codecs_imports_none_of_their_libraries() -> None:
    script = (
        "import sys; from splitbed.codecs import known; known();"
        "print(*{'av', 'onnx', 'onnxruntime', 'zstandard'} & sys.modules.keys())"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == ""


def test_every_codec_is_listed_with_a_line_about_it() -> None:
    assert [row.name for row in known()] == ["raw", *CODECS]
    assert all(row.summary for row in known())


def test_a_users_codec_composes_with_ours(install: Install) -> None:
    install(("halved", HALVED))
    array = feature_map(1, 4, 9, 7)
    np.testing.assert_array_equal(coded("halved:3+shuffle+zstd", array), array)
    assert not codec_named("halved+zstd").lossless
    assert known()[-1].name == "halved"


def test_what_a_users_codec_raises_is_the_nodes_error(install: Install) -> None:
    install(("halved", HALVED))
    array = feature_map(1, 4, 9, 7)
    coder = coder_of("halved", array)
    array[0, 0, 0, 0] = -1
    with pytest.raises(NodeError, match="halved failed to encode relu_3: ZeroDivisionError"):
        coder.encode({NAME: array})


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([("zstd", HALVED)], "brings a codec called 'zstd', as is Splitbed's own"),
        ([("raw", HALVED)], "brings a codec called 'raw'"),
        ([("mine", HALVED), ("mine", "other:KIND")], "called 'mine', as is tests.codecs.halved"),
        ([("mine", "no_such_module:KIND")], "cannot import the codec 'mine'.*no_such_module"),
        ([("mine", "math:pi")], "'mine' of .* is no StageKind .* lacks lossless, calibrated"),
    ],
)
def test_a_users_codec_that_cannot_be_had_is_refused(
    install: Install, points: list[tuple[str, str]], words: str
) -> None:
    install(*points)
    with pytest.raises(UsageError, match=words):
        codec_named("mine")


@pytest.mark.parametrize(("name", "finer"), [("jpeg", "jpeg:90"), ("avc+zstd", "avc:22+zstd")])
def test_a_dial_goes_from_the_coarsest_to_the_finest(name: str, finer: str) -> None:
    codec = codec_named(name)
    assert codec.dial
    assert finer in map(codec.at, codec.dial.ladder)
    assert codec_named(codec.at(codec.dial.usual)).dial is None  # its number is given
    array = feature_map(1, 3, 64, 64)
    coarsest, *_, finest = codec.dial.steps()
    sizes = [
        sum(one.nbytes for one in coder_of(codec.at(step), array).encode({NAME: array}).values())
        for step in (coarsest, codec.dial.usual, finest)
    ]
    assert sizes == sorted(sizes)


def test_no_dial_where_the_number_trades_no_accuracy() -> None:
    assert codec_named("int8+zstd").dial is None
    assert codec_named("raw").dial is None
