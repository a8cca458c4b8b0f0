"""A row of summary.csv: each column declared once, with its unit, meaning, and why it is empty.

The first block is :mod:`orchestrator.results.columns.main`, the second one is here. A new column is
a field here, in its place, and filled in :mod:`orchestrator.results.columns.measured`.
"""

from typing import Annotated, Literal

from orchestrator.ask.flow import FLOWS, UPLINK, anchor_of, sends_input
from orchestrator.ask.split_point import (
    NETWORK_ANCHOR,
    Anchor,
    as_codec,
    cut_name,
    layers_of,
)
from orchestrator.ask.sweep_config import MAX_DROP
from orchestrator.results.columns import Column, columns_of
from orchestrator.results.columns.flow import flow_columns
from orchestrator.results.columns.main import (
    NO_ANCHOR,
    NO_FRAME,
    NOT_LOADED,
    NOT_PROVED,
    Count,
    MainColumns,
    Number,
)
from orchestrator.results.statistics.intervals import Interval
from splitbed.metrics.resampling import MIN_PICTURES

NOT_COUNTED = "the kernel does not tell, the nodes are elsewhere, or the cell failed"
NOT_DELIVERED = "nothing was delivered: --no-delivery"
MEASURED = "the cell was measured"
NO_PROFILE = "the run has no profile: --no-profile, or a race"
NOT_JUDGED = "nothing was judged: the results were too large to be brought back, or no cell ended"
NO_DROP = f"{NOT_JUDGED}; of fewer than {MIN_PICTURES} pictures; or by an earlier version"
ONE_CLOCK = "both nodes share a clock, or no frame ended"

Text = str | None

Covers = Literal["frames of this run", "blocks of this run", "runs"]


