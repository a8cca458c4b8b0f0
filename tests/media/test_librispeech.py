"""Folders of LibriSpeech are read as they are unpacked."""

from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.sounds import wave_file

SILENCE = wave_file(np.zeros(160, np.int16), 16_000)


def chapter(folder: Path, *said: str, speaker: int = 61, number: int = 70968) -> Path:
    """A chapter with silence for each sentence."""
    inside = folder / str(speaker) / str(number)
    inside.mkdir(parents=True)
    lines = []
    for place, sentence in enumerate(said):
        name = f"{speaker}-{number}-{place:04}"
        (inside / f"{name}.wav").write_bytes(SILENCE)
        lines.append(f"{name} {sentence}\n")
    text = inside / f"{speaker}-{number}.trans.txt"
    text.write_text("".join(lines))
    return text


def test_each_sound_has_its_transcript(tmp_path: Path) -> None:
    chapter(tmp_path, "HE BEGAN A CONFUSED COMPLAINT", "DON'T")
    chapter(tmp_path, "YES", speaker=7, number=1)
    found = open_dataset(tmp_path)
    assert found.kind == "librispeech" and found.annotated == 3
    assert {frame.name: frame.transcript for frame in found.frames} == {
        "61-70968-0000.wav": "HE BEGAN A CONFUSED COMPLAINT",
        "61-70968-0001.wav": "DON'T",
        "7-1-0000.wav": "YES",
    }
    assert found.frames[0].read() == SILENCE


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("61-70968-0000", "line 2: a name and what is said"),
        ("61-70968-0009 HELLO", r"line 2: there is no .*0009\.flac"),
        ("../61-70968-0000 HELLO", "line 2: .* is not the name of a file"),
    ],
    ids=["no words", "no sound", "another folder"],
)
def test_a_line_that_cannot_be_is_named(tmp_path: Path, line: str, why: str) -> None:
    text = chapter(tmp_path, "YES")
    text.write_text(text.read_text() + line + "\n")
    with pytest.raises(UsageError, match=why) as refused:
        open_dataset(tmp_path)
    assert str(text) in str(refused.value)
