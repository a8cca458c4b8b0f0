"""How well pictures are classified (clause 6), by scikit-learn."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from splitbed.errors import UsageError

TOP = 5


@dataclass(frozen=True)
class ClassificationAccuracy:
    """Accuracy, precision, recall, F1 and the confusion matrix.

    Precision, recall and F1 are macro means: each label, true or predicted, weighs the same, and
    a fraction of nothing counts as 0, as scikit-learn has it. All are None without pictures.
    """

    accuracy: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    top5: float | None
    """The fraction with the true label among the first five; None unless ranked labels came."""
    labels: tuple[str, ...]
    """True or predicted, sorted: the rows and columns of ``confusion``."""
    confusion: tuple[tuple[int, ...], ...]
    """How many pictures of the row's label were given the column's."""
    reason: str | None = None

    def row(self) -> dict[str, float | None]:
        """The columns of a table."""
        names = ("accuracy", "precision", "recall", "f1", "top5")
        return {name: getattr(self, name) for name in names}


def classification_accuracy(
    truth: Sequence[str],
    predicted: Sequence[str],
    ranked: Sequence[Sequence[str]] | None = None,
) -> ClassificationAccuracy:
    """The accuracy of the labels ``predicted`` against ``truth``, picture by picture.

    ``ranked`` are the labels of each picture, the likeliest first, at least five.

    Raises:
        UsageError: more or fewer predictions than pictures; fewer than five ranked labels.
    """
    _check(truth, predicted, ranked)
    if not truth:
        none = (None,) * 5
        return ClassificationAccuracy(*none, (), (), "no picture was classified")
    from sklearn import metrics

    labels = sorted({*truth, *predicted})
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, labels=labels, average="macro", zero_division=0
    )
    top5 = None
    if ranked is not None:
        top5 = sum(t in row[:TOP] for t, row in zip(truth, ranked, strict=True)) / len(truth)
    pairs = Counter(zip(truth, predicted, strict=True))  # scikit-learn's warns of one label
    return ClassificationAccuracy(
        float(metrics.accuracy_score(truth, predicted)),
        float(precision),
        float(recall),
        float(f1),
        top5,
        tuple(labels),
        tuple(tuple(pairs[label, given] for given in labels) for label in labels),
    )


def _check(
    truth: Sequence[str], predicted: Sequence[str], ranked: Sequence[Sequence[str]] | None
) -> None:
    for labels in (predicted, ranked):
        if labels is not None and len(labels) != len(truth):
            raise UsageError(
                f"cannot compare the labels of {len(labels)} pictures with the truth of"
                f" {len(truth)}"
            )
    short = min(map(len, ranked or ()), default=TOP)
    if short < TOP:
        raise UsageError(f"top-{TOP} accuracy needs {TOP} ranked labels of a picture, not {short}")
