"""How good is what a model says of speech, of texts and of candidates.

Each of :data:`JUDGES` holds results by the places of their inputs against what is known of these,
where that is known of all, else against what the whole model makes of them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from orchestrator.results.records import Accuracy
from orchestrator.testbed.inputs import ModelInput
from splitbed.errors import UsageError
from splitbed.media.datasets import Frame
from splitbed.media.text.tokens import decoded
from splitbed.metrics.resampling import Array, mean_of
from splitbed.tasks.transcripts import transcript
from splitbed.tensors import Tensors

Truth = TypeVar("Truth")
Results = Mapping[int, Tensors]
Judgement = tuple[Accuracy, Callable[[Array], Array]]
"""An accuracy, and what it is of resamples of its inputs."""
END = 0
"""Ahead of the first such token a translation ends."""


def transcripts(inputs: Sequence[ModelInput], whole: Results, results: Results) -> Judgement:
    """The share of words that are right: 1 - WER, below 0 where many words are put in."""
    from splitbed.metrics.wer import resampled_rate, word_errors

    metric, truth = "1 - WER", _known(inputs, results, lambda frame: frame.transcript)
    if truth is None:
        metric += ", the whole model's transcripts as truth"
        truth = [transcript(whole[place]) for place in results]
    judged = word_errors(truth, [transcript(result) for result in results.values()])
    value = None if judged.rate is None else 1 - judged.rate
    told = Accuracy(metric, value, judged.row(), frames=len(truth))
    return told, lambda drawn: 1 - resampled_rate(judged, drawn)


def next_tokens(inputs: Sequence[ModelInput], whole: Results, results: Results) -> Judgement:
    """The mean probability (geometric) of the tokens that follow in the texts."""
    from splitbed.metrics.language.perplexity import next_tokens as judge

    metric, truth = "1 / perplexity", _known(inputs, results, _following)
    if truth is None:
        metric += ", the whole model's tokens as truth"
        truth = [whole[place]["log_probabilities"].argmax(-1) for place in results]
    judged = judge([one["log_probabilities"] for one in results.values()], truth)
    perplexity = judged.perplexity
    told = Accuracy(metric, perplexity and 1 / perplexity, judged.row(), frames=len(truth))
    return told, judged.resampled


def translations(inputs: Sequence[ModelInput], whole: Results, results: Results) -> Judgement:
    """BLEU, as a fraction."""
    from splitbed.metrics.language.bleu import Bleu

    metric, truth = "BLEU", _known(inputs, results, lambda frame: frame.target)
    if truth is None:
        metric += ", the whole model's translations as truth"
        truth = [tuple(whole[place]["tokens"].tolist()) for place in results]
    said = [_ended(one["tokens"].tolist()) for one in results.values()]
    bleu = Bleu([_ended(one) for one in truth], said)
    score = bleu.score
    more = {"bleu": score, "tokens": float(sum(map(len, said)))}
    told = Accuracy(metric, None if score is None else score / 100, more, frames=len(truth))
    return told, lambda drawn: bleu.resampled(drawn) / 100


def rankings(inputs: Sequence[ModelInput], whole: Results, results: Results) -> Judgement:
    """NDCG by the relevance of candidates; else of the one that the whole model puts first."""
    from scipy.stats import spearmanr

    from splitbed.metrics.ranking import ranking

    scores = [one["scores"] for one in results.values()]
    others = [whole[place]["scores"] for place in results]
    metric, truth = "NDCG", _known(inputs, results, lambda frame: frame.relevance)
    if truth is None:
        metric += ", the whole model's first as the one relevant"
        truth = [tuple((np.arange(len(one)) == one.argmax()).astype(float)) for one in others]
    judged = ranking([np.array(one) for one in truth], scores)
    pairs = list(zip(others, scores, strict=True))
    vary = all(one.min() < one.max() for pair in pairs for one in pair)  # not so of NaN, either
    alike = [spearmanr(*pair).statistic for pair in pairs] if vary else []
    more = {**judged.row(), "spearman": float(np.mean(alike)) if alike else None}
    told = Accuracy(metric, judged.row()["ndcg"], more, frames=len(truth))
    return told, partial(mean_of, judged.ndcg)


JUDGES: dict[str, Callable[[Sequence[ModelInput], Results, Results], Judgement]] = {
    "next-token": next_tokens,
    "ranking": rankings,
    "transcript": transcripts,
    "translation": translations,
}
"""By the task of the model."""
_TRUTH: dict[str, Callable[[Frame], object]] = {
    "next-token": lambda frame: frame,
    "ranking": lambda frame: frame.relevance,
    "transcript": lambda frame: frame.transcript,
    "translation": lambda frame: frame.target,
}


def is_known(task: str, frame: Frame | None) -> bool:
    """Whether what the model should say of an input is known."""
    return frame is not None and _TRUTH[task](frame) is not None


def check_candidates(inputs: Sequence[ModelInput], scores: int) -> None:
    """Raise UsageError where the relevance of more or fewer candidates is known than scored."""
    for one in inputs:
        known = one.frame.relevance if one.frame else None
        if known is not None and scores > 0 and len(known) != scores:
            raise UsageError(
                f"{one.name} tells the relevance of {len(known)} candidates: the model scores"
                f" {scores}"
            )


def _known(
    inputs: Sequence[ModelInput], results: Results, of: Callable[[Frame], Truth | None]
) -> list[Truth] | None:
    """What is known of each; None where that is not all of them."""
    found = [of(frame) if (frame := inputs[place].frame) else None for place in results]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def _following(frame: Frame) -> npt.NDArray[np.int32]:
    """The tokens that follow another."""
    return decoded(frame.read(), frame.name)[1:]


def _ended(tokens: Sequence[int]) -> Sequence[int]:
    return tokens[: tokens.index(END)] if END in tokens else tokens
