"""Metrics of a sweep, for Prometheus: how far it is, what each frame took, what the link is.

    begin ──> for each cell: cell ──> proved ──> frame … ──> proved ──> done

A split, a bandwidth or a codec is a label; a frame, a run or a file is not, so that the series stay
as few as the cells.
"""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, Summary

from netem.probe.proof import nominal_rtt_ms
from netem.spec import LinkSpec
from orchestrator.ask.sweep.cell import Cell
from orchestrator.measure.watcher import Watcher
from orchestrator.results.records import CellRecord, FrameRecord, ProofRecord
from splitbed.telemetry import DIRECTIONS, ERRORS, tell_link, tell_stages
from splitbed.timeline import END_TO_END, PREPROCESS, Stage, Timeline

FRAME_BUCKETS = (*(round(10 ** (tenth / 10) / 1e3, 6) for tenth in range(48)), 60.0)
"""Upper ends in seconds, each 1.26 times the one before: percentiles are within 13 %."""

FRAME_SECONDS = Histogram(
    "splitbed_frame_seconds",
    "From the start of part 1 until the result is back on the UE.",
    ["split", "bw_mbit", "codec"],
    buckets=FRAME_BUCKETS,
)
# without buckets, which STAGE_SECONDS has: those of 50 cells would cost 0.1 s of CPU a scrape
FRAME_STAGE_SECONDS = Summary(
    "splitbed_frame_stage_seconds", "What each stage took of it.", ["split", "bw_mbit", "stage"]
)
CELLS = Gauge("splitbed_sweep_cells", "Cells of this sweep.", ["state"])
CELL_INFO = Gauge(
    "splitbed_sweep_cell_info", "1 for the cell that is measured.", ["split", "codec", "bw_mbit"]
)
SWEEP_BYTES = Counter(
    "splitbed_sweep_bytes", "Encoded tensors of frames, without headers.", ["direction", "codec"]
)
LAST_PROGRESS = Gauge(
    "splitbed_sweep_last_progress_timestamp_seconds", "When a cell or a frame last began or ended."
)

for _state in ("planned", "done", "failed"):
    CELLS.labels(state=_state)
for _direction in DIRECTIONS:
    SWEEP_BYTES.labels(direction=_direction, codec="raw")
LAST_PROGRESS.set_to_current_time()


class SweepTelemetry(Watcher):
    """Told how a sweep gets on, it sets the metrics; takes microseconds, off the clock."""

    def __init__(self) -> None:
        self._split = self._bw_mbit = self._codec = ""

    def begin(
        self,
        cells: Sequence[Cell],
        folder: Path,  # noqa: ARG002  a path is no label
        backend: str,  # noqa: ARG002  nor is this, so far
    ) -> None:
        """The cells that will be measured."""
        LAST_PROGRESS.set_to_current_time()
        CELLS.labels(state="planned").set(len(cells))
        for state in ("done", "failed"):
            CELLS.labels(state=state).set(0)

    def cell(self, cell: Cell) -> None:
        """A cell begins."""
        LAST_PROGRESS.set_to_current_time()
        self._split, self._codec = cell.configuration.split_name, cell.configuration.codecs
        self._bw_mbit = f"{cell.link.uplink.rate_mbit:g}"
        CELL_INFO.clear()
        CELL_INFO.labels(split=self._split, codec=self._codec, bw_mbit=self._bw_mbit).set(1)
        # a series has to be there at 0 before its first frame, or rates would miss that frame
        FRAME_SECONDS.labels(split=self._split, bw_mbit=self._bw_mbit, codec=self._codec)
        for stage in END_TO_END:
            self._stage(stage)
        for direction in DIRECTIONS:
            SWEEP_BYTES.labels(direction=direction, codec=self._codec)

    def proved(self, link: LinkSpec, proof: ProofRecord) -> None:
        """The link was measured."""
        tell_link(
            " to ".join(proof.ends),
            (link.uplink.rate_mbit, link.downlink.rate_mbit),
            proof.measured_mbit,
            (nominal_rtt_ms(link), proof.rtt_min_ms),
            proof.tcp.retransmits if proof.tcp else None,
        )

    def frame(self, frame: FrameRecord, stages: Sequence[Stage]) -> None:
        """A frame was measured."""
        LAST_PROGRESS.set_to_current_time()
        seconds = FRAME_SECONDS.labels(split=self._split, bw_mbit=self._bw_mbit, codec=self._codec)
        timeline = Timeline(list(stages))
        seconds.observe(timeline.e2e_ms / 1e3)
        tell_stages(timeline)
        for stage in timeline.stages:
            if stage.name != PREPROCESS:
                self._stage(stage.name).observe(max(stage.ms, 0.0) / 1e3)
        for hop in frame.sent:
            SWEEP_BYTES.labels(direction=hop.name, codec=self._codec).inc(hop.bytes)

    def done(self, record: CellRecord) -> None:
        """A cell ended, or failed."""
        LAST_PROGRESS.set_to_current_time()
        CELLS.labels(state="done" if record.error is None else "failed").inc()
        CELL_INFO.clear()
        if record.error is not None:
            ERRORS.labels(kind=record.error_kind or "").inc()

    def stopped(self, error: BaseException) -> None:
        """The sweep was stopped before its last cell."""
        ERRORS.labels(kind=type(error).__name__).inc()

    def _stage(self, name: str) -> Summary:
        return FRAME_STAGE_SECONDS.labels(split=self._split, bw_mbit=self._bw_mbit, stage=name)
