"""Logits become words: by the clause's label selector, and by a search through a vocabulary."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.errors import UsageError
from splitbed.tasks import TASKS
from splitbed.tasks.transcripts import LABELS, Lexicon, selected, transcript

Floats = npt.NDArray[np.float32]


def spelled(labels: str, sure: float = 9.0) -> Floats:
    """Logits whose likeliest label in each frame is that of ``labels``."""
    logits = np.zeros((len(labels), len(LABELS)), np.float32)
    logits[np.arange(len(labels)), [LABELS.index(label) for label in labels]] = sure
    return logits


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("HEE-LL-LO", "HELLO"),
        ("-GO||TTO-||", "GO TO"),
        ("||-|DON''T", "DON'T"),
        ("----", ""),
    ],
    ids=["repeats", "words", "an apostrophe", "silence"],
)
def test_the_label_selector_drops_repeats_and_blanks(labels: str, text: str) -> None:
    assert selected(spelled(labels)) == text


def test_the_label_selector_is_the_script_of_figure_10_1_8_1() -> None:
    logits = np.random.default_rng(1).standard_normal((400, 29)).astype(np.float32)
    best = [key for key, _ in itertools.groupby(logits.argmax(-1).tolist())]
    published = "".join(LABELS[label] for label in best if label != 0).replace("|", " ")
    assert selected(logits) == " ".join(published.split())


def test_the_task_gives_the_text_and_nothing_else_is_taken() -> None:
    task = TASKS["transcript"]
    assert transcript(task.decode({"logits": spelled("O-K")[np.newaxis]}, ())) == "OK"
    with pytest.raises(UsageError, match="1xFRAMESx29 is wanted"):
        task.decode({"logits": np.zeros((1, 4, 32), np.float32)}, ())


def test_a_vocabulary_repairs_a_letter_and_a_lost_space() -> None:
    search = Lexicon(["turn", "left", "right"])
    assert search(spelled("TTUUM-|L-EFT")) == "TURN LEFT"
    assert search(spelled("TURN-RIGHT")) == "TURN RIGHT"
    assert search(spelled("LEFT|-|-LEFT")) == "LEFT LEFT"


def test_the_search_finds_the_likeliest_of_all_sentences() -> None:
    """Against the likeliest frame by frame path of every sentence of up to three words."""
    words = ["ON", "NO", "TOO"]
    search = Lexicon(words)
    rng = np.random.default_rng(5)
    for _ in range(20):
        logits = 2 * rng.standard_normal((6, 29))
        odds = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        scores = {
            " ".join(said): best_path(odds, "|".join(said))
            for count in (1, 2, 3)
            for said in itertools.product(words, repeat=count)
        }
        assert search(logits) == max(scores, key=scores.__getitem__)


def best_path(odds: npt.NDArray[np.float64], labels: str) -> float:
    """The log-probability of the likeliest path that spells ``labels``."""
    states = "-" + "-".join(labels) + "-"
    score = np.full(len(states), -np.inf)
    score[:2] = odds[0, [LABELS.index(label) for label in states[:2]]]
    for row in odds[1:]:
        old = score.copy()
        for at, label in enumerate(states):
            ways = [old[at], old[at - 1] if at else -np.inf]
            if at > 1 and label not in ("-", states[at - 2]):
                ways.append(old[at - 2])
            score[at] = max(ways) + row[LABELS.index(label)]
    return float(max(score[-2:]))
