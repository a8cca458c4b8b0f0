"""The columns of a row on what codecs cost, in accuracy and in bits: in the second block."""

from typing import Annotated

from orchestrator.ask.sweep.options import MAX_DROP
from orchestrator.results.columns import Column
from orchestrator.results.columns.further import FurtherColumns
from orchestrator.results.columns.main import NO_ANCHOR, NO_FRAME, Count, Number
from splitbed.metrics.resampling import MIN_PICTURES

NOT_JUDGED = "nothing was judged: the results were too large to be brought back, or no cell ended"
NO_DROP = f"{NOT_JUDGED}; of fewer than {MIN_PICTURES} pictures; or by an earlier version"
NOT_SEARCHED = "the number was given, or the codec has none"
NOT_JUDGED_THERE = "nothing was judged there"

Text = str | None


class AccuracyColumns(FurtherColumns, frozen=True, kw_only=True):
    """What a row reaches, what its codec was searched for, and what crosses for it."""

    accuracy_metric: Annotated[Text, Column("what accuracy is", empty=NOT_JUDGED)] = None
    accuracy: Annotated[
        Number, Column("what the row reaches", empty=NOT_JUDGED, head="accuracy")
    ] = None
    accuracy_drop: Annotated[
        Number, Column("how much less than the whole model that is", empty=NOT_JUDGED, head="drop")
    ] = None
    accuracy_frames: Annotated[
        Count,
        Column("over how many inputs that is", empty=f"{NOT_JUDGED}; or by an earlier version"),
    ] = None
    accuracy_drop_low: Annotated[
        Number, Column("lower end of its 95 % interval, over pictures", empty=NO_DROP)
    ] = None
    accuracy_drop_high: Annotated[Number, Column("upper end of it", empty=NO_DROP)] = None
    accuracy_link_diff: Annotated[
        Number,
        Column(
            "largest difference of a result that came over the link from the one that was judged",
            empty="the row is lossless, no such frame was judged, or by an earlier version",
        ),
    ] = None
    target: Annotated[
        Text, Column("what the codec's number was searched for", empty=NOT_SEARCHED)
    ] = None
    target_frames: Annotated[
        Count, Column("on how many calibration frames", empty=NOT_SEARCHED)
    ] = None
    target_kbit: Annotated[
        Number, Column("what crosses there for a frame, the mean", "kbit", NOT_SEARCHED)
    ] = None
    target_drop: Annotated[
        Number, Column("accuracy lost there", empty=f"{NOT_SEARCHED}; or {NOT_JUDGED_THERE}")
    ] = None
    target_drop_high: Annotated[
        Number,
        Column(
            "upper end of its 95 % interval, which is held against a target",
            empty=f"{NOT_SEARCHED}; or {NOT_JUDGED_THERE}; of fewer than {MIN_PICTURES} pictures",
        ),
    ] = None
    max_drop: Annotated[
        float, Column("how much less it may be for the row to be recommended, as asked")
    ] = MAX_DROP
    result_bytes: Annotated[Count, Column("size of the results, mean", "bytes", NO_FRAME)] = None
    frame_kbit: Annotated[
        Number, Column("what crosses for a frame, on all hops, without headers", "kbit", NO_FRAME)
    ] = None
    bitrate_mbit: Annotated[
        Number, Column("that at the frame rate of --fps", "Mbit/s", NO_FRAME)
    ] = None
    kbit_vs_network_anchor: Annotated[
        Number,
        Column(
            "that over the least of the network anchors that are as accurate",
            empty=f"{NO_ANCHOR}; or it sends nothing",
        ),
    ] = None
