"""Perplexity, BLEU, ranks and correlation are those of the libraries that people use."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from splitbed.errors import UsageError
from splitbed.metrics.language.bleu import Bleu
from splitbed.metrics.language.perplexity import next_tokens
from splitbed.metrics.ranking import ranking
from splitbed.metrics.regression import regression_accuracy
from splitbed.metrics.resampling import resamples
from splitbed.tasks import TASKS

VOCABULARY = 11
Floats = npt.NDArray[np.float32]


def said(
    lengths: tuple[int, ...], seed: int = 0
) -> tuple[list[Floats], list[npt.NDArray[np.int_]]]:
    """Logits of texts, a place more than is judged, and what followed."""
    rng = np.random.default_rng(seed)
    logits = [rng.normal(0, 3, (count + 1, VOCABULARY)).astype(np.float32) for count in lengths]
    return logits, [rng.integers(VOCABULARY, size=count) for count in lengths]


def log_softmax(logits: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    from scipy.special import log_softmax  # here, as each worker imports what is above

    found: npt.NDArray[np.float64] = log_softmax(logits, -1)
    return found


def decoded(logits: Floats) -> Floats:
    made = TASKS["next-token"].decode({"logits": logits[np.newaxis]}, ())["log_probabilities"]
    assert np.allclose(made, log_softmax(logits), atol=1e-6)
    return made.astype(np.float32)


def test_perplexity_is_of_the_log_loss_and_the_cross_entropy_of_all_tokens() -> None:
    from sklearn.metrics import label_ranking_average_precision_score, log_loss

    logits, truth = said((4, 9, 1))
    judged = next_tokens([decoded(one) for one in logits], truth)
    rows = np.concatenate([one[:-1] for one in logits]).astype(np.float64)
    tokens = np.concatenate(truth)
    probabilities = np.exp(log_softmax(rows))
    loss = log_loss(tokens, probabilities, labels=range(VOCABULARY))
    assert judged.perplexity == pytest.approx(math.exp(loss), rel=1e-5)
    assert judged.row()["cross_entropy"] == pytest.approx(loss, rel=1e-6)
    ranks = label_ranking_average_precision_score(np.eye(VOCABULARY)[tokens], rows)
    assert judged.row()["mrr"] == pytest.approx(ranks)
    assert judged.row()["accuracy"] == pytest.approx((rows.argmax(1) == tokens).mean())
    assert judged.row()["tokens"] == 14


def test_a_resample_has_the_perplexity_of_the_texts_that_it_drew() -> None:
    logits, truth = said((3, 5, 2, 8))
    texts = [decoded(one) for one in logits]
    drawn = resamples(4)[:20]
    found = next_tokens(texts, truth).resampled(drawn)
    for counts, one in zip(drawn.astype(int), found, strict=True):
        places = np.repeat(range(4), counts)
        again = next_tokens([texts[at] for at in places], [truth[at] for at in places])
        assert again.perplexity is not None and one == pytest.approx(1 / again.perplexity)


def test_what_is_no_number_is_no_probability_and_no_text_has_no_perplexity() -> None:
    broken = np.full((2, VOCABULARY), np.nan, np.float32)
    judged = next_tokens([broken], [np.array([1])])
    assert judged.perplexity == math.inf and judged.row()["perplexity"] is None
    assert judged.row()["cross_entropy"] is None
    assert judged.row()["mrr"] == 1 / VOCABULARY
    assert next_tokens([], []).perplexity is None
    with pytest.raises(UsageError, match="tokens up to 11; what is said of it is of 2 places"):
        next_tokens([broken], [np.array([VOCABULARY])])


def test_bleu_is_sacrebleus_of_the_whole_corpus(caplog: pytest.LogCaptureFixture) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    rng = np.random.default_rng(3)
    truth = [rng.integers(1, 9, size).tolist() for size in (12, 7, 20, 9)]
    wrong = [[token if rng.random() < 0.8 else 1 for token in one][:-1] for one in truth]
    bleu = Bleu(truth, wrong)
    texts = [" ".join(map(str, one)) for one in wrong]
    known = [[" ".join(map(str, one)) for one in truth]]
    expected = sacrebleu.corpus_bleu(texts, known, tokenize="none", force=True).score
    assert 0 < expected < 100 and bleu.score == pytest.approx(expected)
    assert Bleu(truth, truth).score == pytest.approx(100)
    once = bleu.resampled(np.array([[1.0, 1, 1, 1], [0, 0, 2, 0]]))
    assert once[0] == pytest.approx(expected)
    alone = sacrebleu.corpus_bleu(texts[2:3], [known[0][2:3]], tokenize="none", force=True).score
    assert once[1] == pytest.approx(alone)
    assert not caplog.messages, "nothing is said of each translation"


def test_candidates_are_ranked_as_scikit_learn_says() -> None:
    from sklearn.metrics import dcg_score, label_ranking_average_precision_score, ndcg_score

    rng = np.random.default_rng(5)
    relevance = [rng.integers(0, 4, 8).astype(float) for _ in range(6)]
    relevance[0][:] = [0, 0, 0, 1, 0, 0, 0, 0]
    scores = [rng.normal(size=8).astype(np.float32).astype(float) for _ in relevance]
    scores[1][:4] = scores[1][0]  # which no order tells apart
    judged = ranking(relevance, scores)
    assert judged.row()["dcg"] == pytest.approx(dcg_score(relevance, scores))
    assert judged.row()["ndcg"] == pytest.approx(ndcg_score(relevance, scores))
    alone = label_ranking_average_precision_score([relevance[0] > 0], [scores[0]])
    assert judged.reciprocal_rank[0] == pytest.approx(alone)
    order = relevance[2][np.argsort(-scores[2])]
    assert judged.reciprocal_rank[2] == pytest.approx(1 / (1 + np.argmax(order > 0)))


def test_a_query_without_what_is_relevant_counts_as_nothing() -> None:
    judged = ranking(
        [np.zeros(3), np.array([0, 1, 0])], [np.arange(3.0), np.array([0, np.nan, -1])]
    )
    assert judged.ndcg[0] == judged.reciprocal_rank[0] == 0
    assert judged.reciprocal_rank[1] == pytest.approx(1 / 3), "a score that is no number is last"
    with pytest.raises(UsageError, match="3 scores for the relevance of 2"):
        ranking([np.zeros(2)], [np.zeros(3)])


def test_correlation_is_scipys() -> None:
    from scipy.stats import pearsonr

    rng = np.random.default_rng(1)
    true = rng.normal(size=50)
    other = true + rng.normal(size=50)
    pearson = regression_accuracy(true, other).pearson
    assert pearson == pytest.approx(pearsonr(true, other).statistic)
    assert regression_accuracy(true, np.ones(50)).pearson is None
