"""YAML from anywhere: a mapping, or refused in one short line that says why."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from splitbed.checked import MOST_BYTES, Frozen, read_yaml, text_named, yaml_mapping
from splitbed.errors import UsageError, did_you_mean

LONGEST = 2000
LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in pairwise("abcd"))


class Asked(Frozen):
    bw: float = 1
    names: tuple[int, ...] = ()
    word: str = Field("", max_length=3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "line 2 has an alias"),
        ("[" * 100_000, "nested deeper than 32"),
        ("a: " * 40 + "1", "is not YAML"),
        ("\n".join(" " * n + "a:" for n in range(40)), "nested deeper than 32"),
        (f"a: {'9' * 5000}", "a number of 5000 characters"),
        (f"a: 0x{'f' * 5000}", "a number of 5002 characters"),
        (f"a: {'1:' * 500}1.5", "a number of"),
        ("a: 2024-99-99", "month must be in 1..12"),
        ("a: !!timestamp x", "is not YAML"),
        ("a: !!int ''", "is not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: \x1b[2J", "special characters are not allowed"),
        ("- a", "not a mapping"),
        ("", "not a mapping"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_in_a_line(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        yaml_mapping(text, "the topology x.yaml")
    told = str(refused.value)
    assert told.startswith("the topology x.yaml")
    assert len(told) < LONGEST
    assert told.isprintable()


@given(st.text(alphabet="ab01:-[]{},&*!|>'\"#%\n .~<=?", max_size=60))
def test_whatever_is_written_is_a_mapping_or_refused(text: str) -> None:
    try:
        assert isinstance(yaml_mapping(text, "it"), dict)
    except UsageError as error:
        assert len(str(error)) < LONGEST


def test_a_file_is_read_to_the_most_that_any_has_and_no_further(tmp_path: Path) -> None:
    (file := tmp_path / "a.yaml").write_text("a: 1\n#".ljust(MOST_BYTES, "."))
    assert read_yaml(file) == {"a": 1}
    with file.open("a") as more:
        more.write(".")
    with pytest.raises(UsageError, match=f"more than {MOST_BYTES} bytes"):
        read_yaml(file)
    with pytest.raises(UsageError, match="no plain file"):
        read_yaml(Path("/dev/zero"))


def test_what_no_file_can_be_called_is_refused() -> None:
    with pytest.raises(UsageError, match="no file has such a name"):
        read_yaml(Path("a\0b"))
    with pytest.raises(UsageError, match=r"no topology is called .*no file has such a name"):
        text_named("a\0b", {}, "topology")


@pytest.mark.parametrize(
    "given",
    [
        {"bw": "x" * 100_000},
        {"bw": {"a": ["x" * 1000] * 1000}},
        {"names": ["x"] * 10_000},
        {"word": "y" * 100_000},
        {"z" * 100_000: 1},
        {"names": [[[[[[[["deep"]]]]]]]] * 100},
    ],
    ids=["text", "tree", "list", "long", "key", "deep"],
)
def test_what_is_refused_is_told_in_short_however_long_it_is(given: dict[str, object]) -> None:
    with pytest.raises(UsageError) as refused:
        Asked().replaced(**given)
    assert len(str(refused.value)) < LONGEST


def test_what_was_given_is_told_with_what_is_wrong() -> None:
    with pytest.raises(UsageError, match=r"bw should be a valid number.*\(got 'fast'\)"):
        Asked().replaced(bw="fast")


def test_an_endless_name_is_compared_with_none_of_ours() -> None:
    name = "x" * 1_000_000
    tracemalloc.start()
    try:
        assert did_you_mean(name, ["xx", "xxx"]) == ":"
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert did_you_mean("xxy", ["xxx"]) == "; did you mean xxx?"