class Row(MainColumns, frozen=True, kw_only=True):
    """What a cell came to. Times are medians of its frames unless the name says otherwise."""

    reason: Annotated[str, Column("why it does not count, or what to know of it; else nothing")]
    weights: Annotated[str, Column("where the weights are from")]
    preprocess_ms: Annotated[
        Number, Column("preprocessing, which end-to-end leaves out (clause 10.2.6)", "ms", NO_FRAME)
    ] = None
    result_ms: Annotated[
        Number,
        Column("making boxes or key points of outputs, on the node that has them", "ms", NO_FRAME),
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
        Number, Column("cutting and opening a part, of the slower node", "ms", NOT_LOADED)
    ] = None
    part1_delivery_ms: Annotated[
        Number,
        Column(
            "from the UE's request for its part until all of it is there and checked",
            "ms",
            NOT_DELIVERED,
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
            "with these two, coding as measured, the link at its bound and what messages cost",
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
            "end-to-end time over the bound with the two parts as predicted: work that others "
            "slow down does not hide in it",
            empty=f"{NO_PROFILE}; or {NO_FRAME}",
            head="over quiet bound",
        ),
    ] = None
    network_ms: Annotated[Number, Column("all hops together", "ms", NO_FRAME)] = None
    one_way_uncertainty_ms: Annotated[
        Number, Column("how unsure one-way times are", "ms", ONE_CLOCK)
    ] = None
    clock_drift_ppm: Annotated[
        Number,
        Column(
            "by how much the edge's clock runs faster", "ppm", f"{ONE_CLOCK}; or a clock jumped"
        ),
    ] = None
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
    lossless: Annotated[bool, Column("whether the codec loses nothing")]
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
    e2e_low_ms: Annotated[
        Number,
        Column("lower end of the median's interval; of a range, the fastest", "ms", NO_FRAME),
    ] = None
    e2e_high_ms: Annotated[
        Number, Column("upper end of it; of a range, the slowest", "ms", NO_FRAME)
    ] = None
    e2e_coverage_pct: Annotated[
        Number,
        Column(
            "in how many cases such an interval holds the median, by its frames' ranks",
            "%",
            "a range: fewer frames than 6, or 2 to 4 blocks",
        ),
    ] = None
    e2e_covers: Annotated[
        Text,
        Column(
            "what the interval is over: the frames of this run; of 2 to 4 blocks, the range of "
            "their medians; from 5 on, runs",
            empty=NO_FRAME,
        ),
    ] = None
    blocks: Annotated[int, Column("in how many blocks it was measured")] = 0
    disturbed: Annotated[
        str, Column("what else was at work on the machine while it was measured; else nothing")
    ] = ""
    measured: Annotated[
        int,
        Column(
            "how often it was: again where disturbed or failed; the last without a fault counts"
        ),
    ] = 1
    others_pct: Annotated[
        Number,
        Column(
            "of all processors' time, what other processes than the run's used", "%", NOT_COUNTED
        ),
    ] = None
    steal_pct: Annotated[
        Number, Column("what a hypervisor gave to other machines of it", "%", NOT_COUNTED)
    ] = None
    pressure_pct: Annotated[
        Number,
        Column("of the cell's time, how long a task waited for a processor", "%", NOT_COUNTED),
    ] = None
    load_average: Annotated[Number, Column("load at its end, over a minute", empty=NOT_COUNTED)] = (
        None
    )
    cpu_mhz: Annotated[Number, Column("frequency of the processors, MHz", empty=NOT_COUNTED)] = None
    preemptions: Annotated[
        Count, Column("how often a node's thread had to leave a processor", empty=NOT_COUNTED)
    ] = None

    predicted: Annotated[
        bool,
        Column("whether the cell was not measured: its e2e_predicted_ms rests on all that was"),
    ] = False
    e2e_predicted_low_ms: Annotated[
        Number, Column("lower end of the prediction's interval of 90 %", "ms", MEASURED)
    ] = None
    e2e_predicted_high_ms: Annotated[Number, Column("upper end of it", "ms", MEASURED)] = None
    flow: Annotated[str, Column("which node does what with a frame (flows.md)")] = UPLINK

    of_flow: tuple[tuple[str, float | None], ...] = ()
    """What its flow has besides, by the columns of :mod:`orchestrator.results.columns.flow`."""

    samples_ms: tuple[float, ...] = ()
    """End-to-end times of the frames, in order: no column, what comparisons of rows rest on."""
    block_frames: tuple[tuple[int, int], ...] = ()
    """How many of them are of which block, in order."""

    @property
    def layers(self) -> tuple[int, int]:
        """How many layers are in part 1, and how many in part 2."""
        return layers_of(self.split)

    @property
    def anchor(self) -> Anchor | None:
        """Which anchor it is; None for a split that is held against these."""
        return anchor_of(self.flow, self.split, self.split_name)

    @property
    def is_anchor(self) -> bool:
        """Whether it is one."""
        return self.anchor is not None

    @property
    def is_network_anchor(self) -> bool:
        """Whether all layers are in the network."""
        return self.anchor == NETWORK_ANCHOR

    @property
    def sends_input(self) -> bool:
        """Whether the input itself crosses a link."""
        return sends_input(self.flow, self.split)

    @property
    def ue_part(self) -> int:
        """The number of the part that the UE runs."""
        return 1 if FLOWS[self.flow].node_of(1) == "ue" else 2

    @property
    def ue_part_ms(self) -> float | None:
        """What that took."""
        return self.part1_ms if self.ue_part == 1 else self.part2_ms

    @property
    def ue_part_bytes(self) -> int | None:
        """What it measures as a model file."""
        return self.part1_bytes if self.ue_part == 1 else self.part2_bytes

    @property
    def conditions(self) -> tuple[str, str]:
        """What must be equal for rows to be compared: the link and the pace of the UE."""
        return self.link, self.ue

    @property
    def with_codec(self) -> str:
        """Its name with the codec behind it, where that is not the usual one."""
        return self.split_name + as_codec(self.codec)

    @property
    def label(self) -> str:
        """The split as users know it, k:n-k with it, and the codec where something is encoded."""
        name = self.split_name if self.is_anchor else cut_name(self.split_name, self.split)
        return name + as_codec(self.codec)

    @property
    def e2e_interval(self) -> Interval | None:
        """That of the median end-to-end time; None for a cell without a frame."""
        if self.e2e_low_ms is None or self.e2e_high_ms is None:
            return None
        covered = self.e2e_coverage_pct
        return Interval(
            self.e2e_low_ms, self.e2e_high_ms, None if covered is None else covered / 100
        )

    @property
    def interval_words(self) -> str:
        """What the interval is, as 96.9 %, 1 frame, range of 3 blocks, 95.0 % over runs."""
        if (interval := self.e2e_interval) is None:
            return ""
        if self.frames == 1:
            return "1 frame"
        if self.e2e_covers == "blocks of this run":
            return f"{interval.words(self.blocks)} blocks"
        over = " over runs" if self.e2e_covers == "runs" else ""
        return interval.words(self.frames) + over

    def value(self, column: str) -> object:
        """What it has in a column; None in one of another flow."""
        return getattr(self, column) if column in COLUMNS else dict(self.of_flow).get(column)

    def plain(self) -> dict[str, object]:
        """By the names of the columns, as JSON has it."""
        return {name: getattr(self, name) for name in COLUMNS} | dict(self.of_flow)


COLUMNS = columns_of(Row)
"""By their names, in the order of summary.csv."""
EVERY_COLUMN = {**COLUMNS, **{k: v for flow in FLOWS for k, v in flow_columns(flow).items()}}
"""Those of all rows, and those that some flow has besides."""


def known_interval(row: Row) -> Interval:
    """That of a row with a frame."""
    interval = row.e2e_interval
    assert interval is not None
    return interval


def known(value: float | None) -> float:
    """A number that is there, as a caller has made sure."""
    assert value is not None
    return value
