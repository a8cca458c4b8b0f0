"""The columns of a row of frames that a load offered: the third block of summary.csv.

All count from when a frame was due, whatever kept it from beginning.
"""

from typing import Annotated

from orchestrator.results.columns import Column
from orchestrator.results.columns.main import Count, Number
from orchestrator.results.columns.trust import TrustColumns
from orchestrator.results.statistics.intervals import frames_for

ONE_BY_ONE = "frames were asked for one by one"
_NO_PERCENTILE = f"{ONE_BY_ONE}, or the load was not sustained"
_NO_RATE = f"{ONE_BY_ONE}, or there were fewer than two"


def _of(quantile: float) -> str:
    return f"{_NO_PERCENTILE}, or of fewer frames than {frames_for(quantile)}"


class OfferedColumns(TrustColumns, frozen=True, kw_only=True):
    """What a load asked, what became of its frames, and what they took from when they were due."""

    load: Annotated[
        str, Column("when frames were due (load.md); nothing for one after another", head="load")
    ] = ""
    in_flight: Annotated[int, Column("how many could be under way at once")] = 1
    offered: Annotated[
        Count,
        Column(
            "frames that were due, in all visits that count: the sum of the five columns behind",
            empty=ONE_BY_ONE,
        ),
    ] = None
    done: Annotated[Count, Column("of them in time", empty=ONE_BY_ONE)] = None
    late: Annotated[Count, Column("done after --deadline-ms", empty=ONE_BY_ONE)] = None
    dropped_source: Annotated[Count, Column("dropped at the source", empty=ONE_BY_ONE)] = None
    dropped_edge: Annotated[Count, Column("dropped on their way", empty=ONE_BY_ONE)] = None
    frame_errors: Annotated[Count, Column("failed", empty=ONE_BY_ONE)] = None
    offered_fps: Annotated[Number, Column("frames due in a second", empty=_NO_RATE)] = None
    delivered_fps: Annotated[Number, Column("results that came in a second", empty=_NO_RATE)] = None
    sustained: Annotated[
        bool | None,
        Column(
            "whether what was offered came through, and no queue grew (load.md)", empty=ONE_BY_ONE
        ),
    ] = None
    response_ms: Annotated[
        Number,
        Column(
            "from when a frame was due until it was done, the median; what was lost took longest",
            "ms",
            _NO_PERCENTILE,
            "response",
        ),
    ] = None
    response_p95_ms: Annotated[Number, Column("95th percentile of it", "ms", _of(0.95))] = None
    response_p99_ms: Annotated[Number, Column("99th percentile of it", "ms", _of(0.99))] = None
    worst_ue_response_p99_ms: Annotated[
        Number,
        Column("99th percentile of the UE where it is longest", "ms", f"{_of(0.99)}; or of one UE"),
    ] = None
    wait_ms: Annotated[
        Number,
        Column(
            "of that, waiting at the source and at stations",
            "ms",
            _NO_PERCENTILE,
        ),
    ] = None
    schedule_error_ms: Annotated[
        Number,
        Column(
            "how late the source began frames that had to wait for no other, the 99th percentile",
            "ms",
            f"{ONE_BY_ONE}, or each had to wait",
        ),
    ] = None
