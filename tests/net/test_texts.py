"""A sweep of a language model over a link, fed texts of differing lengths."""

import json
from pathlib import Path

import pytest

from tests.net.sweeps import Place

LENGTH, WIDTH = 16, 128
TEXTS = ("the cat sat.", "a dog.", "the cat saw a dog, and the dog saw it.")


@pytest.fixture
def place(backend: str, tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_texts_of_any_length_cross_as_long_as_the_cell_and_are_judged_by_perplexity(
    place: Place,
) -> None:
    file = place.folder / "texts.jsonl"
    file.write_text("\n".join(json.dumps({"tokens": text}) for text in TEXTS))
    told = ("--model", "textnet", "--input", str(file), "--shape", f"tokens=1x{LENGTH}")
    cut = ("--split", "layer2", "--codec", "raw,fp16", "--bw", "100", "--runs", "3")
    done = place.sweep(*told, *cut, "--no-delivery")
    assert {row["errors"] for row in place.rows()} == {"0"}, done.stderr
    split, coded = (
        next(row for row in place.rows() if (row["split_name"], row["codec"]) == ("layer2", codec))
        for codec in ("raw", "fp16")
    )
    # rows of all places, of those that fill up a short text as well
    assert int(split["intermediate_bytes"]) == LENGTH * WIDTH * 4
    assert int(coded["encoded_bytes"]) < 0.6 * int(split["encoded_bytes"])
    assert split["accuracy_metric"] == coded["accuracy_metric"]
    # 12, 6 and 38 letters, of which the last are three frames of 16 that share a letter each
    assert [int(row["accuracy_frames"]) for row in (split, coded)] == [5, 5]
    assert float(coded["accuracy"]) == pytest.approx(float(split["accuracy"]), rel=0.01)


def test_more_tokens_than_the_model_takes_are_refused_with_how_many_it_takes(place: Place) -> None:
    done = place.sweep("--model", "textnet", "--shape", "tokens=1x200")
    assert done.returncode == 2
    assert "--shape tokens=1x200: textnet takes up to 128 tokens at once" in done.stderr
