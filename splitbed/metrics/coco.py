"""The call of pycocotools, which counts average precision."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Protocol

import numpy as np
import numpy.typing as npt

Entry = dict[str, object]
"""An image, a category, an annotation or a result, as COCO's files have them."""


class Parameters(Protocol):
    """What is counted: of a COCOeval."""

    areaRng: list[list[float]]  # noqa: N815  pycocotools' names
    areaRngLbl: list[str]  # noqa: N815
    maxDets: list[int]  # noqa: N815
    recThrs: npt.NDArray[np.float64]  # noqa: N815
    catIds: list[int]  # noqa: N815
    imgIds: list[int]  # noqa: N815


class Evaluation(Protocol):
    """A COCOeval."""

    params: Parameters
    evalImgs: Sequence[Mapping[str, npt.NDArray[np.float64]] | None]  # noqa: N815
    eval: Mapping[str, npt.NDArray[np.float64]]
    stats: Sequence[float]

    def evaluate(self) -> None:
        """Match what was found with the truth, picture by picture."""

    def accumulate(self) -> None:
        """Make precisions of the matches."""

    def summarize(self) -> None:
        """Make COCO's numbers of the precisions."""


def quiet() -> redirect_stdout[io.StringIO]:
    """A context in which pycocotools, which prints as it goes, prints nothing."""
    return redirect_stdout(io.StringIO())


def evaluation(
    images: Sequence[Entry],
    categories: Sequence[Entry],
    truth: Sequence[Entry],
    found: Sequence[Entry],
    kind: str,
) -> Evaluation:
    """A COCOeval of ``kind`` ("bbox", "keypoints") that has yet to evaluate.

    ``truth`` are annotations and ``found`` results as COCO's files have them. Both are numbered
    anew from 1 in their order, since pycocotools takes the id 0 for "not matched".
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbered = [{**row, "id": number} for number, row in enumerate(truth, start=1)]
    described = {"images": list(images), "categories": list(categories)}
    with quiet():
        truths, detections = COCO(), COCO()
        truths.dataset = {**described, "annotations": numbered}
        truths.createIndex()
        if found:
            detections = truths.loadRes([dict(row) for row in found])
        else:  # which loadRes does not take
            detections.dataset = {**described, "annotations": []}
            detections.createIndex()
        evaluated: Evaluation = COCOeval(truths, detections, kind)
        return evaluated
