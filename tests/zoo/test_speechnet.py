"""SpeechNet understands voices that it was not trained on, and less with coarser weights."""

import shutil
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
import pytest

pytest.importorskip("jiwer")

from splitbed.media.datasets import open_dataset
from splitbed.media.sounds import preprocess
from splitbed.media.speech.commands import VOCABULARY
from splitbed.metrics.wer import word_errors
from splitbed.tasks.transcripts import Lexicon, selected
from splitbed.zoo import ZOO, Variant
from splitbed.zoo.layers import Floats

SPEECHNET = ZOO["speechnet"]
RECORDINGS = 40
SELECTED, REPAIRED = 0.15, 0.05  # of all 123 it is 0.092 and 0.020

pytestmark = pytest.mark.skipif(
    not shutil.which("espeak-ng"), reason="espeak-ng, which speaks the test, is not installed"
)


@pytest.fixture(scope="module")
def heard() -> list[tuple[str, Floats]]:
    """What is said in some recordings of the test, and the logits."""
    file, origin = SPEECHNET.build(Variant("onnx"))
    assert origin.startswith("trained on made speech (seed 1), sha256:")
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert SPEECHNET.sound
    found = []
    for frame in open_dataset("speech").frames[:RECORDINGS]:
        wave = preprocess(frame.read(), SPEECHNET.sound, frame.name)
        assert frame.transcript
        found.append((frame.transcript, session.run(None, {"waveform": wave})[0][0]))
    return found


def rate(heard: list[tuple[str, Floats]], reader: Callable[[Floats], str]) -> float:
    found = word_errors([said for said, _ in heard], [reader(logits) for _, logits in heard]).rate
    assert found is not None
    return found


def test_the_label_selector_gets_most_words_right(heard: list[tuple[str, Floats]]) -> None:
    assert rate(heard, selected) < SELECTED


def test_the_vocabulary_repairs_most_of_the_rest(heard: list[tuple[str, Floats]]) -> None:
    assert rate(heard, Lexicon(VOCABULARY)) < REPAIRED


def test_noise_on_the_logits_is_heard(heard: list[tuple[str, Floats]]) -> None:
    rng = np.random.default_rng(0)
    noisy = [
        (said, logits + 9 * rng.standard_normal(logits.shape, np.float32)) for said, logits in heard
    ]
    assert rate(noisy, selected) > 2 * rate(heard, selected)
