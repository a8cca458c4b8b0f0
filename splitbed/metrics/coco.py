"""The call of pycocotools, which counts average precision."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any


def quiet() -> redirect_stdout[io.StringIO]:
    """A context in which pycocotools, which prints as it goes, prints nothing."""
    return redirect_stdout(io.StringIO())


def evaluation(
    images: Sequence[dict[str, Any]],
    categories: Sequence[dict[str, Any]],
    truth: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    kind: str,
) -> Any:
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
        return COCOeval(truths, detections, kind)
