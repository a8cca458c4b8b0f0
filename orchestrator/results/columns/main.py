"""The main columns of a row: the first block of summary.csv, which tables of all runs have.

The columns that say more follow in :mod:`orchestrator.results.rows`.
"""

from typing import Annotated

from msgspec import Struct

from orchestrator.ask.split_point import DEVICE_ANCHOR
from orchestrator.results.columns import Column
from orchestrator.results.statistics.intervals import frames_for

NO_FRAME = "no frame of the cell ended"
NO_PROFILE = "the run has no profile: --no-profile, or a race"
NOT_LOADED = "the cell failed before its parts were loaded"
NOT_PROVED = "the cell failed before its link was proved"
NO_ANCHOR = "no valid anchor under the same conditions is as accurate, or no frame ended"
NOT_TOLD = f"{NO_FRAME}, or the clocks of two machines do not tell it"

PERCENTILES = {"e2e_p95_ms": 0.95, "e2e_p99_ms": 0.99}
"""Columns of percentiles, and which."""


def _too_few(column: str) -> str:
    return f"fewer frames than {frames_for(PERCENTILES[column])} tell nothing of it"


Count = int | None
Number = float | None


class MainColumns(Struct, frozen=True, kw_only=True):
    """What was asked of a cell, what crossed, how long it took, over which link; does it count?"""

    model: Annotated[str, Column("name of the model")]
    runtime: Annotated[str, Column("what runs it, onnx or tflite")]
    split: Annotated[str, Column("k:n-k, k of n layers are in part 1", head="k:n-k")]
    split_name: Annotated[str, Column("the split as users know it", head="split")]
    codec: Annotated[
        str,
        Column(
            "codec of what crosses, `none` where nothing does; of an encoded input and of what "
            "crosses after it, both, as `jpeg:75 then int8`",
            head="codec",
        ),
    ]
    bw_mbit: Annotated[float, Column("rate of the uplink, as asked", "Mbit/s")]
    delay_ms: Annotated[float, Column("one-way delay of the uplink, as asked", "ms")]
    loss_pct: Annotated[float, Column("loss on the uplink, as asked", "%")]
    frames: Annotated[int, Column("frames that ended and count")]
    errors: Annotated[int, Column("1 where the cell failed, else 0")]
    intermediate_tensors: Annotated[
        int,
        Column(
            "tensors that cross the cut; where several hops carry data or the input, on the last",
            head="tensors",
        ),
    ]
    intermediate_bytes: Annotated[int, Column("their size, dense", "bytes")]
    encoded_bytes: Annotated[
        Count, Column("their size as sent, the mean of the frames", "bytes", NO_FRAME)
    ] = None
    part1_bytes: Annotated[Count, Column("size of part 1 as a model file", "bytes", NOT_LOADED)] = (
        None
    )
    part2_bytes: Annotated[
        Count,
        Column("size of part 2 as a model file; of all heads together", "bytes", NOT_LOADED),
    ] = None
    part1_ms: Annotated[
        Number, Column("part 1, in the flow uplink on the UE", "ms", NO_FRAME, "part 1")
    ] = None
    encode_ms: Annotated[
        Number,
        Column(
            "encoding until its first bytes are on their way, on all nodes; with the codec raw, "
            "handing tensors on",
            "ms",
            NO_FRAME,
            "encode",
        ),
    ] = None
    uplink_ms: Annotated[
        Number,
        Column(
            "the way to the edge, putting tensors into messages with it; 0 where nothing crosses",
            "ms",
            f"{NOT_TOLD}, or the flow has no such hop",
            "uplink",
        ),
    ] = None
    decode_ms: Annotated[Number, Column("decoding, on all nodes", "ms", NO_FRAME, "decode")] = None
    part2_ms: Annotated[
        Number,
        Column(
            "part 2, in the flow uplink on the edge; of all heads together",
            "ms",
            NO_FRAME,
            "part 2",
        ),
    ] = None
    downlink_ms: Annotated[
        Number,
        Column(
            "the way to the UE, likewise",
            "ms",
            f"{NOT_TOLD}, or the flow has no such hop",
            "downlink",
        ),
    ] = None
    e2e_ms: Annotated[
        Number,
        Column(
            "from the source, preprocessing left out, until the result is where it is wanted",
            "ms",
            NO_FRAME,
            "end-to-end",
        ),
    ] = None
    e2e_p95_ms: Annotated[
        Number, Column("95th percentile of it, interpolated", "ms", _too_few("e2e_p95_ms"))
    ] = None
    e2e_p99_ms: Annotated[
        Number, Column("99th percentile, likewise", "ms", _too_few("e2e_p99_ms"))
    ] = None
    bound_ms: Annotated[
        Number,
        Column(
            "the physical floor: the nodes' work, wire time with headers, what it waits for "
            "pieces that are encoded meanwhile (`held_ms`), delay",
            "ms",
            NO_FRAME,
        ),
    ] = None
    e2e_over_bound: Annotated[
        Number,
        Column(
            "end-to-end time over its floor: the instrument's own quality",
            empty=NO_FRAME,
            head="over bound",
        ),
    ] = None
    speedup_vs_best_anchor: Annotated[
        Number,
        Column(
            "how many times as fast as the fastest valid anchor over the same link, with the UE at "
            "the same pace, that is as accurate, or as sure to lose no more than max_drop; above "
            "1, the row beats it",
            empty=NO_ANCHOR,
            head="speed-up",
        ),
    ] = None
    max_abs_diff: Annotated[
        Number,
        Column(
            "largest difference of the split's output from the whole model's on the edge; 0 is "
            "bit-equal (clause 10.2.8)",
            empty=f"{NO_FRAME}, nothing was cut, or the whole model's output was not to be had",
            never_of=DEVICE_ANCHOR,  # nothing was cut
        ),
    ] = None
    link_backend: Annotated[str, Column("what shaped the link")]
    link_mbit: Annotated[
        Number,
        Column("uplink as measured before and after, the mean", "Mbit/s", NOT_PROVED),
    ] = None
    link_rtt_ms: Annotated[
        Number, Column("least round trip as proved, likewise", "ms", NOT_PROVED)
    ] = None
    link_retransmits: Annotated[
        Count,
        Column("TCP segments sent again while the cell ran", empty=f"{NOT_PROVED}, or not by TCP"),
    ] = None
    valid: Annotated[bool, Column("whether the row counts: no rule failed", head="verdict")]
