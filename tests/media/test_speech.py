"""Speech that is made: nothing that is judged is heard in training, and it is made alike again."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from splitbed.errors import MachineError, UsageError
from splitbed.media.datasets import open_dataset
from splitbed.media.recipes import SoundRecipe
from splitbed.media.sounds import preprocess
from splitbed.media.speech.commands import VOCABULARY
from splitbed.media.speech.corpus import recordings, utterances
from splitbed.media.speech.rooms import WINDOW

spoken = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")


def test_no_sentence_that_is_judged_is_trained_on() -> None:
    said = {split: {one.text for one in utterances(split)} for split in ("dev", "test", "train")}
    assert not said["train"] & (said["dev"] | said["test"])
    assert not said["dev"] & said["test"]


def test_no_voice_of_the_test_is_trained_on() -> None:
    voices = {
        split: {one.by.name.partition("+")[2] for one in utterances(split)}
        for split in ("short", "train", "test")
    }
    assert voices["test"] and not voices["test"] & (voices["short"] | voices["train"])


@pytest.mark.parametrize("split", ["dev", "test"])
def test_only_words_of_the_vocabulary_are_said(split: str) -> None:
    assert {word for one in utterances(split) for word in one.text.split()} <= set(VOCABULARY)


def test_there_are_a_hundred_recordings_to_judge_by() -> None:
    assert len(recordings("test")) >= 100


@spoken
@pytest.mark.parametrize("place", [0, 50, -1])
def test_a_recording_fills_the_window_and_is_made_alike_again(place: int) -> None:
    one = recordings("test")[place]
    assert one.recorded().shape == (WINDOW,)
    assert np.array_equal(one.recorded(), one.recorded())


@spoken
def test_the_dataset_gives_sounds_and_transcripts() -> None:
    frame = open_dataset("speech").frames[3]
    assert frame.transcript == recordings("test")[3].text.upper()
    assert preprocess(frame.read(), SoundRecipe(WINDOW), frame.name).shape == (1, WINDOW)


def test_another_split_is_refused() -> None:
    with pytest.raises(UsageError, match="speech:train: there are speech:dev and speech:test"):
        open_dataset("speech:train")


def test_without_the_synthesiser_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-get install espeak-ng"):
        open_dataset("speech").frames[0].read()
