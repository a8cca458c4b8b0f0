"""How well candidates are ranked (clause 6: MRR, DCG, NDCG), by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from splitbed.errors import UsageError
from splitbed.metrics.resampling import Array


@dataclass(frozen=True)
class Ranking:
    """A number for each query: 0 where none of its candidates is relevant.

    ``reciprocal_rank`` is that of the relevant candidate that comes first; ``dcg`` is the
    discounted cumulative gain of all candidates, with the relevance itself as gain and the binary
    logarithm (Jarvelin and Kekalainen, 2002), ``ndcg`` its share of the greatest that there can be.
    """

    reciprocal_rank: Array
    dcg: Array
    ndcg: Array

    def row(self) -> dict[str, float | None]:
        """The columns of a table: means over the queries, None without any."""
        means = {"ndcg": self.ndcg, "dcg": self.dcg, "mrr": self.reciprocal_rank}
        return {name: float(each.mean()) if each.size else None for name, each in means.items()}


def ranking(relevance: Sequence[npt.NDArray[Any]], scores: Sequence[npt.NDArray[Any]]) -> Ranking:
    """How well ``scores`` put candidates in order, by their ``relevance``: an array a query each.

    What is relevant is above 0; a score that is no number comes last. Among candidates of equal
    scores DCG takes the mean over all orders, and the reciprocal rank the last place.

    Raises:
        UsageError: other numbers of queries or of candidates, or a relevance below 0.
    """
    from sklearn.metrics import dcg_score, label_ranking_average_precision_score, ndcg_score

    if len(relevance) != len(scores):
        raise UsageError(f"cannot rank {len(scores)} queries by the relevance of {len(relevance)}")
    rows = []
    for place, (true, said) in enumerate(zip(relevance, scores, strict=True)):
        if true.shape != said.shape or true.ndim != 1 or true.size < 2:
            raise UsageError(
                f"query {place} has {said.size} scores for the relevance of {true.size} candidates:"
                " there are as many, and two at least"
            )
        if not (np.isfinite(true).all() and true.min() >= 0):
            raise UsageError(f"query {place} has a relevance that is no number from 0 on")
        if not true.any():
            rows.append((0.0, 0.0, 0.0))
            continue
        held = np.nan_to_num(said.astype(np.float64), nan=-np.finfo(np.float64).max)
        first = np.where(true > 0, held, -np.inf).argmax()
        alone = np.arange(true.size) == first  # the average precision of one is 1 / its rank
        rows.append(
            (
                label_ranking_average_precision_score([alone], [held]),
                dcg_score([true], [held]),
                ndcg_score([true], [held]),
            )
        )
    first_rank, dcg, ndcg = np.array(rows, np.float64).reshape(-1, 3).T
    return Ranking(first_rank, dcg, ndcg)
