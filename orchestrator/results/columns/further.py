"""The columns of a row beyond the main ones: the second block of summary.csv.

Behind these are those of :mod:`orchestrator.results.columns.accuracy`.
"""

from typing import Annotated

from orchestrator.ask.split_point import NETWORK_ANCHOR
from orchestrator.results.columns import Column
from orchestrator.results.columns.main import (
    NO_ANCHOR,
    NO_FRAME,
    NO_PROFILE,
    NOT_LOADED,
    NOT_PROVED,
    Count,
    MainColumns,
    Number,
)

NOT_DELIVERED = "nothing was delivered: --no-delivery"
ONE_UE = "one UE has the link, or no frame ended"
NOT_SHARED = "no part of the edge is shared (load.md), or no frame ended"
ONE_CLOCK = "all nodes share a clock, or no frame ended"

Text = str | None


class FurtherColumns(MainColumns, frozen=True, kw_only=True):
    """What a row says besides, of its cell as asked and of its link."""

    reason: Annotated[str, Column("why it does not count, or what to know of it; else nothing")]
    weights: Annotated[str, Column("where the weights are from")]
    preprocess_ms: Annotated[
        Number, Column("preprocessing, which end-to-end leaves out (clause 10.2.6)", "ms", NO_FRAME)
    ] = None
    result_ms: Annotated[
        Number,
        Column("making boxes or key points of outputs, on the node that has them", "ms", NO_FRAME),
    ] = None
    overlapped_ms: Annotated[
        Number,
        Column(
            "encoding after that, while what was encoded crosses: in the time of the hop, and of "
            "no other stage; 0 where all is encoded before it is sent",
            "ms",
            NO_FRAME,
        ),
    ] = None
    held_ms: Annotated[
        Number,
        Column("of the bound, what hops wait for pieces that are not encoded yet", "ms", NO_FRAME),
    ] = None
    gap_pct: Annotated[
        Number, Column("end-to-end time that no stage accounts for", "%", NO_FRAME)
    ] = None
    link: Annotated[str, Column("the link in words", head="link")]
    jitter_ms: Annotated[float, Column("jitter of the uplink, as asked", "ms")]
    queue_packets: Annotated[int, Column("what its queue holds, as asked")]
    downlink_mbit: Annotated[float, Column("rate of the downlink, as asked", "Mbit/s")]
    downlink_delay_ms: Annotated[float, Column("one-way delay of the downlink, as asked", "ms")]
    downlink_jitter_ms: Annotated[float, Column("jitter of the downlink, as asked", "ms")]
    downlink_loss_pct: Annotated[float, Column("loss on the downlink, as asked", "%")]
    link_down_mbit: Annotated[
        Number, Column("downlink as proved, likewise", "Mbit/s", NOT_PROVED)
    ] = None
    tcp: Annotated[
        Text, Column("congestion control of TCP", empty=f"{NOT_PROVED}, or not by TCP")
    ] = None
    cwnd_segments: Annotated[
        Count, Column("its congestion window at the end", empty=f"{NOT_PROVED}, or not by TCP")
    ] = None
    mss_bytes: Annotated[
        Count,
        Column(
            "payload of a TCP segment: 1448 at an MTU of 1500",
            "bytes",
            f"{NOT_PROVED}, or not by TCP",
        ),
    ] = None
    link_attempts: Annotated[
        Count,
        Column(
            "measurements until the link was as asked, the more of before and after",
            empty=f"{NOT_PROVED}; or by an earlier version",
        ),
    ] = None
    load_ms: Annotated[
        Number, Column("cutting and opening a part, of the slowest node", "ms", NOT_LOADED)
    ] = None
    providers: Annotated[
        Text,
        Column(
            "who computed how many nodes of the graph, on each node: ue: cpu 12; edge: openvino 41",
            empty=f"{NOT_LOADED}, the runtime does not tell, or by an earlier version",
        ),
    ] = None
    provider_left: Annotated[
        Text,
        Column(
            "what the provider that was asked for did not take, and its runtime computed itself",
            empty="it took all, or none was asked for",
        ),
    ] = None
    provider_off: Annotated[
        Number,
        Column(
            "how far outputs on it are from the runtime's own, of the largest value, the most",
            empty="none was asked for, or made-up inputs mean nothing to the parts",
        ),
    ] = None
    part1_delivery_ms: Annotated[
        Number,
        Column(
            "from the UE's request for its part until all of it is there and checked",
            "ms",
            NOT_DELIVERED,
        ),
    ] = None
    part1_coded_bytes: Annotated[
        Count,
        Column(
            "what then crossed, encoded as --part-coder says",
            "bytes",
            empty="it crossed as a file, or not at all",
        ),
    ] = None
    frames_to_pay_delivery: Annotated[
        Count,
        Column(
            "frames until that has paid, against sending every input from the start",
            empty="nothing was delivered, or it never pays",
        ),
    ] = None
    part1_predicted_ms: Annotated[
        Number, Column("part 1 as the profile predicts it", "ms", NO_PROFILE)
    ] = None
    part2_predicted_ms: Annotated[
        Number, Column("part 2 as the profile predicts it", "ms", NO_PROFILE)
    ] = None
    e2e_predicted_ms: Annotated[
        Number,
        Column(
            "with every part so, coding as measured, the link at its bound and what messages cost",
            "ms",
            f"{NO_PROFILE}; or {NO_FRAME}",
        ),
    ] = None
    prediction_error_pct: Annotated[
        Number,
        Column("how far that is off, of what was measured", "%", f"{NO_PROFILE}; or {NO_FRAME}"),
    ] = None
    e2e_over_quiet: Annotated[
        Number,
        Column(
            "end-to-end time over the bound with all parts as predicted: work that others "
            "slow down does not hide in it",
            empty=f"{NO_PROFILE}; or {NO_FRAME}",
            head="over quiet bound",
        ),
    ] = None
    network_ms: Annotated[Number, Column("all hops together", "ms", NO_FRAME)] = None
    one_way_uncertainty_ms: Annotated[
        Number, Column("how unsure one-way times are, the most of any hop", "ms", ONE_CLOCK)
    ] = None
    e2e_uncertainty_ms: Annotated[
        Number,
        Column(
            "how unsure the end-to-end time is",
            "ms",
            "a frame ends on the clock on which it began, or no frame ended",
        ),
    ] = None
    clock_drift_ppm: Annotated[
        Number,
        Column(
            "by how much another node's clock runs faster than the user's, the most",
            "ppm",
            f"{ONE_CLOCK}; or a clock jumped",
        ),
    ] = None
    ues: Annotated[int, Column("UEs that share the link", head="UEs")] = 1
    goodput_mbit: Annotated[
        Number,
        Column("what frames of all UEs carried in a second, both ways", "Mbit/s", ONE_UE),
    ] = None
    fairness: Annotated[
        Number,
        Column(
            "Jain's index of what each carried: 1 where all did as much, 1/n where one did all",
            empty=f"{ONE_UE}; or nothing crossed",
        ),
    ] = None
    worst_ue_e2e_ms: Annotated[
        Number, Column("median end-to-end time of the UE where it is longest", "ms", ONE_UE)
    ] = None
    worst_ue_e2e_p99_ms: Annotated[
        Number,
        Column(
            "99th percentile of the UE where it is longest",
            "ms",
            f"{ONE_UE}; or one has fewer frames than tell anything of it",
        ),
    ] = None
    batch_mean: Annotated[
        Number,
        Column("frames that a part of the edge was run on together, in the mean", empty=NOT_SHARED),
    ] = None
    batch_most: Annotated[Count, Column("the most of them", empty=NOT_SHARED)] = None
    batch_off: Annotated[
        Number,
        Column(
            "how far two frames run together were from what each gives alone, when that was tried, "
            "of the largest value: 0 where bit for bit equal",
            empty=f"{NOT_SHARED}, or frames were run one by one",
        ),
    ] = None
    edge_wait_ms: Annotated[
        Number,
        Column("waiting for a worker of the edge, and for others of a batch", "ms", NOT_SHARED),
    ] = None
    edge_wait_most_ms: Annotated[Number, Column("the longest of it", "ms", NOT_SHARED)] = None
    ue: Annotated[str, Column("pace of the UE in words; nothing for its own", head="UE")]
    ue_slowdown: Annotated[
        Number,
        Column(
            "how many times as long its part takes for it",
            empty="the UE was not slowed, or that was not measured",
            never_of=NETWORK_ANCHOR,  # no part runs on the UE
        ),
    ] = None
    ue_slowdown_asked: Annotated[
        Number,
        Column(
            "how many times as long it should take", empty="the UE was not slowed, or by a quota"
        ),
    ] = None
    ue_cpus: Annotated[
        Number, Column("processors that the UE was left by a quota", empty="no quota was asked")
    ] = None
    best_anchor: Annotated[
        Text, Column("the anchor that the speed-up is against", empty=NO_ANCHOR)
    ] = None
    lossless: Annotated[
        bool, Column("whether it runs the model's own weights on what codecs lose nothing of")
    ]
    device_model: Annotated[
        str, Column("the model that the UE runs as the device anchor; else nothing")
    ] = ""
    precision: Annotated[
        str,
        Column(
            "what parts are converted to: `ue int8, edge fp16`; nothing where all are as the "
            "model is",
            head="precision",
        ),
    ] = ""
    computed_types: Annotated[
        Text,
        Column(
            "how many nodes of such parts compute in which type, as a run tells, and how many "
            "`casts` change it: `ue: int8 21, casts 4`",
            empty=f"{NOT_LOADED}, the runtime does not tell, or all is as the model is",
        ),
    ] = None
