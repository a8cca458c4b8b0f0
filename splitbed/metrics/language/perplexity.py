"""How well a model tells which token follows: clause 6's perplexity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.metrics.resampling import Array


@dataclass(frozen=True)
class NextTokens:
    """What was said of the tokens that follow, a row for each text.

    ``surprise`` is the negative log-likelihood of each text's tokens together, in nats, ``right``
    how many of them were held to be the likeliest, ``reciprocal_ranks`` the sum of theirs, and
    ``tokens`` how many there are.
    """

    surprise: Array
    right: Array
    reciprocal_ranks: Array
    tokens: Array

    @property
    def perplexity(self) -> float | None:
        """The exponential of the mean surprise of a token; None without tokens."""
        if not (count := self.tokens.sum()):
            return None
        mean = float(self.surprise.sum() / count)
        return math.exp(mean) if mean < math.log(np.finfo(float).max) else math.inf

    def row(self) -> dict[str, float | None]:
        """The columns of a table: MRR is the mean reciprocal rank of what follows (clause 6).

        None is what is infinite, or of no tokens.
        """
        count = float(self.tokens.sum())
        sums = {
            "cross_entropy": self.surprise, "accuracy": self.right, "mrr": self.reciprocal_ranks,
        }  # fmt: skip
        means = {name: float(each.sum()) / count if count else None for name, each in sums.items()}
        told = {"perplexity": self.perplexity, **means, "tokens": count}
        return {name: None if value == math.inf else value for name, value in told.items()}

    def resampled(self, drawn: Array) -> Array:
        """1 / perplexity of each resample, as :func:`splitbed.metrics.resampling.resamples`."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.exp(-(drawn @ self.surprise) / (drawn @ self.tokens)))


def next_tokens(
    said: Sequence[npt.NDArray[Any]], truth: Sequence[npt.NDArray[np.integer]]
) -> NextTokens:
    """What the log-probabilities ``said``, PLACESxVOCABULARY, are worth by what followed.

    ``truth`` has for each text what followed at the first places of it. A token of the same
    probability as another has the worse rank of both; what is no number is no probability.

    Raises:
        UsageError: more or fewer texts than truth, or a token that there is no probability of.
    """
    if len(said) != len(truth):
        raise UsageError(f"cannot judge {len(said)} texts by the tokens of {len(truth)}")
    pairs = enumerate(zip(said, truth, strict=True))
    rows = [_text(place, one, tokens) for place, (one, tokens) in pairs]
    surprise, right, ranks, tokens = np.array(rows, np.float64).reshape(-1, 4).T
    return NextTokens(surprise, right, ranks, tokens)


def _text(
    place: int, said: npt.NDArray[Any], followed: npt.NDArray[np.integer]
) -> tuple[float, float, float, int]:
    places, vocabulary = said.shape
    if len(followed) > places or (followed.size and followed.max() >= vocabulary):
        raise UsageError(
            f"text {place} has {len(followed)} tokens up to {followed.max()}; what is said of it"
            f" is of {places} places and of {vocabulary} tokens"
        )
    told = np.nan_to_num(said[: len(followed)].astype(np.float64), nan=-np.inf, neginf=-np.inf)
    true = told[np.arange(len(followed)), followed]
    ranks = (told >= true[:, np.newaxis]).sum(1)
    return -float(true.sum()), float((ranks == 1).sum()), float((1 / ranks).sum()), len(followed)
