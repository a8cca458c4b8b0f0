"""Texts are read from plain files, cut and filled up to what a model takes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.datasets.texts import MOST_BYTES as MOST_FILE_BYTES
from splitbed.media.datasets.texts import fitted
from splitbed.media.recipes import TokenRecipe
from splitbed.media.text.sentences import MOST_BYTES, text
from splitbed.media.text.tokens import MAGIC, decoded, encoded, preprocess
from splitbed.tensors import TensorInfo

RECIPE = TokenRecipe(5, vocabulary=10)
INPUTS = (
    TensorInfo("input_ids", "INT64", (1, 5)),
    TensorInfo("attention_mask", "FP32", (1, 5)),
    TensorInfo("position_ids", "INT32", (1, 5)),
    TensorInfo("token_type_ids", "INT64", (1, 5)),
)


def lines(path: Path, *given: object) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in given))
    return path


def tokens(path: Path) -> list[list[int]]:
    return [decoded(one.read(), one.name).tolist() for one in open_dataset(path).frames]


def test_each_kind_of_file_holds_the_same_texts(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3], [4, 5, 6]])
    np.save(tmp_path / "a.npy", rows)
    np.savez(tmp_path / "a.npz", tokens=rows, target=rows[:, :2], relevance=rows / 2)
    lines(
        tmp_path / "a.jsonl", [1, 2, 3], {"tokens": [4, 5, 6], "target": "AB", "relevance": [0, 1]}
    )
    for ending in ("npy", "npz", "jsonl"):
        assert tokens(tmp_path / f"a.{ending}") == rows.tolist()
    (_, told) = open_dataset(tmp_path / "a.jsonl").frames
    assert (told.target, told.relevance) == ((65, 66), (0.0, 1.0))
    (first, _) = open_dataset(tmp_path / "a.npz").frames
    assert (first.target, first.relevance) == ((1, 2), (0.5, 1.0, 1.5))
    (tmp_path / "a.txt").write_bytes(b"a\xc3\xa9\n")
    assert tokens(tmp_path / "a.txt") == [[97, 195, 169, 10]]


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"tokens": [1, -2]}, "line 1: tokens: -2 is no token"),
        ({"tokens": [1, 2.5]}, "a list of whole numbers, or a string"),
        ({"tokens": []}, "a list of whole numbers, or a string"),
        ({"tokens": [1], "targets": [2]}, "but got 'targets', 'tokens'"),
        ({}, "but got none of them"),
        ({"tokens": [1], "relevance": [1, -1]}, "2 numbers or more, each 0 or more"),
        ({"tokens": [1], "relevance": [1, 10**400]}, "2 numbers or more, each 0 or more"),
        ("", "a list of whole numbers, or a string"),
        ("\ud800", "line 1: tokens: the string is not text that UTF-8 has"),
    ],
)
def test_what_is_no_text_is_refused_by_its_line(tmp_path: Path, given: object, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        open_dataset(lines(tmp_path / "a.jsonl", given))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    for name, data, wrong in (
        ("a.jsonl", b"[1, 2", "line 1: a list of tokens"),
        ("b.jsonl", b"\xff", "not text in UTF-8"),
        ("c.npz", b"PK\x03\x04", "as NumPy's"),
        ("d.npy", b"none", "as NumPy's"),
        ("e.txt", b"", "no tokens in"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UsageError, match=wrong):
            open_dataset(tmp_path / name)
    np.savez(tmp_path / "f.npz", ids=np.arange(3))
    with pytest.raises(UsageError, match="tokens, and maybe target and relevance, were expected"):
        open_dataset(tmp_path / "f.npz")


def test_files_that_would_take_too_much_memory_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", tokens=np.zeros(MOST_FILE_BYTES, np.uint8))
    with pytest.raises(UsageError, match="over 16 MiB: give less of it"):
        open_dataset(tmp_path / "a.npz")
    np.save(tmp_path / "b.npy", np.zeros(3))
    said = (tmp_path / "b.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(said.replace(b"(3,), }" + b" " * 12, b"(3000000000000,), }"))
    with pytest.raises(UsageError, match="as NumPy's"):
        open_dataset(tmp_path / "b.npy")


def test_a_long_text_is_cut_so_that_each_token_follows_another_once(tmp_path: Path) -> None:
    whole = list(range(1, 12))
    dataset = fitted(open_dataset(lines(tmp_path / "a.jsonl", whole, [7, 8])), 5)
    parts = [decoded(one.read(), one.name).tolist() for one in dataset.frames]
    assert parts == [[1, 2, 3, 4, 5], [5, 6, 7, 8, 9], [9, 10, 11], [7, 8]]
    assert [token for one in parts[:3] for token in one[1:]] == whole[1:]
    assert len({one.name for one in dataset.frames}) == 4
    targeted = lines(tmp_path / "b.jsonl", {"tokens": whole, "target": [1]})
    assert len(fitted(open_dataset(targeted), 5).frames) == 1, "what has a target is not cut"


def test_a_model_gets_tokens_and_what_goes_along_with_them() -> None:
    made = preprocess(encoded([3, 4, 5]), replace(RECIPE, filler=9), INPUTS, "a")
    assert {name: array[0].tolist() for name, array in made.items()} == {
        "input_ids": [3, 4, 5, 9, 9],
        "attention_mask": [1, 1, 1, 0, 0],
        "position_ids": [0, 1, 2, 3, 4],
        "token_type_ids": [0, 0, 0, 0, 0],
    }
    assert [str(array.dtype) for array in made.values()] == ["int64", "float32", "int32", "int64"]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (
            encoded(range(6)),
            "6 tokens, the model takes 1 to 5: give --shape input_ids=1x6,attention",
        ),
        (encoded([]), "0 tokens, the model takes 1 to 5"),
        (encoded([1, 10]), "token 10: the model knows 0 to 9"),
        (encoded([-1]), "token -1"),
        (MAGIC + b"abc", "is no text"),
        (b"\x89PNG", "is no text: give a .txt"),
    ],
)
def test_what_a_model_cannot_take_is_refused(data: bytes, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        preprocess(data, RECIPE, INPUTS, "a")


def test_inputs_that_no_text_makes_are_named() -> None:
    two = (INPUTS[0], replace(INPUTS[0], name="decoder_input_ids"))
    with pytest.raises(UsageError, match=r"cannot make input_ids INT64\[1, 5\], decoder_input_ids"):
        preprocess(encoded([1]), RECIPE, two, "a")


def test_sentences_are_the_same_everywhere_and_others_by_seed() -> None:
    assert text(0, 0) == "set the alarm at three hours. set the alarm at seventy seconds."
    first, other = (open_dataset(name).frames for name in ("sentences", "sentences:7"))
    assert first[0].read() == encoded(list(text(0, 0).encode()))
    assert first[0].facts()["sha256"] != other[0].facts()["sha256"]
    assert max(len(text(0, place)) for place in range(50)) <= MOST_BYTES
    with pytest.raises(UsageError, match="sentences:x"):
        open_dataset("sentences:x")
