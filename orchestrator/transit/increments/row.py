"""A row of ``increments.csv``: a version of the model that travels, over a link or without one."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median, median_low
from typing import Annotated

from orchestrator.results.columns import Column, columns_of, csv_text
from orchestrator.transit.delivery import Delivery, row_of
from orchestrator.transit.row import ModelRow

AT_ONCE, COARSE, UPDATE = "high precision", "low precision", "update"
"""The versions: the whole model at once, the first step, and each that follows."""
_NO_LINK = "no link"
_NO_UPDATE = "not an update"


@dataclass(frozen=True, kw_only=True)
class IncrementRow(ModelRow):
    """Of one version. Its accuracy is that of the model which the UE has then."""

    version: Annotated[str, Column("high precision, low precision, or update (clause 10.6.14)")]
    precision_bit: Annotated[
        int,
        Column("bits of a weight in the model that the UE has then; up to 0: NNC's quantiser (qp)"),
    ]
    refined_share: Annotated[
        float, Column("of the weights' values that have these bits; all others have those before")
    ] = 1.0
    since_request_ms: Annotated[
        float | None,
        Column(
            "startup_ms, of an update with those of all steps before it: control calls between "
            "them are not in it",
            "ms",
            empty=_NO_LINK,
        ),
    ] = None
    inferences_meanwhile: Annotated[
        int | None,
        Column(
            "that the version before made on the UE until this one was there, from when it was "
            "asked for, the decoder's start included",
            empty=_NO_UPDATE,
        ),
    ] = None


def increment_row_of(row: IncrementRow, deliveries: Sequence[Delivery]) -> IncrementRow:
    """As :func:`row_of`, with what its deliveries say of the steps before them."""
    since = [one.since_request_ms for one in deliveries if one.since_request_ms is not None]
    counts = [
        one.inferences_meanwhile for one in deliveries if one.inferences_meanwhile is not None
    ]
    return replace(
        row_of(row, deliveries),
        since_request_ms=median(since) if since else None,
        inferences_meanwhile=median_low(counts) if counts else None,
    )


def increments_csv(rows: Iterable[IncrementRow]) -> str:
    """The rows as ``increments.csv`` has them."""
    return csv_text(list(columns_of(IncrementRow)), map(asdict, rows))
